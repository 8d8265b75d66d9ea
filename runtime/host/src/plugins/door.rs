//! The two doors, alike.

use std::sync::Arc;

use zoo_core::sdk::{InspectRequest, Inspection, ObjectKind, OpenOptions, Plugin, Provides};
use zoo_core::{Connector, Encoder, LanguageModel, Result, Spec, TextTower};

use super::LoadedPlugin;
use super::foreign::{ForeignConnector, ForeignEncoder, ForeignLlm, ForeignText};

/// A plugin, linked in or loaded. Cheap to clone.
#[derive(Clone)]
pub enum PluginDoor {
    /// Linked into this program.
    Static(&'static Plugin),
    /// Loaded from a library.
    Dynamic(Arc<LoadedPlugin>),
}

impl PluginDoor {
    /// Plugin name.
    pub fn name(&self) -> &str {
        match self {
            Self::Static(plugin) => plugin.name,
            Self::Dynamic(plugin) => &plugin.manifest().name,
        }
    }

    /// Plugin version.
    pub fn version(&self) -> &str {
        match self {
            Self::Static(plugin) => plugin.version,
            Self::Dynamic(plugin) => &plugin.manifest().version,
        }
    }

    /// Architectures.
    pub fn provides(&self) -> Provides {
        match self {
            Self::Static(plugin) => plugin.identity().provides,
            Self::Dynamic(plugin) => plugin.manifest().provides.clone(),
        }
    }

    /// Opens an encoder.
    ///
    /// # Errors
    /// An architecture that the plugin does not have, weights that do not fit, a device that is not there; a
    /// panic of a loaded plugin.
    pub fn open_encoder(&self, spec: &Spec, options: &OpenOptions) -> Result<Box<dyn Encoder>> {
        match self {
            Self::Static(plugin) => {
                plugin.open_encoder(spec, &options.weights(spec)?, &options.device.open()?)
            }
            Self::Dynamic(plugin) => {
                let foreign = plugin.foreign(ObjectKind::Encoder, spec, options)?;
                Ok(Box::new(ForeignEncoder::new(foreign)?))
            }
        }
    }

    /// Opens a connector.
    ///
    /// # Errors
    /// As [`PluginDoor::open_encoder`].
    pub fn open_connector(&self, spec: &Spec, options: &OpenOptions) -> Result<Box<dyn Connector>> {
        match self {
            Self::Static(plugin) => {
                plugin.open_connector(spec, &options.weights(spec)?, &options.device.open()?)
            }
            Self::Dynamic(plugin) => {
                let foreign = plugin.foreign(ObjectKind::Connector, spec, options)?;
                Ok(Box::new(ForeignConnector::new(foreign)?))
            }
        }
    }

    /// Opens a language model.
    ///
    /// # Errors
    /// As [`PluginDoor::open_encoder`].
    pub fn open_llm(&self, spec: &Spec, options: &OpenOptions) -> Result<Box<dyn LanguageModel>> {
        match self {
            Self::Static(plugin) => plugin.open_llm(spec, &options.weights(spec)?, &options.device.open()?),
            Self::Dynamic(plugin) => {
                let foreign = plugin.foreign(ObjectKind::Llm, spec, options)?;
                Ok(Box::new(ForeignLlm::new(foreign)?))
            }
        }
    }

    /// Opens a text tower.
    ///
    /// # Errors
    /// As [`PluginDoor::open_encoder`].
    pub fn open_text(&self, spec: &Spec, options: &OpenOptions) -> Result<Box<dyn TextTower>> {
        match self {
            Self::Static(plugin) => plugin.open_text(spec, &options.weights(spec)?, &options.device.open()?),
            Self::Dynamic(plugin) => {
                let foreign = plugin.foreign(ObjectKind::Text, spec, options)?;
                Ok(Box::new(ForeignText::new(foreign)?))
            }
        }
    }

    /// What an object would be, and the tensors that it would read in its usual layout. No weights are needed.
    ///
    /// # Errors
    /// As [`PluginDoor::open_encoder`].
    pub fn inspect(&self, kind: ObjectKind, spec: &Spec) -> Result<Inspection> {
        self.inspect_with(
            kind,
            InspectRequest { spec: spec.clone(), layout: None, dims: None, vectors: false },
        )
    }

    /// [`PluginDoor::inspect`] with the cost of a call on `[batch, height, width]`.
    ///
    /// # Errors
    /// As [`PluginDoor::open_encoder`].
    pub fn inspect_at(&self, kind: ObjectKind, spec: &Spec, dims: [usize; 3]) -> Result<Inspection> {
        self.inspect_with(
            kind,
            InspectRequest { spec: spec.clone(), layout: None, dims: Some(dims), vectors: false },
        )
    }

    /// [`PluginDoor::inspect`] in full.
    ///
    /// # Errors
    /// As [`PluginDoor::open_encoder`].
    pub fn inspect_with(&self, kind: ObjectKind, request: InspectRequest) -> Result<Inspection> {
        match self {
            Self::Static(plugin) => plugin.inspect(kind, &request),
            Self::Dynamic(plugin) => plugin.inspect(kind, &request),
        }
    }
}
