//! What an application calls: registry, plugins, weights and device brought together.

use std::path::PathBuf;

use candle_core::Device;
use serde_json::{Map, Value};
use zoo_core::sdk::Plugin;
use zoo_core::{CallOptions, EncoderDescriptor, Precision, Spec, path_text};
use zoo_hub::{Hub, Progress, Settings};
use zoo_registry::{ConnectorRow, EncoderRow, Kind, Layer, Registry, Row, Selection, Weights};

use crate::encoder::{EncoderPlan, EncoderRequest, EncoderSession, Setting};
use crate::eyes::{EnsembleRequest, Eyes, EyesRequest};
use crate::inspect::{ConnectorInspection, EncoderInspection, EnsembleInspection};
use crate::opening::Opening;
use crate::plugins::{ObjectKind, PluginSet};
use crate::weights::{WeightedRow, WeightsStatus, in_folder};
use crate::{DeviceChoice, Folders, HostError, judge};

/// How to open a [`Zoo`].
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Registry files laid over the shipped one, later over earlier.
    pub registries: Vec<PathBuf>,
    /// Plugin folders searched before the usual ones; absolute.
    pub plugin_dirs: Vec<PathBuf>,
    /// Open no socket, whatever is asked for.
    pub offline: bool,
    /// Where to compute.
    pub device: DeviceChoice,
    /// Element type of weights and activations.
    pub precision: Precision,
    /// Let large JPEGs be decoded at a reduced size: several times faster, not byte-exact with Pillow.
    pub fast_resize: bool,
    /// Make the weights of encoders and connectors from this seed, in memory, instead of reading them. What a request
    /// brings itself is read all the same.
    pub random_weights: Option<u64>,
}

/// The registry, the plugins and the device. Opening one loads no plugin and no weights.
pub struct Zoo {
    registry: Registry,
    plugins: PluginSet,
    hub: Hub,
    folders: Folders,
    device: Device,
    precision: Precision,
    fast_resize: bool,
    random: Option<u64>,
}

impl Zoo {
    /// Reads the registry (shipped, rows that plugins bring, the user's `registry.toml`, then
    /// [`Options::registries`]) and the manifests of the plugins, and opens the device.
    ///
    /// # Errors
    /// [`HostError`] for a registry that is wrong and a device that is not there. A plugin that is wrong is an error
    /// only once it is used.
    pub fn open(options: Options) -> Result<Self, HostError> {
        Self::open_in(options, Folders::from_env())
    }

    /// [`Zoo::open`] with the user's folders given instead of taken from the environment.
    ///
    /// # Errors
    /// As [`Zoo::open`].
    pub fn open_in(options: Options, folders: Folders) -> Result<Self, HostError> {
        let device = options.device.open()?;
        let plugins = PluginSet::discover(&options.plugin_dirs, &folders.data)?;
        let mut layers = vec![Layer::shipped()];
        layers.extend(plugins.registry_layers());
        let own = folders.config.join("registry.toml");
        for path in own.is_file().then_some(&own).into_iter().chain(&options.registries) {
            let text = std::fs::read_to_string(path)
                .map_err(|e| HostError::io(path, "cannot read the registry", e))?;
            layers.push(Layer::new(path_text(path).into_owned(), text));
        }
        let registry = Registry::load(&layers)?;
        let mut settings = Settings::from_env()?;
        settings.offline |= options.offline;
        Ok(Self {
            registry,
            plugins,
            hub: Hub::new(settings),
            folders,
            device,
            precision: options.precision,
            fast_resize: options.fast_resize,
            random: options.random_weights,
        })
    }

    /// Adds plugins that are linked into this program; they go before files of the same name.
    #[must_use]
    pub fn with_linked(mut self, plugins: &[&'static Plugin]) -> Self {
        self.plugins = self.plugins.with_linked(plugins);
        self
    }

    /// All rows.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The plugins that were found.
    pub fn plugins(&self) -> &PluginSet {
        &self.plugins
    }

    /// The cache and the way to the Hub.
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The user's folders.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The seed that replaces weight files, if any.
    pub(crate) fn random(&self) -> Option<u64> {
        self.random
    }

    /// Where things compute.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Element type of weights and activations.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Opens an encoder: its plugin, then its weights.
    ///
    /// # Errors
    /// [`HostError`] naming the row, the plugin or the tensors that do not fit.
    pub fn encoder(&self, request: &EncoderRequest) -> Result<EncoderSession, HostError> {
        let selection = self.registry.select(&request.id)?;
        self.open_encoder(&selection, request)
    }

    /// Opens an encoder, or all encoders of an ensemble and its connector.
    ///
    /// # Errors
    /// [`HostError`] of the first part that cannot be opened.
    pub fn eyes(&self, request: &EyesRequest) -> Result<Eyes, HostError> {
        match request {
            EyesRequest::Encoder(request) => Ok(Eyes::one(self.encoder(request)?, self)),
            EyesRequest::Ensemble(request) => self.ensemble(request),
        }
    }

    fn ensemble(&self, request: &EnsembleRequest) -> Result<Eyes, HostError> {
        let row = self.registry.ensemble(&request.id)?;
        let replacement = |id: &str| request.weights.as_deref().and_then(|f| in_folder(f, id));
        if let Some(folder) = request.weights.as_deref().filter(|f| !f.is_dir()) {
            return Err(HostError::WeightsMissing(format!(
                "{}: the weights of an ensemble are a folder with one file or folder per part, named by its id",
                folder.display()
            )));
        }
        let mut members = Vec::with_capacity(row.members.len());
        for member in &row.members {
            let selection = self.registry.member(member)?;
            let request = EncoderRequest {
                id: selection.row.id.clone(),
                weights: replacement(&selection.row.id),
                ..EncoderRequest::default()
            };
            members.push(self.open_encoder(&selection, &request)?);
        }
        let eyes = Eyes::new(row.id.clone(), members, self);
        let Some(id) = row.connector.as_deref().filter(|_| !request.features_only) else { return Ok(eyes) };
        let row = self.registry.connector(id)?;
        let opening = self.opening(&self.connector_part(row), replacement(id))?;
        let connector = opening.connector()?;
        judge::refuse(&self.registry, row, judge::connector_shapes(row, connector.descriptor()))?;
        Ok(eyes.with_connector(connector, opening.untrained))
    }

    /// What an encoder is, without its weights: descriptor, tensors, cost.
    ///
    /// # Errors
    /// [`HostError`] when the row or its plugin is not there, or they disagree.
    pub fn inspect_encoder(&self, request: &EncoderRequest) -> Result<EncoderInspection, HostError> {
        let selection = self.registry.select(&request.id)?;
        self.inspect_selection(&selection, request)
    }

    /// What each part of an ensemble is, without weights. Parts whose plugin is not there carry the error.
    ///
    /// # Errors
    /// [`HostError::Lookup`] when there is no such ensemble.
    pub fn inspect_ensemble(&self, id: &str) -> Result<EnsembleInspection, HostError> {
        let row = self.registry.ensemble(id)?;
        let members = row
            .members
            .iter()
            .map(|member| {
                let selection = self.registry.member(member)?;
                self.inspect_selection(&selection, &EncoderRequest::new(&selection.row.id))
            })
            .collect();
        let connector = match &row.connector {
            Some(id) => {
                let row = self.registry.connector(id)?;
                Some(self.inspect_connector(row))
            }
            None => None,
        };
        Ok(EnsembleInspection { id: row.id.clone(), members, connector })
    }

    /// Where the weights of an encoder are.
    ///
    /// # Errors
    /// [`HostError::Lookup`] when there is no such encoder.
    pub fn weights_status(&self, id: &str) -> Result<WeightsStatus, HostError> {
        Ok(self.status(&self.encoder_part(self.registry.select(id)?.row, None)))
    }

    /// Where the weights of a connector are.
    pub fn connector_status(&self, row: &ConnectorRow) -> WeightsStatus {
        self.status(&self.connector_part(row))
    }

    /// The encoders of `id`, an encoder or an ensemble, whose weights are yet to be downloaded and have terms that
    /// somebody must have accepted. None for any other name.
    ///
    /// # Errors
    /// [`HostError::Lookup`] for an ensemble with a member that is no encoder.
    pub fn terms(&self, id: &str) -> Result<Vec<&EncoderRow>, HostError> {
        let mut rows = Vec::new();
        match (self.registry.ensemble(id), self.registry.select(id)) {
            (Ok(ensemble), _) => {
                for member in &ensemble.members {
                    rows.push(self.registry.member(member)?.row);
                }
            }
            (Err(_), Ok(selection)) => rows.push(selection.row),
            _ => {}
        }
        rows.retain(|row| {
            let missing = || self.status(&self.encoder_part(row, None));
            !row.terms.is_empty() && matches!(missing(), WeightsStatus::Missing { .. })
        });
        Ok(rows)
    }

    /// Downloads the weights of an encoder, a connector, a language model, or all parts of an ensemble or model; of a
    /// sharded checkpoint the shards that the part stands in. Nothing to do for weights that are not on the Hub.
    ///
    /// # Errors
    /// [`HostError::Lookup`] for a name that is none of these, [`HostError::Hub`] for a download that failed.
    pub fn pull(&self, id: &str, progress: &dyn Progress) -> Result<Vec<PathBuf>, HostError> {
        if let Ok(row) = self.registry.ensemble(id) {
            let mut files = Vec::new();
            for member in &row.members {
                let row = self.registry.member(member)?.row;
                files.extend(self.fetch(&self.encoder_part(row, None), progress)?);
            }
            if let Some(connector) = &row.connector {
                let row = self.registry.connector(connector)?;
                files.extend(self.fetch(&self.connector_part(row), progress)?);
            }
            return Ok(files);
        }
        if let Ok(row) = self.registry.model(id) {
            return self.pull_model(row, progress);
        }
        if let Ok(row) = self.registry.llm(id) {
            return self.pull_llm(row, progress);
        }
        if let Ok(row) = self.registry.connector(id) {
            return self.fetch(&self.connector_part(row), progress);
        }
        let row = self.registry.select(id)?.row;
        let mut files = self.fetch(&self.encoder_part(row, None), progress)?;
        files.extend(self.fetch_text(row, progress)?);
        files.dedup();
        Ok(files)
    }

    fn open_encoder(
        &self,
        selection: &Selection<'_>,
        request: &EncoderRequest,
    ) -> Result<EncoderSession, HostError> {
        let (plan, opening) = self.encoder_opening(selection, request)?;
        let session = EncoderSession::open(plan, opening, self.setting())?;
        if request.arch_override.is_none() {
            let said = session.descriptor();
            // What makes vectors is counted too where it was opened; a row counts what maps need.
            let parameters = selection.row.parameters.filter(|_| request.vectors).unwrap_or(said.parameters);
            self.fits(selection.row, &EncoderDescriptor { parameters, ..said.clone() })?;
        }
        session.check(request)?;
        Ok(session)
    }

    /// What is wanted of an encoder, and what opens it.
    pub(crate) fn encoder_opening(
        &self,
        selection: &Selection<'_>,
        request: &EncoderRequest,
    ) -> Result<(EncoderPlan, Opening), HostError> {
        let part = self.encoder_part(selection.row, request.arch_override.as_ref());
        let mut opening = self.opening(&part, request.weights.clone())?;
        opening.options.vectors = request.vectors;
        Ok((plan(selection, request, opening.untrained), opening))
    }

    pub(crate) fn setting(&self) -> Setting {
        Setting { device: self.device.clone(), fast_resize: self.fast_resize }
    }

    fn inspect_selection(
        &self,
        selection: &Selection<'_>,
        request: &EncoderRequest,
    ) -> Result<EncoderInspection, HostError> {
        let row = selection.row;
        let door = self.plugins.get(&row.plugin)?;
        let spec = self.spec(row, &row.arch, request.arch_override.as_ref());
        let plan = plan(selection, request, matches!(row.weights, Weights::Seed(_)));
        let found = EncoderInspection::new(&door, &spec, &plan)?;
        if request.arch_override.is_none() {
            self.fits(row, &found.descriptor)?;
        }
        Ok(found)
    }

    fn inspect_connector(&self, row: &ConnectorRow) -> Result<ConnectorInspection, HostError> {
        let door = self.plugins.get(&row.plugin)?;
        let found = ConnectorInspection::new(&door, &self.spec(row, &row.arch, None))?;
        judge::refuse(&self.registry, row, judge::connector_shapes(row, &found.descriptor))?;
        Ok(found)
    }

    /// A row promises channels and strides so that ensembles can be checked before anything is loaded; the plugin must
    /// keep the promise.
    fn fits(&self, row: &EncoderRow, said: &EncoderDescriptor) -> Result<(), HostError> {
        judge::refuse(&self.registry, row, judge::encoder_shapes(row, said))
    }

    fn spec<R: Row>(&self, row: &R, arch: &Map<String, Value>, replace: Option<&Map<String, Value>>) -> Spec {
        let mut arch = arch.clone();
        arch.extend(replace.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        judge::spec(row, &arch, self.precision)
    }

    fn encoder_part<'a>(&self, row: &'a EncoderRow, replace: Option<&Map<String, Value>>) -> WeightedRow<'a> {
        WeightedRow {
            row: Kind::Encoder,
            object: ObjectKind::Encoder,
            plugin: &row.plugin,
            spec: self.spec(row, &row.arch, replace),
            weights: Some(&row.weights),
        }
    }

    pub(crate) fn connector_part<'a>(&self, row: &'a ConnectorRow) -> WeightedRow<'a> {
        WeightedRow {
            row: Kind::Connector,
            object: ObjectKind::Connector,
            plugin: &row.plugin,
            spec: self.spec(row, &row.arch, None),
            weights: row.weights.as_ref(),
        }
    }
}

fn plan(selection: &Selection<'_>, request: &EncoderRequest, untrained: bool) -> EncoderPlan {
    let resolution = request.resolution.unwrap_or(selection.resolution);
    // Layers that somebody asks for are taken as they are: the row's norm belongs to the row's layer.
    let (layers, norm) = match &request.layers {
        Some(layers) => (layers.clone(), request.norm.unwrap_or(false)),
        None => (selection.layers.clone(), request.norm.unwrap_or(selection.norm)),
    };
    EncoderPlan {
        id: selection.row.id.clone(),
        layers,
        norm,
        prefix: request.prefix,
        tokens: request.tokens.or(selection.tokens),
        preprocess: match request.vectors {
            true => selection.row.vector_preprocess_at(resolution),
            false => selection.row.preprocess_at(resolution),
        },
        untrained: untrained && request.weights.is_none(),
        options: {
            let mut options = CallOptions::default();
            request.options.iter().for_each(|(name, text)| options.set(name, text));
            options
        },
        vectors: request.vectors,
    }
}
