//! A model taken apart, for whoever opens its connector and its language model in a way of their own: training.

use std::path::PathBuf;

use candle_core::Device;
use zoo_core::sdk::{Inspection, Plugin};
use zoo_core::weights::{TensorInfo, Weights};
use zoo_core::{Connector, LanguageModel, Spec};
use zoo_language::template::Template;
use zoo_language::tokens::Tokenizer;
use zoo_release::Release;

use super::open::{template, tokenizer};
use super::parts::ModelParts;
use super::request::ModelRequest;
use crate::encoder::{EncoderRequest, EncoderSession};
use crate::inspect::EncoderInspection;
use crate::opening::Opening;
use crate::{HostError, Zoo};

/// The parts of a model. No weights are read yet.
pub struct Pieces {
    /// What its folder says.
    pub release: Release,
    /// Its conversation template.
    pub template: &'static Template,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Its connector; none for a language model on its own.
    pub connector: Option<Piece>,
    /// Its language model.
    pub llm: Piece,
    /// Its encoders, in tower order.
    pub encoders: Vec<EncoderPiece>,
}

/// An encoder that is yet to be opened.
pub struct EncoderPiece {
    /// Registry id.
    pub id: String,
    /// The tensors of its checkpoint in the usual layout.
    pub tensors: Vec<TensorInfo>,
    /// Whether its plugin gives gradients.
    pub vjp: bool,
    closed: EncoderSession,
}

/// A connector or a language model that is yet to be opened.
pub struct Piece {
    /// Id, architecture and numbers.
    pub spec: Spec,
    /// The tensors of its checkpoint in the usual layout.
    pub tensors: Vec<TensorInfo>,
    /// The files in which they stand, alone or among others.
    pub weights: Vec<PathBuf>,
    plugin: Result<&'static Plugin, String>,
}

impl EncoderPiece {
    /// Its plugin.
    pub fn plugin(&self) -> &str {
        self.closed.opening().plugin()
    }

    /// The files of its weights.
    pub fn weights(&self) -> &[PathBuf] {
        &self.closed.opening().options.weights
    }

    /// Opens it; `trainable` with its weights as variables, through whichever door.
    ///
    /// # Errors
    /// Those of its plugin.
    pub fn open(&self, trainable: bool) -> Result<EncoderSession, HostError> {
        self.closed.opened(trainable)
    }
}

impl Piece {
    fn new((opening, inspection): (Opening, Inspection)) -> Self {
        let plugin = opening.linked().ok_or_else(|| opening.plugin().to_owned());
        Self { spec: opening.spec, tensors: inspection.tensors, weights: opening.options.weights, plugin }
    }

    /// The plugin, which must be linked into the program: no graph passes a dynamic library.
    ///
    /// # Errors
    /// [`HostError::Mismatch`] naming the plugin.
    pub fn plugin(&self) -> Result<&'static Plugin, HostError> {
        self.plugin.as_ref().map(|plugin| *plugin).map_err(|name| {
            HostError::Mismatch(format!(
                "{}: plugin `{name}` is a library, through which no gradient passes; what is trained must be linked \
                 into the program",
                self.spec.id
            ))
        })
    }

    /// Opens a connector from `weights`.
    ///
    /// # Errors
    /// As [`Piece::plugin`]; those of the plugin.
    pub fn open_connector(
        &self,
        weights: &Weights,
        device: &Device,
    ) -> Result<Box<dyn Connector>, HostError> {
        Ok(self.plugin()?.open_connector(&self.spec, weights, device)?)
    }

    /// Opens a language model from `weights`.
    ///
    /// # Errors
    /// As [`Piece::open_connector`].
    pub fn open_llm(&self, weights: &Weights, device: &Device) -> Result<Box<dyn LanguageModel>, HostError> {
        Ok(self.plugin()?.open_llm(&self.spec, weights, device)?)
    }
}

impl Zoo {
    /// The parts of the model of `request`. Everything that can be told without weights is checked.
    ///
    /// # Errors
    /// As [`Zoo::model`].
    pub fn pieces(&self, request: &ModelRequest) -> Result<Pieces, HostError> {
        let parts = self.parts(request)?;
        if parts.composed {
            return Err(HostError::Mismatch(format!(
                "{}: a model that is put together from registry rows has no folder to be trained from; write a folder \
                 with its config.json and a zoo.toml (docs/training.md)",
                parts.release.name
            )));
        }
        let template = template(&parts.release, request.template.as_deref())?;
        let tokenizer = tokenizer(&parts.release, template)?;
        let closed = self.closed_eyes(&parts)?.into_members();
        let ModelParts { release, connector, llm, encoders, .. } = parts;
        let piece =
            |(closed, (_, found)): (EncoderSession, (EncoderRequest, EncoderInspection))| EncoderPiece {
                id: closed.id().to_owned(),
                tensors: found.tensors,
                vjp: found.descriptor.vjp,
                closed,
            };
        let encoders = closed.into_iter().zip(encoders).map(piece).collect();
        let (connector, llm) = (connector.map(Piece::new), Piece::new(llm));
        Ok(Pieces { release, template, tokenizer, connector, llm, encoders })
    }
}
