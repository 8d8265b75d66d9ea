//! The parts of a model: ready to be opened, and asked what they are beforehand.

use std::path::PathBuf;

use zoo_core::sdk::{DeviceName, Inspection, OpenOptions, Plugin};
use zoo_core::{Connector, LanguageModel, Quantisation, Spec};
use zoo_release::Release;

use super::ModelRequest;
use crate::encoder::EncoderRequest;
use crate::inspect::EncoderInspection;
use crate::plugins::{ObjectKind, PluginDoor};
use crate::{HostError, Zoo};

/// A model folder whose parts were asked for what they are. No weights are read yet.
pub(crate) struct ModelParts {
    pub release: Release,
    pub encoders: Vec<(EncoderRequest, EncoderInspection)>,
    pub connector: Option<Opening>,
    pub llm: Opening,
}

/// Everything that opens a connector or a language model.
pub(crate) struct Opening {
    door: PluginDoor,
    pub spec: Spec,
    pub options: OpenOptions,
    pub inspection: Inspection,
}

impl Opening {
    /// The plugin, where it is linked into this program.
    pub fn linked(&self) -> Option<&'static Plugin> {
        match self.door {
            PluginDoor::Static(plugin) => Some(plugin),
            PluginDoor::Dynamic(_) => None,
        }
    }

    /// Name of the plugin.
    pub fn plugin(&self) -> &str {
        self.door.name()
    }

    pub fn connector(&self) -> Result<Box<dyn Connector>, HostError> {
        Ok(self.door.open_connector(&self.spec, &self.options)?)
    }

    pub fn llm(&self) -> Result<Box<dyn LanguageModel>, HostError> {
        Ok(self.door.open_llm(&self.spec, &self.options)?)
    }
}

impl Zoo {
    /// Reads the folder of `request` and asks the plugins what its parts are.
    pub(crate) fn parts(&self, request: &ModelRequest) -> Result<ModelParts, HostError> {
        let source = self.model_source(&request.model)?;
        let release = Release::read(&source.folder, source.name.as_deref(), self.registry())?;
        let mut encoders = Vec::with_capacity(release.encoders.len());
        for choice in &release.encoders {
            let request = EncoderRequest {
                id: choice.id.clone(),
                weights: choice.weights.clone(),
                arch_override: choice.arch_override.clone(),
                layers: Some(choice.layers.clone()),
                norm: Some(choice.norm),
                prefix: false,
                tokens: choice.tokens,
                resolution: choice.resolution,
            };
            let inspection = self.inspect_encoder(&request)?;
            encoders.push((request, inspection));
        }
        let connector = match &release.connector {
            None => None,
            Some(choice) => {
                let inputs: Vec<_> = encoders.iter().map(|(_, e)| (e.channels, e.grid.cells())).collect();
                let spec = Spec {
                    id: format!("{}-connector", release.name),
                    architecture: choice.architecture.clone(),
                    arch: choice.arch(&inputs),
                    precision: self.precision(),
                };
                let weights = choice.weights.clone();
                Some(self.opening(&choice.plugin, ObjectKind::Connector, spec, weights, None)?)
            }
        };
        let decoder = &release.decoder;
        let spec = Spec {
            id: release.name.clone(),
            architecture: decoder.architecture.clone(),
            arch: decoder.arch.clone(),
            precision: self.precision(),
        };
        let weights = decoder.weights.clone();
        let llm = self.opening(&decoder.plugin, ObjectKind::Llm, spec, weights, request.quantise)?;
        Ok(ModelParts { release, encoders, connector, llm })
    }

    fn opening(
        &self,
        plugin: &str,
        kind: ObjectKind,
        spec: Spec,
        weights: Vec<PathBuf>,
        quantise: Option<Quantisation>,
    ) -> Result<Opening, HostError> {
        let door = self.plugins().get(plugin)?;
        let inspection = door.inspect(kind, &spec)?;
        let device = DeviceName::of(self.device());
        let options = OpenOptions { weights, device, quantise, ..OpenOptions::default() };
        Ok(Opening { door, spec, options, inspection })
    }
}
