//! All rows of all layers, and finding them.

use crate::check;
use crate::names::nearest;
use crate::parse::{self, Entry, Layer, Rows};
use crate::problem::{Problem, RegistryError};
use crate::rows::{ConnectorRow, DecoderRow, EncoderRow, EnsembleRow, Kind, LlmRow, Member, ModelRow, Row};
use crate::select::Selection;
use crate::tower::{Tower, composite};
use crate::{LookupError, TowerError};

/// Side of the grid on which a composite tower joins its members.
const COMPOSITE_TOKENS: usize = 24 * 24;

/// Every row that is known, checked.
#[derive(Debug, Clone)]
pub struct Registry {
    rows: Rows,
    /// What is wrong with rows of plugins that were left out.
    aside: Vec<Problem>,
}

/// Where a row was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the layer.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl Registry {
    /// The registry that is compiled into the program.
    ///
    /// # Errors
    /// None in a program that passed its tests.
    pub fn shipped() -> Result<Self, RegistryError> {
        Self::load(&[Layer::shipped()])
    }

    /// One file on its own. `name` is what messages call it.
    ///
    /// # Errors
    /// [`RegistryError`] with everything that is wrong in it.
    pub fn parse(text: &str, name: &str) -> Result<Self, RegistryError> {
        Self::load(&[Layer::new(name, text)])
    }

    /// Several files, one over the other: a row replaces the row of the same kind and id in an earlier layer, as a
    /// whole and in its place; a row with a new id is added at the end. Wrong rows of a [`Layer::manifest`] are set
    /// aside, and with them the rows of plugins that need them.
    ///
    /// # Errors
    /// [`RegistryError`] with everything that is wrong in any of the other layers. What rows say of each other is
    /// looked at once every row is right in itself.
    pub fn load(layers: &[Layer]) -> Result<Self, RegistryError> {
        let (mut problems, mut aside) = (Vec::new(), Vec::new());
        let mut parsed = Vec::with_capacity(layers.len());
        for layer in layers {
            let (mut rows, mut found) = parse::parse(layer);
            found.extend(check::rows(&rows));
            found.sort_by_key(|p| p.place.span.start);
            if layer.is_guest() {
                // Without a row to blame nothing in the file can be relied on, as in one of another version.
                if found.iter().any(|p| p.row.is_none()) {
                    rows = Rows::default();
                }
                rows.leave_out(&found);
                aside.extend(found);
            } else {
                problems.extend(found);
            }
            parsed.push(rows);
        }
        none_of(problems)?;
        loop {
            let mut rows = Rows::default();
            parsed.iter().for_each(|layer| rows.put(layer.clone()));
            let registry = Self { rows, aside };
            let problems = check::links(&registry, &registry.rows);
            let (theirs, ours): (Vec<_>, Vec<_>) = problems
                .into_iter()
                .partition(|p| layers.iter().any(|l| l.is_guest() && l.name == p.place.file));
            let mut left_out = 0;
            for (layer, rows) in layers.iter().zip(&mut parsed).filter(|(layer, _)| layer.is_guest()) {
                let blamed: Vec<_> = theirs.iter().filter(|p| p.place.file == layer.name).cloned().collect();
                left_out += rows.leave_out(&blamed);
            }
            if left_out == 0 {
                none_of(ours)?;
                return Ok(registry);
            }
            aside = registry.aside;
            aside.extend(theirs);
        }
    }

    /// What is wrong with rows that plugins brought and that are therefore not used.
    pub fn set_aside(&self) -> &[Problem] {
        &self.aside
    }

    /// Encoders in the order of the files.
    pub fn encoders(&self) -> impl ExactSizeIterator<Item = &EncoderRow> {
        self.rows.encoders.iter().map(|e| &e.row)
    }

    /// Connectors in the order of the files.
    pub fn connectors(&self) -> impl ExactSizeIterator<Item = &ConnectorRow> {
        self.rows.connectors.iter().map(|e| &e.row)
    }

    /// Ensembles in the order of the files.
    pub fn ensembles(&self) -> impl ExactSizeIterator<Item = &EnsembleRow> {
        self.rows.ensembles.iter().map(|e| &e.row)
    }

    /// Language models in the order of the files.
    pub fn llms(&self) -> impl ExactSizeIterator<Item = &LlmRow> {
        self.rows.llms.iter().map(|e| &e.row)
    }

    /// Models in the order of the files.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &ModelRow> {
        self.rows.models.iter().map(|e| &e.row)
    }

    /// Kinds of language models in the order of the files.
    pub fn decoders(&self) -> impl DoubleEndedIterator<Item = &DecoderRow> + ExactSizeIterator {
        self.rows.decoders.iter().map(|e| &e.row)
    }

    /// The encoder of this id, alias or tower name without suffixes.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest names.
    pub fn encoder(&self, name: &str) -> Result<&EncoderRow, LookupError> {
        self.find_encoder(name).ok_or_else(|| self.unknown(Kind::Encoder, name))
    }

    /// The connector of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids.
    pub fn connector(&self, id: &str) -> Result<&ConnectorRow, LookupError> {
        self.connectors().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Connector, id))
    }

    /// The ensemble of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids.
    pub fn ensemble(&self, id: &str) -> Result<&EnsembleRow, LookupError> {
        self.ensembles().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Ensemble, id))
    }

    /// The language model of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids.
    pub fn llm(&self, id: &str) -> Result<&LlmRow, LookupError> {
        self.llms().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Llm, id))
    }

    /// The model of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids.
    pub fn model(&self, id: &str) -> Result<&ModelRow, LookupError> {
        self.models().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Model, id))
    }

    /// The kind of language model whose `config.json` has this `model_type`; of several, the last one, so that
    /// later files win.
    ///
    /// # Errors
    /// [`LookupError::ModelType`] with all that can be read.
    pub fn decoder_for_model_type(&self, model_type: &str) -> Result<&DecoderRow, LookupError> {
        self.decoders().rev().find(|row| row.model_types.iter().any(|t| t == model_type)).ok_or_else(|| {
            let known = self.decoders().flat_map(|row| row.model_types.iter().cloned()).collect();
            LookupError::ModelType { name: model_type.to_owned(), known }
        })
    }

    /// The kind of language model whose GGUF files have this `general.architecture`; of several, the last one.
    ///
    /// # Errors
    /// [`LookupError::ModelType`] with all that can be read.
    pub fn decoder_for_gguf(&self, architecture: &str) -> Result<&DecoderRow, LookupError> {
        self.decoders().rev().find(|row| row.gguf.iter().any(|t| t == architecture)).ok_or_else(|| {
            let known = self.decoders().flat_map(|row| row.gguf.iter().cloned()).collect();
            LookupError::ModelType { name: architecture.to_owned(), known }
        })
    }

    /// An encoder and what its name says of it: an id, alias or tower name, with the suffixes of [`Tower`] or with
    /// `@R` for an image of `R × R` pixels.
    ///
    /// # Errors
    /// [`LookupError`] when there is no such encoder, or it cannot do what the suffixes say.
    pub fn select(&self, name: &str) -> Result<Selection<'_>, LookupError> {
        if let Some(row) = self.find_encoder(name) {
            return Ok(Selection::of(row));
        }
        let tower = match name.rsplit_once('@') {
            Some((base, pixels)) if !base.is_empty() && pixels.bytes().all(|b| b.is_ascii_digit()) => {
                let fault =
                    || TowerError { name: name.to_owned(), message: format!("`{pixels}` is no size") };
                let resolution = Some(pixels.parse::<u32>().map_err(|_| fault())? as usize);
                Tower { base, multi_stage: false, resolution, tokens: None }
            }
            _ => Tower::parse(name)?,
        };
        let row = self.find_encoder(tower.base).ok_or_else(|| self.unknown(Kind::Encoder, tower.base))?;
        Selection::of(row)
            .with_tower(&tower)
            .and_then(|selection| selection.check().map(|()| selection))
            .map_err(|fault| LookupError::Selection { name: name.to_owned(), message: fault.message })
    }

    /// [`Registry::select`] for every tower of a name that may be composite (`hybridmodel-A-&&&-B`): then each is
    /// resampled to the 24 × 24 grid on which their channels are joined.
    ///
    /// # Errors
    /// As for [`Registry::select`].
    pub fn select_all(&self, name: &str) -> Result<Vec<Selection<'_>>, LookupError> {
        let Some(towers) = composite(name) else {
            return Ok(vec![self.select(name)?]);
        };
        towers
            .into_iter()
            .map(|tower| Ok(Selection { tokens: Some(COMPOSITE_TOKENS), ..self.select(tower)? }))
            .collect()
    }

    /// A member of an ensemble: what its name says, and its own keys over that.
    ///
    /// # Errors
    /// As for [`Registry::select`].
    pub fn member(&self, member: &Member) -> Result<Selection<'_>, LookupError> {
        Ok(self.select(&member.encoder)?.with_member(member))
    }

    /// Where the row of this kind and id was written.
    pub fn origin(&self, kind: Kind, id: &str) -> Option<Origin> {
        fn of<T: Row>(entries: &[Entry<T>], id: &str) -> Option<Origin> {
            let entry = entries.iter().find(|e| e.row.id() == id)?;
            let place = entry.source.place(entry.spans.span.clone());
            Some(Origin { file: place.file, line: place.line })
        }
        match kind {
            Kind::Encoder => of(&self.rows.encoders, id),
            Kind::Connector => of(&self.rows.connectors, id),
            Kind::Ensemble => of(&self.rows.ensembles, id),
            Kind::Llm => of(&self.rows.llms, id),
            Kind::Model => of(&self.rows.models, id),
            Kind::Decoder => of(&self.rows.decoders, id),
        }
    }

    fn find_encoder(&self, name: &str) -> Option<&EncoderRow> {
        self.encoders().find(|row| row.id == name).or_else(|| {
            self.encoders().find(|row| row.other_names().any(|other| other.eq_ignore_ascii_case(name)))
        })
    }

    fn unknown(&self, kind: Kind, name: &str) -> LookupError {
        let wrong = |p: &&Problem| p.row.as_ref().is_some_and(|(k, id)| *k == kind && id == name);
        if let Some(problem) = self.aside.iter().find(wrong) {
            let (name, problem) = (name.to_owned(), Box::new(problem.clone()));
            return LookupError::SetAside { kind, name, problem };
        }
        let candidates = self.names(kind);
        let elsewhere = Kind::ALL.into_iter().find(|&k| k != kind && self.names(k).contains(&name));
        LookupError::Unknown { kind, name: name.to_owned(), nearest: nearest(name, candidates), elsewhere }
    }

    /// Every name under which a row of this kind can be found.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        fn of<T: Row>(entries: &[Entry<T>]) -> Vec<&str> {
            entries.iter().flat_map(|e| std::iter::once(e.row.id()).chain(e.row.other_names())).collect()
        }
        match kind {
            Kind::Encoder => of(&self.rows.encoders),
            Kind::Connector => of(&self.rows.connectors),
            Kind::Ensemble => of(&self.rows.ensembles),
            Kind::Llm => of(&self.rows.llms),
            Kind::Model => of(&self.rows.models),
            Kind::Decoder => of(&self.rows.decoders),
        }
    }
}

impl Rows {
    /// Removes the rows that `problems` blame, and counts them.
    fn leave_out(&mut self, problems: &[Problem]) -> usize {
        fn filter<T: Row>(entries: &mut Vec<Entry<T>>, problems: &[Problem]) -> usize {
            let before = entries.len();
            let blames =
                |p: &Problem, id: &str| p.row.as_ref().is_some_and(|(k, i)| *k == T::KIND && i == id);
            entries.retain(|entry| !problems.iter().any(|p| blames(p, entry.row.id())));
            before - entries.len()
        }
        filter(&mut self.encoders, problems)
            + filter(&mut self.connectors, problems)
            + filter(&mut self.ensembles, problems)
            + filter(&mut self.llms, problems)
            + filter(&mut self.models, problems)
            + filter(&mut self.decoders, problems)
    }

    /// Lays `above` over these rows.
    fn put(&mut self, above: Self) {
        fn merge<T: Row>(below: &mut Vec<Entry<T>>, above: Vec<Entry<T>>) {
            for entry in above {
                match below.iter_mut().find(|old| old.row.id() == entry.row.id()) {
                    Some(old) => *old = entry,
                    None => below.push(entry),
                }
            }
        }
        merge(&mut self.encoders, above.encoders);
        merge(&mut self.connectors, above.connectors);
        merge(&mut self.ensembles, above.ensembles);
        merge(&mut self.llms, above.llms);
        merge(&mut self.models, above.models);
        merge(&mut self.decoders, above.decoders);
    }
}

fn none_of(problems: Vec<Problem>) -> Result<(), RegistryError> {
    if problems.is_empty() { Ok(()) } else { Err(RegistryError { problems }) }
}
