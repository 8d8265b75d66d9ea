//! From a row to what is asked.

use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use serde_json::{Map, Value as Json};

use super::{Spec, Task};

/// The templates of a task.
#[derive(Debug)]
pub(super) struct Prompts {
    environment: Environment<'static>,
}

const PROMPT: &str = "prompt";
const KEEP: &str = "keep";
const PATH: &str = "path";

impl Prompts {
    /// Compiles them; `fault` is told what is wrong and where.
    pub fn new(spec: &Spec, mut fault: impl FnMut(Range<usize>, String)) -> Self {
        let mut environment = Environment::new();
        if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
            environment.set_syntax(syntax);
        }
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let path = spec.image.as_ref().and_then(|image| image.path.as_ref());
        let keep = spec.keep.as_ref().map(|keep| (KEEP, keep, format!("{{{{ {} }}}}", keep.get_ref())));
        let path = path.map(|path| (PATH, path, path.get_ref().clone()));
        environment.add_filter("without_image_tags", without_image_tags);
        let prompt = Some((PROMPT, &spec.prompt, spec.prompt.get_ref().clone()));
        let templates = [prompt, keep, path].into_iter().flatten();
        let templates = templates.map(|(name, written, source)| (name.to_owned(), written, source));
        let own =
            spec.derive.iter().map(|(name, template)| (derived(name), template, template.get_ref().clone()));
        for (name, written, source) in templates.chain(own) {
            if let Err(error) = environment.add_template_owned(name, source) {
                fault(written.span(), format!("no template: {}", detail(&error)));
            }
        }
        Self { environment }
    }

    fn render(&self, name: &str, values: minijinja::Value) -> Result<String, String> {
        let template = self.environment.get_template(name).map_err(|error| error.to_string())?;
        template.render(&values).map_err(|error| {
            let absent = |column: &String| values.get_attr(column).is_ok_and(|value| value.is_undefined());
            let mut columns: Vec<String> =
                template.undeclared_variables(false).into_iter().filter(absent).collect();
            columns.sort();
            match columns.as_slice() {
                [] => format!("`{name}`: {}", detail(&error)),
                _ if error.kind() != ErrorKind::UndefinedError => format!("`{name}`: {}", detail(&error)),
                columns => format!("`{name}`: there is no column `{}`", columns.join("`, `")),
            }
        })
    }
}

/// The name of the template of a derived column.
fn derived(column: &str) -> String {
    format!("derive.{column}")
}

/// Without `<image 1>` and its like: MMMU's questions mark the places of their images.
fn without_image_tags(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("<image ") {
        let number = rest[at + "<image ".len()..].trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = rest.len() - at - "<image ".len() - number.len();
        let end = if digits > 0 && number.starts_with('>') { rest.len() - number.len() + 1 } else { at };
        out.push_str(&rest[..at]);
        if end == at {
            out.push_str("<image ");
            rest = &rest[at + "<image ".len()..];
        } else {
            rest = &rest[end..];
        }
    }
    out + rest
}

fn detail(error: &minijinja::Error) -> String {
    let kind = error.kind().to_string();
    error.detail().map_or(kind.clone(), |detail| format!("{kind}: {detail}"))
}

/// What a row asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The question with its suffix, as the model gets it behind the picture.
    pub prompt: String,
    /// The suffix in it.
    pub suffix: String,
}

impl Task {
    /// The question about a row: its columns, its options, and its number from 0.
    ///
    /// # Errors
    /// What the template misses.
    pub fn ask(&self, row: &Map<String, Json>, options: &[String], index: u64) -> Result<Asked, String> {
        let question = self.prompts.render(PROMPT, values(row, options, index))?;
        let spec = &self.spec;
        let special = spec.suffixes.as_ref().and_then(|by| by.values.get(&written(row.get(&by.by)?)));
        let suffix = special.or(spec.suffix.as_ref()).cloned().unwrap_or_default();
        let prompt = if suffix.is_empty() { question } else { format!("{question}\n{suffix}") };
        Ok(Asked { prompt, suffix })
    }

    /// Adds the task's own columns to a row.
    ///
    /// # Errors
    /// What a template misses.
    pub fn derive(&self, row: &mut Map<String, Json>, index: u64) -> Result<(), String> {
        for name in self.spec.derive.keys() {
            let value = self.prompts.render(&derived(name), values(row, &[], index))?;
            row.insert(name.clone(), value.into());
        }
        Ok(())
    }

    /// Whether a row is asked at all.
    ///
    /// # Errors
    /// What the expression misses.
    pub fn keeps(&self, row: &Map<String, Json>, options: &[String], index: u64) -> Result<bool, String> {
        if self.spec.keep.is_none() {
            return Ok(true);
        }
        match self.prompts.render(KEEP, values(row, options, index))?.trim() {
            // As Jinja writes them, and as others do.
            "True" | "true" => Ok(true),
            "False" | "false" => Ok(false),
            other => Err(format!("`keep` gives `{other}`, which is neither true nor false")),
        }
    }

    /// The path of a row's picture, where the task has one.
    ///
    /// # Errors
    /// What the template misses.
    pub fn picture_path(&self, row: &Map<String, Json>, index: u64) -> Result<String, String> {
        self.prompts.render(PATH, values(row, &[], index))
    }
}

/// A value of a row as text.
pub(crate) fn written(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn values(row: &Map<String, Json>, options: &[String], index: u64) -> minijinja::Value {
    let options: Vec<minijinja::Value> = options
        .iter()
        .zip('A'..='Z')
        .map(|(text, letter)| context! { letter => letter.to_string(), text => text })
        .collect();
    let row = minijinja::Value::from(minijinja::value::Serde(row));
    context! { options, index, ..row }
}
