//! Opening a model.

use std::sync::Mutex;

use zoo_language::template::Template;
use zoo_language::tokens::Tokenizer;
use zoo_release::Release;

use super::eyes::{Eye, Eyes};
use super::once::Once;
use super::parts::ModelParts;
use super::plan::plan;
use super::request::{ModelProgress, ModelRequest, Phase};
use super::session::ModelSession;
use crate::encoder::{EncoderOpening, EncoderRequest};
use crate::{HostError, Zoo};

/// The template of a folder's own Jinja (`chat_template.jinja`, `tokenizer_config.json`).
const CHAT_TEMPLATE: &str = "chat_template";
/// Tokens by which a tokenizer may exceed the embedding table without being the wrong one: marks such as padding
/// that were added to it and never trained.
const SPARE_TOKENS: usize = 16;

impl Zoo {
    /// Opens a model: a registry id whose files are in the Hub cache, or a model folder. Everything that can be told
    /// without weights is checked first; then whether there is enough memory.
    ///
    /// # Errors
    /// [`HostError::Release`] for a folder that cannot be meant, [`HostError::Memory`] with figures and advice,
    /// [`HostError::WeightsMissing`], and whatever the plugins say of weights that do not fit.
    pub fn model(
        &self,
        request: &ModelRequest,
        progress: &dyn ModelProgress,
    ) -> Result<ModelSession, HostError> {
        let parts = self.parts(request)?;
        let release = &parts.release;
        let template = template(release, request.template.as_deref())?;
        let tokenizer = tokenizer(release, template)?;
        let openings = self.eye_openings(&parts)?;
        let plan = plan(&parts, &request.memory)?;
        plan.check()?;

        let ModelParts { release, connector, llm, .. } = parts;
        let now = if plan.keep_encoders { openings.len() + 1 } else { 0 };
        progress.begins(Phase::Open, now + usize::from(connector.is_some()));
        let untrained = openings.iter().any(|o| o.plan.untrained);
        let encoders = openings.into_iter().map(|opening| {
            if !plan.keep_encoders {
                return Ok(Eye::Closed(opening));
            }
            progress.part(&opening.plan.id);
            opening.open().map(Eye::Open)
        });
        let encoders = encoders.collect::<Result<_, HostError>>()?;
        let connector = connector.map(|opening| {
            progress.part(&opening.spec.id);
            opening.connector()
        });
        let (dtype, device) = (self.precision().dtype(), self.device().clone());
        let eyes = Eyes {
            encoders,
            connector: connector.transpose()?,
            dtype,
            device: device.clone(),
            turn: Mutex::default(),
        };
        let model = Once::default();
        if plan.keep_encoders {
            progress.part(&llm.spec.id);
            model.get_or_open(|| llm.llm())?;
        }
        progress.ends();
        let newline = request.newline.unwrap_or(release.newline);
        let cut = release.tokenizer_model_max_length.filter(|_| request.reference_length);
        Ok(ModelSession {
            release,
            plan,
            template,
            tokenizer,
            newline,
            cut,
            eyes,
            opening: llm,
            model,
            device,
            untrained,
        })
    }

    /// All encoders, with their files: what is missing is found before anything is loaded.
    pub(super) fn eye_openings(&self, parts: &ModelParts) -> Result<Vec<EncoderOpening>, HostError> {
        let one = |(request, _): &(EncoderRequest, _)| {
            self.encoder_opening(&self.registry().select(&request.id)?, request)
        };
        parts.encoders.iter().map(one).collect()
    }
}

pub(super) fn template(release: &Release, asked: Option<&str>) -> Result<&'static Template, HostError> {
    if asked == Some(CHAT_TEMPLATE) {
        return Ok(Template::of_folder(&release.folder)?);
    }
    Ok(release.template(asked)?)
}

/// The tokenizer of the folder, if it is that of the model and of the template.
pub(super) fn tokenizer(release: &Release, template: &Template) -> Result<Tokenizer, HostError> {
    let tokenizer = Tokenizer::open(&release.folder)?;
    tokenizer.fits(template)?;
    let (tokens, rows) = (tokenizer.length() as usize, release.decoder.vocab);
    if tokens > rows + SPARE_TOKENS {
        return Err(HostError::Mismatch(format!(
            "{}: {tokens} tokens, but the language model's embedding table has {rows} rows; is it the tokenizer of \
             another model?",
            release.tokenizer.display()
        )));
    }
    Ok(tokenizer)
}
