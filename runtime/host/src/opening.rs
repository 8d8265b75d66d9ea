//! The one way from a description to an opened object of a plugin.

use std::path::PathBuf;

use zoo_core::sdk::{DeviceName, Inspection, OpenOptions, Plugin};
use zoo_core::{Connector, Encoder, LanguageModel, Quantisation, Spec, TextTower};

use crate::plugins::{ObjectKind, PluginDoor};
use crate::weights::WeightedRow;
use crate::{HostError, Zoo};

/// An object of a plugin that can be opened, as often as somebody likes: its plugin is loaded and its files are there, but
/// no weights are read yet.
#[derive(Clone)]
pub(crate) struct Opening {
    door: PluginDoor,
    object: ObjectKind,
    pub spec: Spec,
    pub options: OpenOptions,
    /// Whether its numbers come from a seed.
    pub untrained: bool,
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

    /// What it will be.
    pub fn inspect(&self) -> Result<Inspection, HostError> {
        Ok(self.door.inspect(self.object, &self.spec)?)
    }

    pub fn encoder(&self) -> Result<Box<dyn Encoder>, HostError> {
        Ok(self.door.open_encoder(&self.spec, &self.options)?)
    }

    pub fn connector(&self) -> Result<Box<dyn Connector>, HostError> {
        Ok(self.door.open_connector(&self.spec, &self.options)?)
    }

    pub fn text(&self) -> Result<Box<dyn TextTower>, HostError> {
        Ok(self.door.open_text(&self.spec, &self.options)?)
    }

    pub fn llm(&self) -> Result<Box<dyn LanguageModel>, HostError> {
        Ok(self.door.open_llm(&self.spec, &self.options)?)
    }
}

impl Zoo {
    /// What opens the object of a registry row; `replacement` are weights that the user brings.
    pub(crate) fn opening(
        &self,
        row: &WeightedRow<'_>,
        replacement: Option<PathBuf>,
    ) -> Result<Opening, HostError> {
        let door = self.plugins().get(row.plugin)?;
        let replaced = replacement.is_some();
        let (weights, untrained) = self.files(row, replacement)?;
        // A file that the user brings need not have the layout that the row insists on.
        let layout = row.weights.and_then(zoo_registry::Weights::layout).filter(|_| !replaced);
        let options = OpenOptions {
            layout: layout.map(str::to_owned),
            random: self.random().filter(|_| !replaced),
            ..self.options(weights)
        };
        Ok(Opening { door, object: row.object, spec: row.spec.clone(), options, untrained })
    }

    /// What opens an object whose weights stand in these files.
    pub(crate) fn opening_of_files(
        &self,
        plugin: &str,
        object: ObjectKind,
        spec: Spec,
        weights: Vec<PathBuf>,
        quantise: Option<Quantisation>,
    ) -> Result<Opening, HostError> {
        let door = self.plugins().get(plugin)?;
        let options = OpenOptions { quantise, ..self.options(weights) };
        Ok(Opening { door, object, spec, options, untrained: false })
    }

    fn options(&self, weights: Vec<PathBuf>) -> OpenOptions {
        OpenOptions { weights, device: DeviceName::of(self.device()), ..OpenOptions::default() }
    }
}
