//! Rows of the registry held against the plugins that they name. A row is data that somebody wrote; only its plugin
//! knows whether there is such an architecture, whether its numbers are numbers of it, and what shapes they make.

use serde_json::{Map, Value};
use zoo_core::sdk::{Inspection, ObjectKind};
use zoo_core::{
    ConnectorDescriptor, EmbeddingInfo, EncoderDescriptor, Error, Layers, LlmDescriptor, Precision,
    Resolution, Spec, TextDescriptor,
};
use zoo_registry::{ConnectorRow, EncoderRow, Kind, LlmRow, OneOrMany, Problem, Registry, Row, TextRow};

use crate::plugins::{PluginDoor, PluginError};
use crate::{HostError, Zoo};

/// What plugins say of rows.
#[derive(Debug, Clone, Default)]
pub struct Judgement {
    /// What is wrong, in the order of the rows.
    pub problems: Vec<Problem>,
    /// Rows that could not be judged, because their plugin is not on this machine: the first of each plugin by name, and
    /// how many more there are.
    pub unjudged: Vec<String>,
    absent: Vec<Absent>,
}

/// A plugin that is not on this machine.
#[derive(Debug, Clone)]
struct Absent {
    plugin: String,
    /// About the first row that names it.
    first: String,
    hint: String,
    more: usize,
}

impl Zoo {
    /// Holds the rows that stand in `file` against their plugins; all rows without one. Rows of a plugin that are not
    /// used ([`Registry::set_aside`]) are not among them.
    pub fn judge(&self, file: Option<&str>) -> Judgement {
        self.judge_rows(&self.registry().written_in(file))
    }

    /// [`Zoo::judge`] for these rows.
    pub fn judge_rows(&self, rows: &[(Kind, String)]) -> Judgement {
        let door = |name: &str| self.plugins().get(name);
        let names = || self.plugins().names();
        Judge { registry: self.registry(), door: &door, names: &names }.rows(rows)
    }
}

/// Asks plugins, wherever they come from.
pub(crate) struct Judge<'a> {
    pub registry: &'a Registry,
    pub door: &'a dyn Fn(&str) -> Result<PluginDoor, PluginError>,
    /// Names of the plugins that there are.
    pub names: &'a dyn Fn() -> Vec<String>,
}

/// A value of a row that its plugin contradicts.
pub(crate) struct Misfit {
    /// Dotted path of the value.
    path: &'static str,
    message: String,
    help: Option<String>,
}

impl Judge<'_> {
    pub fn rows(&self, rows: &[(Kind, String)]) -> Judgement {
        let mut judgement = Judgement::default();
        for (kind, id) in rows {
            self.row(*kind, id, &mut judgement);
        }
        for Absent { first, hint, more, .. } in std::mem::take(&mut judgement.absent) {
            let more = match more {
                0 => String::new(),
                1 => ", and one more row names it".to_owned(),
                more => format!(", and {more} more rows name it"),
            };
            judgement.unjudged.push(format!("{first}{more}{hint}"));
        }
        judgement
    }

    fn row(&self, kind: Kind, id: &str, to: &mut Judgement) {
        let r = self.registry;
        match kind {
            Kind::Encoder => {
                if let Some(row) = r.encoders().find(|row| row.id == id)
                    && let Some(found) = self.ask(row, ObjectKind::Encoder, &row.arch, to)
                    && let Ok(said) = found.descriptor::<EncoderDescriptor>()
                {
                    let misfits = encoder_shapes(row, &said).into_iter().chain(encoder_use(row, &said));
                    self.misfits(row, misfits.collect(), to);
                    if let Some(text) = &row.text {
                        self.text(row, text, found.embedding.as_ref(), to);
                    }
                }
            }
            Kind::Connector => {
                if let Some(row) = r.connectors().find(|row| row.id == id)
                    && let Some(found) = self.ask(row, ObjectKind::Connector, &row.arch, to)
                    && let Ok(said) = found.descriptor::<ConnectorDescriptor>()
                {
                    self.misfits(row, connector_shapes(row, &said), to);
                }
            }
            Kind::Llm => {
                // Without numbers of its own, a row leaves them to the `config.json` beside its weights.
                if let Some(row) = r.llms().find(|row| row.id == id && row.arch.is_empty()) {
                    self.door(row, ObjectKind::Llm, to);
                } else if let Some(row) = r.llms().find(|row| row.id == id)
                    && let Some(found) = self.ask(row, ObjectKind::Llm, &row.arch, to)
                    && let Ok(said) = found.descriptor::<LlmDescriptor>()
                {
                    self.misfits(row, llm_shapes(row, &said), to);
                }
            }
            Kind::Decoder => {
                if let Some(row) = r.decoders().find(|row| row.id == id) {
                    self.door(row, ObjectKind::Llm, to);
                }
            }
            Kind::Projector => {
                if let Some(row) = r.projectors().find(|row| row.id == id) {
                    self.door(row, ObjectKind::Connector, to);
                }
            }
            Kind::Ensemble | Kind::Model => {}
        }
    }

    /// The text tower of an encoder's model: what its plugin says of it, and that its vectors and those of images meet.
    fn text(&self, row: &EncoderRow, text: &TextRow, images: Option<&EmbeddingInfo>, to: &mut Judgement) {
        let Ok(door) = (self.door)(&row.plugin) else { return };
        let found = door.inspect(ObjectKind::Text, &text_spec(row, text, Precision::default()));
        let said = found.and_then(|found| found.descriptor::<TextDescriptor>());
        let fault = match (said, images) {
            (Err(error), _) => ("text.architecture", error.to_string()),
            (Ok(_), None) => {
                ("text", "it has a text tower, and its plugin makes no vectors of images".to_owned())
            }
            (Ok(said), Some(images)) if said.width != images.width => (
                "text.arch",
                format!("texts become vectors of {} numbers, and images of {}", said.width, images.width),
            ),
            (Ok(said), _) if said.filled && text.pad.is_none() => (
                "text",
                "its text tower wants every text filled up: `pad` names the token for that".to_owned(),
            ),
            _ => return,
        };
        let at = (Kind::Encoder, row.id.as_str());
        to.problems.extend(self.registry.objection(at, fault.0, fault.1, None));
    }

    fn misfits<R: Row>(&self, row: &R, misfits: Vec<Misfit>, to: &mut Judgement) {
        let problem = |m: Misfit| self.registry.objection((R::KIND, row.id()), m.path, m.message, m.help);
        to.problems.extend(misfits.into_iter().filter_map(problem));
    }

    /// The plugin of a row, if it is here and has the row's architecture.
    fn door<R: Row>(&self, row: &R, object: ObjectKind, to: &mut Judgement) -> Option<PluginDoor> {
        let (plugin, architecture) = row.plugin()?;
        let at = (R::KIND, row.id());
        let door = match (self.door)(plugin) {
            Ok(door) => door,
            Err(PluginError::NotFound { .. }) => {
                if let Some(absent) = to.absent.iter_mut().find(|absent| absent.plugin == plugin) {
                    absent.more += 1;
                    return None;
                }
                let place = self.registry.origin(R::KIND, row.id());
                let place = place.map_or_else(String::new, |o| format!("{}:{}: ", o.file, o.line));
                let near = zoo_registry::nearest(plugin, (self.names)().iter().map(String::as_str));
                let hint = near.first().map_or_else(String::new, |n| format!("; did you mean `{n}`?"));
                let (kind, id) = (R::KIND, row.id());
                let first = format!(
                    "{place}the {kind} `{id}` was not judged: its plugin `{plugin}` is not on this machine"
                );
                to.absent.push(Absent { plugin: plugin.to_owned(), first, hint, more: 0 });
                return None;
            }
            Err(error) => {
                to.problems.extend(self.registry.objection(at, "plugin", error.to_string(), None));
                return None;
            }
        };
        let there = door.provides().of(object).to_vec();
        if there.iter().any(|a| a == architecture) {
            return Some(door);
        }
        let message = format!("the plugin `{plugin}` has no {object} architecture `{architecture}`");
        let known = there.iter().map(String::as_str);
        let what = if there.is_empty() { "it has none" } else { "it has" };
        to.problems.extend(self.registry.unknown_value(
            at,
            "architecture",
            message,
            (what, known),
            architecture,
        ));
        None
    }

    /// What the plugin of a row would open.
    fn ask<R: Row>(
        &self,
        row: &R,
        object: ObjectKind,
        arch: &Map<String, Value>,
        to: &mut Judgement,
    ) -> Option<Inspection> {
        let door = self.door(row, object, to)?;
        let at = (R::KIND, row.id());
        match door.inspect(object, &spec(row, arch, Precision::default())) {
            Ok(found) => return Some(found),
            Err(Error::Arch { message, .. }) => {
                to.problems.extend(self.registry.arch_objection(at, &message));
            }
            // A plugin that is written against the bare wire need not be able to.
            Err(Error::Unsupported { .. }) => to.unjudged.push(format!(
                "the {} `{}` was not judged: its plugin `{}` tells nothing without weights",
                R::KIND,
                row.id(),
                door.name()
            )),
            Err(error) => {
                to.problems.extend(self.registry.objection(at, "architecture", error.to_string(), None));
            }
        }
        None
    }
}

/// What the plugin of a row is told.
pub(crate) fn spec<R: Row>(row: &R, arch: &Map<String, Value>, precision: Precision) -> Spec {
    let architecture = row.plugin().map_or_else(String::new, |(_, architecture)| architecture.to_owned());
    Spec { id: row.id().to_owned(), architecture, arch: arch.clone(), precision }
}

/// What the plugin of a row is told of its text tower.
pub(crate) fn text_spec(row: &EncoderRow, text: &TextRow, precision: Precision) -> Spec {
    let (architecture, arch) = (text.architecture.clone(), text.arch.clone());
    Spec { id: row.id.clone(), architecture, arch, precision }
}

/// The first misfit of a row as an error, for whoever opens it.
pub(crate) fn refuse<R: Row>(registry: &Registry, row: &R, misfits: Vec<Misfit>) -> Result<(), HostError> {
    let Some(Misfit { path, message, help }) = misfits.into_iter().next() else { return Ok(()) };
    let help = help.map_or_else(String::new, |help| format!("; {help}"));
    let problem = registry.objection((R::KIND, row.id()), path, message, None);
    let words = problem.map_or_else(String::new, |p| {
        format!("{}:{}: the {} `{}`: {}", p.place.file, p.place.line, R::KIND, row.id(), p.message)
    });
    Err(HostError::Mismatch(format!("{words}{help}")))
}

/// What a row says of the layers of an encoder.
pub(crate) fn encoder_shapes(row: &EncoderRow, said: &EncoderDescriptor) -> Vec<Misfit> {
    let per_layer = |path: &'static str, written: &OneOrMany<usize>, given: Vec<usize>| {
        let fits = match written {
            OneOrMany::One(one) => given.iter().all(|n| n == one),
            OneOrMany::Many(many) => *many == given,
        };
        let right = match given.as_slice() {
            [one, rest @ ..] if rest.iter().all(|n| n == one) => one.to_string(),
            many => format!("{many:?}"),
        };
        let wrong = match written {
            OneOrMany::One(one) => one.to_string(),
            OneOrMany::Many(many) => format!("{many:?}"),
        };
        (!fits).then(|| Misfit {
            path,
            message: format!("`{path}` is {wrong}, but its plugin gives {right}"),
            help: Some(format!("write `{path} = {right}`, or correct `arch`")),
        })
    };
    let layers = || said.layers.iter();
    let channels = per_layer("channels", &row.channels, layers().map(|l| l.channels).collect());
    let strides = per_layer("stride", &row.stride, layers().map(|l| l.stride).collect());
    let parameters = row.parameters.filter(|&written| written != said.parameters).map(|written| Misfit {
        path: "parameters",
        message: format!("`parameters` is {written}, but its plugin counts {}", said.parameters),
        help: Some(format!("write `parameters = {}`, or correct `arch`", said.parameters)),
    });
    channels.into_iter().chain(strides).chain(parameters).collect()
}

/// How a row uses an encoder.
fn encoder_use(row: &EncoderRow, said: &EncoderDescriptor) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    if let Err(error) = Layers::Indices(row.select.layers.clone()).resolve(said.layers.len()) {
        misfits.push(Misfit { path: "select.layers", message: error.to_string(), help: None });
    }
    if row.select.norm && !said.final_norm {
        let message = "there is no final norm to apply".to_owned();
        misfits.push(Misfit { path: "select.norm", message, help: Some("write `norm = false`".into()) });
    }
    let side = row.resolution;
    if let Some(Err(error)) =
        (0..said.layers.len()).map(|layer| said.grid(layer, side, side)).find(Result::is_err)
    {
        let help = match said.resolution {
            Resolution::Fixed => Some(format!("write `resolution = {}`", said.native)),
            _ => None,
        };
        misfits.push(Misfit { path: "resolution", message: error.to_string(), help });
    }
    misfits
}

/// What a row says of what a connector takes and gives.
pub(crate) fn connector_shapes(row: &ConnectorRow, said: &ConnectorDescriptor) -> Vec<Misfit> {
    let mut misfits = Vec::new();
    let mut compare = |path: &'static str, what: &str, written: String, given: String| {
        if written != given {
            let message = format!("{what} {written} by its row, but {given} by its plugin");
            misfits.push(Misfit { path, message, help: None });
        }
    };
    let inputs = row.inputs();
    let channels: Vec<usize> = inputs.iter().map(|i| i.channels).collect();
    let taken: Vec<usize> = said.inputs.iter().map(|i| i.channels).collect();
    compare("arch.inputs", "it takes channels", format!("{channels:?}"), format!("{taken:?}"));
    let tokens: Vec<Option<usize>> = inputs.iter().map(|i| i.tokens).collect();
    let fixed: Vec<Option<usize>> = said.inputs.iter().map(|i| i.tokens).collect();
    // What one of both leaves open is no contradiction.
    if tokens.iter().zip(&fixed).any(|(a, b)| a.zip(*b).is_some_and(|(a, b)| a != b)) {
        let list = |all: &[Option<usize>]| {
            all.iter()
                .map(|n| n.map_or_else(|| "any".into(), |n| n.to_string()))
                .collect::<Vec<_>>()
                .join(", ")
        };
        compare("arch", "it takes tokens", list(&tokens), list(&fixed));
    }
    compare("arch.output", "it gives a width of", row.output().to_string(), said.output.to_string());
    if let (Some(tokens), Some(side)) = (row.tokens(), said.side) {
        compare(
            "arch.image_token_len",
            "tokens that it gives are",
            tokens.to_string(),
            (side * side).to_string(),
        );
    }
    misfits
}

fn llm_shapes(row: &LlmRow, said: &LlmDescriptor) -> Vec<Misfit> {
    if row.hidden == said.hidden {
        return Vec::new();
    }
    let message = format!("`hidden` is {}, but its plugin gives {}", row.hidden, said.hidden);
    let help = Some(format!("write `hidden = {}`, or correct `arch`", said.hidden));
    vec![Misfit { path: "hidden", message, help }]
}
