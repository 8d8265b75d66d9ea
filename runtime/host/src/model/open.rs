//! Opening a model.

use zoo_language::template::Template;
use zoo_language::tokens::Tokenizer;
use zoo_release::Release;

use super::once::Once;
use super::parts::ModelParts;
use super::plan::plan;
use super::request::{ModelProgress, ModelRequest, Phase};
use super::session::ModelSession;
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
        let closed = self.closed_eyes(&parts)?;
        let plan = plan(&parts, &request.memory)?;
        plan.check()?;

        let ModelParts { release, connector, llm: (llm, _), .. } = parts;
        let now = if plan.keep_encoders { closed.members().len() + 1 } else { 0 };
        progress.begins(Phase::Open, now + usize::from(connector.is_some()));
        let model = Once::default();
        let open = || {
            let eyes = if plan.keep_encoders { closed.opened(progress)? } else { closed };
            zoo_core::wanted()?;
            let eyes = match &connector {
                None => eyes,
                Some((opening, _)) => {
                    progress.part(&opening.spec.id);
                    eyes.with_connector(opening.connector()?, opening.untrained)
                }
            };
            zoo_core::wanted()?;
            if plan.keep_encoders {
                progress.part(&llm.spec.id);
                model.get_or_open(|| llm.llm())?;
            }
            Ok::<_, HostError>(eyes)
        };
        let eyes = open();
        progress.ends();
        let eyes = eyes?;
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
            device: self.device().clone(),
        })
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
