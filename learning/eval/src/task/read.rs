//! From a file to a task that can be meant.

use std::ops::Range;
use std::path::Path;

use sha2::{Digest, Sha256};
use zoo_registry::{Problem, RegistryError};

use super::prompt::Prompts;
use super::{Form, Metric, Spec, Task};
use crate::rules::Rule;
use crate::{Error, Result};

impl Task {
    /// Reads a task file.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Task`] with everything that is wrong, line by line.
    pub fn open(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the task"))?;
        Self::parse(&path.display().to_string(), text)
    }

    /// Reads the task `text`, which messages call `file`.
    ///
    /// # Errors
    /// [`Error::Task`].
    pub fn parse(file: &str, text: String) -> Result<Self> {
        let spec: Spec = zoo_registry::strict(file, &text)?;
        let digest = Sha256::digest(text.as_bytes());
        let revision = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let mut problems = Vec::new();
        let prompts = Prompts::new(&spec, |span, message| {
            problems.push(Problem::at(file, &text, span, message, None));
        });
        let task = Self { file: file.to_owned(), text, spec, revision, prompts };
        task.check(&mut problems);
        if problems.is_empty() { Ok(task) } else { Err(RegistryError { problems }.into()) }
    }

    fn check(&self, problems: &mut Vec<Problem>) {
        let spec = &self.spec;
        for pattern in &spec.source.files {
            if let Err(error) = globset::Glob::new(pattern.get_ref()) {
                problems.push(self.problem(pattern.span(), format!("no pattern: {error}"), None));
            }
        }
        let mut fault = |what: &str, message: &str, help: Option<&str>| {
            problems.push(self.problem(self.span_of(what), message, help.map(str::to_owned)));
        };
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if spec.name.is_empty() || !spec.name.chars().all(plain) {
            fault(
                "name",
                "a name is of lower-case letters, digits and `-`: it is a folder of every run",
                None,
            );
        }
        if spec.source.files.is_empty() {
            fault("files", "no files are named", Some("write patterns such as `test-*.parquet`"));
        }
        if spec.options.as_ref().is_some_and(|options| options.column.is_some() != options.columns.is_empty())
        {
            fault("options", "options stand in one `column` or in `columns`: say in which", None);
        }
        if spec.image.as_ref().is_some_and(|image| image.column.is_some() == image.path.is_some()) {
            fault("image", "a picture is in a `column` or at a `path`: say where", None);
        }
        let judged = spec.rules.paper != Rule::Submission;
        match &spec.answer {
            None if judged => {
                fault(
                    "rules",
                    "replies are judged, and nothing says what is right",
                    Some("write `[answer]`"),
                );
            }
            Some(answer) if matches!(answer.form, Form::Index | Form::Option) && spec.options.is_none() => {
                fault(
                    "answer",
                    "the answer is one of the options, and there are none",
                    Some("write `[options]`"),
                );
            }
            _ => {}
        }
        if judged == matches!(spec.metric, Metric::Submission) {
            fault("metric", "the rule `submission` and the metric `submission` belong together", None);
        }
        if spec.submission.is_none() && !judged {
            fault(
                "rules",
                "a server judges, and nothing says how its file looks",
                Some("write `[submission]`"),
            );
        }
        if spec.generation.max_new_tokens == 0 {
            fault("max-new-tokens", "a reply has at least one token", None);
        }
    }

    /// Where a key or table stands; the beginning of the file where it does not.
    fn span_of(&self, key: &str) -> Range<usize> {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let start = line.trim_start().trim_start_matches('[');
            let whole = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
            if start.strip_prefix(key).is_some_and(whole) {
                let lead = at + line.len() - start.len();
                return lead..lead + key.len();
            }
            at += line.len();
        }
        0..0
    }
}
