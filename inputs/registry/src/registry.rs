//! All rows of all layers, and finding them.

use crate::check::{self, Links};
use crate::names::nearest;
use crate::parse::{self, Layer};
use crate::problem::{Problem, RegistryError};
use crate::rows::{
    ConnectorRow, DecoderRow, EncoderRow, EnsembleRow, Kind, LlmRow, Member, ModelRow, ProjectorRow, Row,
    TypeNumber, matched,
};
use crate::select::Selection;
use crate::stack::Stack;
use crate::table::Rows;
use crate::tower::{Tower, composite};
use crate::{LookupError, TowerError};

/// Side of the grid on which a composite tower joins its members.
const COMPOSITE_TOKENS: usize = 24 * 24;

/// Every row that is known, checked.
#[derive(Debug, Clone)]
pub struct Registry {
    stack: Stack,
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
    /// whole and in its place; a row with a new id is added at the end. Rows of a [`Layer::manifest`] are added and replace
    /// nothing. Those that are wrong in themselves, take a name of another row or do not fit are set aside, and so is any
    /// row that needs one of them, whichever layer it stands in.
    ///
    /// # Errors
    /// [`RegistryError`] with everything that is wrong in any of the other layers. What rows say of each other
    /// is looked at once every row is right in itself.
    pub fn load(layers: &[Layer]) -> Result<Self, RegistryError> {
        let (mut problems, mut stack) = (Vec::new(), Stack::default());
        for (index, layer) in layers.iter().enumerate() {
            let parsed = parse::parse(layer, index);
            if layer.is_guest() {
                stack.add(parsed);
                continue;
            }
            let mut found = parsed.problems;
            found.extend(parsed.unreadable);
            found.extend(check::duplicates(&parsed.rows));
            found.extend(check::rows(&parsed.rows));
            found.sort_by_key(|p| p.place.span.start);
            problems.extend(found);
            stack.lay(parsed.rows);
        }
        none_of(problems)?;
        let mut registry = Self { stack };
        loop {
            let Links { wrong, out } = check::links(&registry, &registry.stack.rows);
            if out.is_empty() {
                none_of(wrong)?;
                return Ok(registry);
            }
            // Of several reasons the first is enough.
            for problem in out {
                registry.stack.leave_out(problem);
            }
        }
    }

    /// What is wrong with rows that plugins brought and that are therefore not used.
    pub fn set_aside(&self) -> &[Problem] {
        &self.stack.aside
    }

    /// Encoders in the order of the files.
    pub fn encoders(&self) -> impl ExactSizeIterator<Item = &EncoderRow> {
        self.stack.rows.encoders.iter().map(|e| &e.row)
    }

    /// Connectors in the order of the files.
    pub fn connectors(&self) -> impl ExactSizeIterator<Item = &ConnectorRow> {
        self.stack.rows.connectors.iter().map(|e| &e.row)
    }

    /// Ensembles in the order of the files.
    pub fn ensembles(&self) -> impl ExactSizeIterator<Item = &EnsembleRow> {
        self.stack.rows.ensembles.iter().map(|e| &e.row)
    }

    /// Language models in the order of the files.
    pub fn llms(&self) -> impl ExactSizeIterator<Item = &LlmRow> {
        self.stack.rows.llms.iter().map(|e| &e.row)
    }

    /// Models in the order of the files.
    pub fn models(&self) -> impl ExactSizeIterator<Item = &ModelRow> {
        self.stack.rows.models.iter().map(|e| &e.row)
    }

    /// Kinds of language models in the order of the files.
    pub fn decoders(&self) -> impl DoubleEndedIterator<Item = &DecoderRow> + ExactSizeIterator {
        self.stack.rows.decoders.iter().map(|e| &e.row)
    }

    /// Kinds of connectors in the order of the files.
    pub fn projectors(&self) -> impl DoubleEndedIterator<Item = &ProjectorRow> + ExactSizeIterator {
        self.stack.rows.projectors.iter().map(|e| &e.row)
    }

    /// The encoder of this id, alias or tower name without suffixes.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest names; [`LookupError::SetAside`] if a plugin's row of that name is
    /// wrong.
    pub fn encoder(&self, name: &str) -> Result<&EncoderRow, LookupError> {
        self.find_encoder(name).ok_or_else(|| self.unknown(Kind::Encoder, name))
    }

    /// The connector of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids; [`LookupError::SetAside`] if a plugin's row of that id, or one
    /// that this row needs, is wrong.
    pub fn connector(&self, id: &str) -> Result<&ConnectorRow, LookupError> {
        self.connectors().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Connector, id))
    }

    /// The ensemble of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids; [`LookupError::SetAside`] if a plugin's row of that id, or one
    /// that this row needs, is wrong.
    pub fn ensemble(&self, id: &str) -> Result<&EnsembleRow, LookupError> {
        self.ensembles().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Ensemble, id))
    }

    /// The language model of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids; [`LookupError::SetAside`] if a plugin's row of that id, or one
    /// that this row needs, is wrong.
    pub fn llm(&self, id: &str) -> Result<&LlmRow, LookupError> {
        self.llms().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Llm, id))
    }

    /// The model of this id.
    ///
    /// # Errors
    /// [`LookupError::Unknown`] with the nearest ids; [`LookupError::SetAside`] if a plugin's row of that id, or one
    /// that this row needs, is wrong.
    pub fn model(&self, id: &str) -> Result<&ModelRow, LookupError> {
        self.models().find(|row| row.id == id).ok_or_else(|| self.unknown(Kind::Model, id))
    }

    /// The kind of language model whose `config.json` has this `model_type`; of several, the last one, so that
    /// later files win.
    ///
    /// # Errors
    /// [`LookupError::Type`] with all that can be read; [`LookupError::SetAside`] if a plugin's row for it is
    /// wrong.
    pub fn decoder_for_model_type(&self, model_type: &str) -> Result<&DecoderRow, LookupError> {
        let found = self.decoders().rev().find(|row| row.model_types.iter().any(|t| t == model_type));
        found.ok_or_else(|| {
            self.untyped(Kind::Decoder, model_type, self.decoders().flat_map(|row| &row.model_types))
        })
    }

    /// The kind of language model whose GGUF files have this `general.architecture`; of several, the last one.
    ///
    /// # Errors
    /// As for [`Registry::decoder_for_model_type`].
    pub fn decoder_for_gguf(&self, architecture: &str) -> Result<&DecoderRow, LookupError> {
        let found = self.decoders().rev().find(|row| row.gguf.iter().any(|t| t == architecture));
        found.ok_or_else(|| {
            self.untyped(Kind::Decoder, architecture, self.decoders().flat_map(|row| &row.gguf))
        })
    }

    /// The kind of connector with this `mm_projector_type`, and the number in its name, if it has one; of several, the
    /// last one.
    ///
    /// # Errors
    /// As for [`Registry::decoder_for_model_type`].
    pub fn projector(&self, name: &str) -> Result<(&ProjectorRow, TypeNumber<'_>), LookupError> {
        let found = self.projectors().rev().find_map(|row| {
            let number = row.types.iter().find_map(|pattern| matched(pattern, name))?;
            Some((row, number))
        });
        found.ok_or_else(|| self.untyped(Kind::Projector, name, self.projectors().flat_map(|row| &row.types)))
    }

    /// Why there is no row for what a file calls itself; `known` is what could be read.
    fn untyped<'a>(&self, kind: Kind, name: &str, known: impl Iterator<Item = &'a String>) -> LookupError {
        let absent = self.unused(kind, name);
        absent.unwrap_or_else(|| LookupError::Type {
            kind,
            name: name.to_owned(),
            known: known.cloned().collect(),
        })
    }

    /// An encoder and what its name says of it: an id, alias or tower name, with the suffixes of [`Tower`] or with
    /// `@R` for an image of `R × R` pixels.
    ///
    /// # Errors
    /// [`LookupError`] when there is no such encoder, or it cannot do what the suffixes say.
    pub fn select(&self, name: &str) -> Result<Selection<'_>, LookupError> {
        let (row, tower) = self.resolve(name)?;
        let Some(tower) = tower else { return Ok(Selection::of(row)) };
        Selection::of(row)
            .with_tower(&tower)
            .and_then(|selection| selection.check().map(|()| selection))
            .map_err(|fault| LookupError::Selection { name: name.to_owned(), message: fault.message })
    }

    /// [`Registry::select`] of an encoder that takes the place of the tower `tower`: each suffix of that tower
    /// (resolution, stages, tokens) stays unless `name` has one of its kind.
    ///
    /// # Errors
    /// As for [`Registry::select`].
    pub fn select_for(&self, name: &str, tower: &str) -> Result<Selection<'_>, LookupError> {
        let replaced = match self.resolve(tower) {
            Ok((_, suffixes)) => suffixes,
            // A tower that is not in the registry may still have suffixes.
            Err(_) => Tower::parse(tower).ok(),
        };
        let (row, own) = self.resolve(name)?;
        let none = Tower { base: name, multi_stage: false, resolution: None, tokens: None };
        let joined = own.unwrap_or(none).over(&replaced.unwrap_or(none));
        Selection::of(row)
            .with_tower(&joined)
            .and_then(|selection| selection.check().map(|()| selection))
            .map_err(|fault| {
                let name = format!("{name}` in the place of `{tower}");
                LookupError::Selection { name, message: fault.message }
            })
    }

    /// The encoder of [`Registry::select`], and the suffixes of the name if it has any.
    pub(crate) fn resolve<'n>(&self, name: &'n str) -> Result<(&EncoderRow, Option<Tower<'n>>), LookupError> {
        if let Some(row) = self.find_encoder(name) {
            return Ok((row, None));
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
        Ok((row, Some(tower)))
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

    pub(crate) fn rows(&self) -> &Rows {
        &self.stack.rows
    }

    /// Where the row of this kind and id was written.
    pub fn origin(&self, kind: Kind, id: &str) -> Option<Origin> {
        let row = self.rows().get(kind, id)?;
        let place = row.source().place(row.spans().span.clone());
        Some(Origin { file: place.file, line: place.line })
    }

    fn find_encoder(&self, name: &str) -> Option<&EncoderRow> {
        self.encoders().find(|row| row.id == name).or_else(|| {
            self.encoders().find(|row| row.other_names().any(|(_, other)| other.eq_ignore_ascii_case(name)))
        })
    }

    /// Why a row of this name is not used, where there is one.
    fn unused(&self, kind: Kind, name: &str) -> Option<LookupError> {
        let mut absent = self.stack.absent.iter().rev();
        let out = absent
            .find(|out| out.kind == kind && out.names.iter().any(|other| other.eq_ignore_ascii_case(name)))?;
        Some(LookupError::SetAside { kind, name: name.to_owned(), problem: Box::new(out.problem.clone()) })
    }

    fn unknown(&self, kind: Kind, name: &str) -> LookupError {
        if let Some(error) = self.unused(kind, name) {
            return error;
        }
        let candidates = self.names(kind);
        let elsewhere = Kind::ALL.into_iter().find(|&k| k != kind && self.names(k).contains(&name));
        LookupError::Unknown { kind, name: name.to_owned(), nearest: nearest(name, candidates), elsewhere }
    }

    /// Every name under which a row of this kind can be found.
    pub fn names(&self, kind: Kind) -> Vec<&str> {
        let rows = self.rows().all().filter(|row| row.kind() == kind);
        rows.flat_map(|row| {
            let others = row.other_names().into_iter().map(|(_, name)| name);
            std::iter::once(row.id()).chain(others)
        })
        .collect()
    }
}

fn none_of(problems: Vec<Problem>) -> Result<(), RegistryError> {
    if problems.is_empty() { Ok(()) } else { Err(RegistryError { problems }) }
}
