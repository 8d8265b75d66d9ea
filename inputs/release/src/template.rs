//! Which conversation template a model was trained with.

use std::path::Path;

use zoo_language::template::Template;
use zoo_registry::{Registry, Weights};

use crate::config::Config;
use crate::{Error, Result};

/// What a configuration gives away, tried in order: each row is a condition and the template that no other released
/// model with this condition has.
const SIGNS: &[(Sign, &str)] = &[
    (Sign::ModelType("cambrian_phi3"), "phi3"),
    // The length of the prompt before the image: system text and headers of exactly one template each.
    (Sign::ImagePosition(91), "llama_3"),
    (Sign::ImagePosition(87), "chatml_direct"),
    (Sign::ImagePosition(13), "phi3"),
    // 35 is also what the training script assumes; the vocabulary of Llama 2 makes it Vicuna.
    (Sign::ImagePositionAndVocabulary(35, 32000), "vicuna_v1"),
    (Sign::Llava15, "vicuna_v1"),
];

enum Sign {
    ModelType(&'static str),
    ImagePosition(usize),
    ImagePositionAndVocabulary(usize, usize),
    /// LLaVA-1.5: one tower, two layers between, the vocabulary of Llama 2.
    Llava15,
}

impl Sign {
    fn matches(&self, config: &Config) -> bool {
        let number = |key: &str| config.number(key).ok().flatten();
        let text = |key: &str| config.text(key).ok().flatten();
        match *self {
            Self::ModelType(model_type) => text("model_type") == Some(model_type),
            Self::ImagePosition(position) => number("image_position") == Some(position),
            Self::ImagePositionAndVocabulary(position, vocabulary) => {
                number("image_position") == Some(position) && number("vocab_size") == Some(vocabulary)
            }
            Self::Llava15 => {
                text("model_type").is_some_and(|t| t.starts_with("llava"))
                    && config.get("mm_vision_tower_aux_list").is_none()
                    && text("mm_projector_type") == Some("mlp2x_gelu")
                    && number("vocab_size") == Some(32000)
            }
        }
    }
}

/// The template of the model in `folder`: what `zoo.toml` says, else what the registry or the list of released
/// models says of a model of this name, else what the configuration gives away; none if nothing tells.
///
/// # Errors
/// [`Error::Language`] for a name that is no template.
pub(crate) fn template(
    given: Option<&str>,
    registry: &Registry,
    name: &str,
    config: &Config,
) -> Result<Option<&'static Template>> {
    if let Some(given) = given {
        return Ok(Some(Template::named(given)?));
    }
    let same = |other: &str| other.eq_ignore_ascii_case(name);
    let row = registry.models().find(|row| {
        let repo = match &row.weights {
            Some(Weights::Hub { repo, .. }) => repo.rsplit('/').next(),
            _ => None,
        };
        same(&row.id) || repo.is_some_and(same)
    });
    if let Some(row) = row {
        return Ok(Some(Template::named(&row.template)?));
    }
    if let Some(template) = Template::of_released_model(name) {
        return Ok(Some(template));
    }
    let sign = SIGNS.iter().find(|(sign, _)| sign.matches(config));
    sign.map(|(_, template)| Ok(Template::named(template)?)).transpose()
}

/// The error for a model whose template nothing tells.
pub(crate) fn untold(folder: &Path) -> Error {
    let known = Template::all().iter().map(|t| t.name).collect();
    Error::Template { path: folder.to_owned(), known }
}
