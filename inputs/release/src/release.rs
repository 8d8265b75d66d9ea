//! A model folder, read.

use std::path::{Path, PathBuf};

use zoo_core::weights::{Checkpoint, adapter};
use zoo_language::template::Template;
use zoo_language::tokens::NewlineAfterImage;
use zoo_registry::{ModelRow, Registry};

use crate::config::Config;
use crate::connector::{ConnectorChoice, connector};
use crate::decoder::{DecoderChoice, decoder};
use crate::encoders::{EncoderChoice, encoders};
use crate::files::Files;
use crate::overrides::Overrides;
use crate::template::{template, untold};
use crate::{Error, Result};

/// What a model folder says: everything that a host needs to open the model, as data. No tensor is read.
#[derive(Debug, Clone)]
pub struct Release {
    /// The folder.
    pub folder: PathBuf,
    /// Its name: that of the repository or of the folder.
    pub name: String,
    /// The encoders, in tower order; empty for a language model on its own.
    pub encoders: Vec<EncoderChoice>,
    /// The connector, where there are encoders.
    pub connector: Option<ConnectorChoice>,
    /// The language model.
    pub decoder: DecoderChoice,
    /// `tokenizer.json`, else `tokenizer.model`.
    pub tokenizer: PathBuf,
    /// As `zoo.toml` says; as in training if it does not.
    pub newline: NewlineAfterImage,
    /// Tokens that end an answer, of `generation_config.json`, else of `config.json`.
    pub eos: Vec<u32>,
    /// Longest sequence in the reference's code, images included; it cuts longer ones. The language model itself
    /// goes on.
    pub tokenizer_model_max_length: Option<usize>,
    /// What looks wrong and was read as what must be meant.
    pub warnings: Vec<String>,
    template: Option<&'static Template>,
}

impl Release {
    /// Reads the folder of a model called `name`: the name of its repository where that is known, since a folder
    /// of the download cache is called by a hash.
    ///
    /// # Errors
    /// [`Error`] naming the file, the key and what to do: no model folder, a configuration that cannot be meant,
    /// towers and language models that no registry row knows, weights that are not there.
    pub fn read(folder: &Path, name: Option<&str>, registry: &Registry) -> Result<Self> {
        let files = Files::find(folder)?;
        let name = name.map(str::to_owned).unwrap_or_else(|| name_of(folder));
        let overrides = Overrides::read(files.toml.as_deref())?;
        let config = Config::read(&files.config)?;
        let mut warnings = Vec::new();
        let vision = config.vision(&mut warnings)?;
        if files.model.is_some() && adapter(folder).is_some() {
            warnings.push(format!(
                "{}: there is a LoRA adapter beside the weights, which is not applied; the weights are used as they are",
                folder.display()
            ));
        }

        let own =
            files.model.as_ref().map(|path| Checkpoint::open(std::slice::from_ref(path))).transpose()?;
        let replaced = overrides.llm.as_ref().map(|llm| folder.join(&llm.weights));
        let weights =
            replaced.clone().or_else(|| files.model.clone()).ok_or_else(|| no_weights(&files, folder))?;
        let stored = own.as_ref().filter(|_| replaced.is_none());
        let decoder = decoder(registry, &config, weights, stored, &mut warnings)?;

        let mut choices = Vec::new();
        let mut bridge = None;
        match &vision {
            Some(vision) => {
                choices = encoders(registry, &config, vision, &overrides, folder, &mut warnings)?;
                let weights = connector_weights(&files, own.as_ref(), folder)?;
                bridge = Some(connector(registry, &config, vision, decoder.hidden, weights, &mut warnings)?);
                trained_encoders(own.as_ref(), &mut warnings);
            }
            None if !overrides.encoder.is_empty() => {
                let message = "there are `[[encoder]]` here, but config.json names no tower";
                return Err(Error::file(&folder.join("zoo.toml"), message));
            }
            None => {}
        }
        let mut eos = match &files.generation {
            Some(path) => Config::read(path)?.ids("eos_token_id")?,
            None => Vec::new(),
        };
        if eos.is_empty() {
            eos = config.ids("eos_token_id")?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            template: template(overrides.template.as_deref(), registry, &name, &config)?,
            name,
            encoders: choices,
            connector: bridge,
            decoder,
            tokenizer: files.tokenizer,
            newline: overrides.newline_after_image.unwrap_or_default(),
            eos,
            tokenizer_model_max_length: config.number("tokenizer_model_max_length")?,
            warnings,
        })
    }

    /// A model that is put together from its parts: the encoders and the connector that `row` names, and the language model
    /// in `folder` with its tokenizer. Where the connector's weights are is the host's to know.
    ///
    /// # Errors
    /// As [`Release::read`], and for names that are no rows.
    pub fn compose(row: &ModelRow, folder: &Path, registry: &Registry) -> Result<Self> {
        let lookup = |source| Error::Lookup { path: folder.to_owned(), source };
        let llm = registry.llm(&row.llm).map_err(lookup)?;
        let mut release = Self::read(folder, Some(&llm.id), registry)?;
        let members = &registry.ensemble(&row.ensemble).map_err(lookup)?.members;
        let eye = |member| {
            let chosen = registry.member(member).map_err(lookup)?;
            Ok(EncoderChoice {
                id: chosen.row.id.clone(),
                resolution: (chosen.resolution != chosen.row.resolution).then_some(chosen.resolution),
                tokens: chosen.tokens,
                layers: chosen.layers.clone(),
                norm: chosen.norm,
                weights: None,
                arch_override: None,
            })
        };
        release.encoders = members.iter().map(eye).collect::<Result<_>>()?;
        release.connector =
            Some(ConnectorChoice::of_row(registry.connector(&row.connector).map_err(lookup)?));
        release.decoder.plugin.clone_from(&llm.plugin);
        release.decoder.architecture.clone_from(&llm.architecture);
        release.decoder.arch.extend(llm.arch.clone());
        release.template = Some(Template::named(&row.template)?);
        release.name.clone_from(&row.id);
        Ok(release)
    }

    /// The conversation template, or the one that the user `asked` for.
    ///
    /// # Errors
    /// [`Error::Template`] when nothing tells it, [`Error::Language`] for a name that is no template.
    pub fn template(&self, asked: Option<&str>) -> Result<&'static Template> {
        match asked {
            Some(name) => Ok(Template::named(name)?),
            None => self.template.ok_or_else(|| untold(&self.folder)),
        }
    }
}

/// The last name of a path, links and dots resolved.
fn name_of(folder: &Path) -> String {
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    real.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn no_weights(files: &Files, folder: &Path) -> Error {
    let message = if let Some(adapter) = adapter(folder) {
        return Error::Folder { path: folder.to_owned(), message: adapter };
    } else if files.connector.is_some() {
        "there is a connector here (mm_projector.bin), but no language model; write its folder or file into \
         zoo.toml: `[llm]` and below it `weights = \"../base-model\"`"
    } else {
        "there are no weights here: looked for model.safetensors, pytorch_model.bin and their .index.json"
    };
    Error::Folder { path: folder.to_owned(), message: message.into() }
}

/// The file with the connector: the checkpoint, unless it holds none.
fn connector_weights(files: &Files, own: Option<&Checkpoint>, folder: &Path) -> Result<PathBuf> {
    let projector = |key: &str| key.contains("mm_projector") || key.contains("multi_modal_projector");
    let inside = own.is_some_and(|o| o.keys().any(projector));
    let found = if inside { files.model.clone() } else { files.connector.clone().or(files.model.clone()) };
    found.ok_or_else(|| Error::Folder {
        path: folder.to_owned(),
        message: "config.json names towers, but there is no connector: neither in a checkpoint nor as \
                  mm_projector.bin"
            .into(),
    })
}

/// Encoders that were trained along stand in the checkpoint, where nobody reads them yet.
fn trained_encoders(own: Option<&Checkpoint>, warnings: &mut Vec<String>) {
    let Some(own) = own else { return };
    let tower = |key: &&str| key.starts_with("model.vision_tower") || key.starts_with("vision_tower");
    if let Some(key) = own.keys().find(tower) {
        warnings.push(format!(
            "{}: holds encoder weights (`{key}`, …), which are not read; the encoders' published weights are used, \
             which is right for models that kept their encoders frozen",
            own.name()
        ));
    }
}
