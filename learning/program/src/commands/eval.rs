//! `zoo eval`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use zoo_eval::compare::TASK_FILE;
use zoo_eval::dataset::{Dataset, Item};
use zoo_eval::run::{
    Answerer, Asking, Choices, Endpoint, Local, Manifest, Outcome, Patience, Reply, Run, Shard, TaskManifest,
    Watch,
};
use zoo_eval::task::{self, Task};
use zoo_host::{ModelRequest, Zoo};
use zoo_language::tokens::NewlineAfterImage;
use zoo_terminal::args::PixelArgs;
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, ModelPhases, Progress, Report, counted, interrupt};

use super::endpoint::{Typed, settings};
use crate::args::{CheckTaskArgs, ChoicesBy, EvalArgs, EvalCommand, PullDataArgs};
use crate::told::{judged, plain};

/// Failures that are told of while a run goes on; all of them are in `--json`.
const TOLD: usize = 20;

/// Prompts that `zoo eval check` shows.
const SHOWN: usize = 3;

pub(super) fn run(args: &EvalArgs, context: &Context<'_>) -> Result<Report, CliError> {
    match &args.command {
        Some(EvalCommand::Tasks) => list(),
        Some(EvalCommand::Check(args)) => check(args),
        Some(EvalCommand::Pull(args)) => pull(args, context),
        Some(EvalCommand::Show(args)) => {
            let task = task::shipped(&args.task).map_err(judged)?;
            Ok(Report::new(task.text.clone(), json!({ "task": task.name(), "text": task.text })))
        }
        Some(EvalCommand::Schema) => {
            let schema = task::schema();
            let text = serde_json::to_string_pretty(&schema).map_err(plain)?;
            Ok(Report::new(format!("{text}\n"), schema))
        }
        None => ask(args, context),
    }
}

fn list() -> Result<Report, CliError> {
    let mut table = Table::new(&["task", "what it is", "data set"]);
    let mut json = Vec::new();
    for name in task::names() {
        let task = task::shipped(name).map_err(judged)?;
        let hub = task.spec.source.hub.clone().unwrap_or_default();
        table.row([name.to_owned(), task.spec.title.clone(), hub.clone()]);
        json.push(json!({ "task": name, "title": task.spec.title, "hub": hub, "note": task.spec.note }));
    }
    Ok(Report::new(table.render(0), json!({ "tasks": json })))
}

fn pull(args: &PullDataArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let hub = zoo_hub::Hub::new(settings(context)?).datasets();
    let tasks = args.tasks.iter().map(|name| task::find(name, Path::new("")).map_err(judged));
    let (mut text, mut json) = (String::new(), Vec::new());
    for task in tasks.collect::<Result<Vec<_>, _>>()? {
        let pulled = zoo_eval::pull::pull(&hub, &task, &args.out, &context.downloads()).map_err(judged)?;
        let files = counted(pulled.files.len(), "file");
        let before = if pulled.before { "there already: " } else { "" };
        let _ = writeln!(
            text,
            "{}: {before}{files} of {} ({})",
            pulled.folder.display(),
            pulled.repo,
            pulled.commit
        );
        json.push(json!(pulled));
    }
    Ok(Report::new(text, json!({ "pulled": json })))
}

fn check(args: &CheckTaskArgs) -> Result<Report, CliError> {
    let task = task::find(&args.task, Path::new("")).map_err(judged)?;
    let dataset = Dataset::open(&task, &args.data, None).map_err(judged)?;
    let mut text = format!(
        "{}: {} from {}\n",
        task.spec.title,
        counted(dataset.items.len(), "question"),
        counted(dataset.files.len(), "file")
    );
    for item in dataset.items.iter().take(SHOWN) {
        let _ = write!(text, "\n{} (id {})\n", item.place, item.id);
        for line in item.prompt.lines() {
            let _ = writeln!(text, "  | {line}");
        }
        let right = match item.target.letter {
            Some(letter) => letter.to_string(),
            None => item.target.answers.join(" | "),
        };
        let _ = writeln!(text, "  = {right}");
    }
    let shown = dataset.items.iter().take(SHOWN).map(|item| {
        json!({ "place": item.place, "id": item.id, "prompt": item.prompt, "target": item.target, "columns": item.columns })
    });
    let shown: Value = shown.collect();
    Ok(Report::new(text, json!({ "task": task.name(), "items": dataset.items.len(), "shown": shown })))
}

/// A task that will be asked.
struct Asked {
    task: Task,
    dataset: Dataset,
}

fn ask(args: &EvalArgs, context: &Context<'_>) -> Result<Report, CliError> {
    let out =
        args.out.as_deref().ok_or_else(|| CliError::Usage("--out names the folder of the run".into()))?;
    let shard = match &args.shard {
        Some(text) => Shard::parse(text).map_err(CliError::Usage)?,
        None => Shard::WHOLE,
    };
    let limit = args.limit.map(NonZeroUsize::get);
    // Data that are wrong are told of before a model is loaded.
    let mut asked = Vec::new();
    for name in &args.tasks {
        let task = task::find(name, Path::new("")).map_err(judged)?;
        if asked.iter().any(|asked: &Asked| asked.task.name() == task.name()) {
            let message = format!("--tasks: two are called `{}`, and a run keeps one of a name", task.name());
            return Err(CliError::Usage(message));
        }
        let dataset = Dataset::open(&task, &args.data, limit).map_err(judged)?;
        asked.push(Asked { task, dataset });
    }
    let asking = Asking {
        blind: args.blind,
        choices: match args.choices_by {
            ChoicesBy::Written => Choices::Written,
            ChoicesBy::Likelihood => Choices::Likelihood,
        },
        max_new_tokens: args.max_new_tokens.map(NonZeroUsize::get),
        limit,
    };
    let judging = Judging { args, context, asking, out, shard };
    if args.model.starts_with("http://") || args.model.starts_with("https://") {
        let endpoint = judging.endpoint()?;
        let describe = endpoint.describe();
        return judging.all(&asked, &endpoint, args.served.clone(), describe, |_| Ok(None));
    }
    let zoo = context.computing(&PixelArgs::default())?;
    let local = judging.local(&zoo)?;
    let describe = local.describe().map_err(judged)?;
    let name = describe["model"].as_str().unwrap_or(&args.model).to_owned();
    let example = |item: &Item| local.example(item, args.blind).map(Some).map_err(judged);
    judging.all(&asked, &local, name, describe, example)
}

struct Judging<'a, 'c> {
    args: &'a EvalArgs,
    context: &'a Context<'c>,
    asking: Asking,
    out: &'a Path,
    shard: Shard,
}

impl Judging<'_, '_> {
    fn endpoint(&self) -> Result<Endpoint, CliError> {
        let args = self.args;
        if args.choices_by == ChoicesBy::Likelihood {
            let message =
                "--choices-by likelihood needs a model here: endpoints give no likelihoods of given answers";
            return Err(CliError::Usage(message.into()));
        }
        let idle = [
            ("--template", args.template.is_some()),
            ("--drop-newline", args.drop_newline),
            ("--upright", args.orientation.upright),
            ("--lenient", args.orientation.lenient),
            ("--max-pixels", args.orientation.max_pixels.is_some()),
        ];
        if let Some((name, _)) = idle.iter().find(|(_, given)| *given) {
            let message =
                format!("{name} means nothing to an endpoint, which reads prompts and pictures itself");
            return Err(CliError::Usage(message));
        }
        let answer = Duration::from_secs(args.patience.get());
        let typed = Typed {
            address: &args.model,
            model: &args.served,
            key_env: &args.key_env,
            patience: Patience { answer, tries: args.tries.get(), ..Patience::default() },
            at_once: args.at_once.get(),
        };
        let settings = settings(self.context)?;
        if settings.offline {
            return Err(plain(zoo_hub::Error::NotAsked { url: args.model.clone() }));
        }
        typed.open(&settings)
    }

    fn local(&self, zoo: &Zoo) -> Result<Local<'static>, CliError> {
        let args = self.args;
        let request = ModelRequest {
            template: args.template.clone(),
            newline: args.drop_newline.then_some(NewlineAfterImage::Drop),
            ..ModelRequest::new(PathBuf::from(&args.model))
        };
        let session = zoo.model(&request, &ModelPhases::new(self.context))?;
        for warning in &session.release().warnings {
            self.context.note(&format!("warning: {warning}"));
        }
        if session.untrained() {
            let id = session.id();
            self.context
                .note(&format!("warning: encoders of {id} are UNTRAINED: their weights are random numbers"));
        }
        let together = args.batch.get();
        Ok(Local::new(session, args.orientation.decode_options(), together, interrupt::flag()))
    }

    fn all(
        &self,
        asked: &[Asked],
        answerer: &(dyn Answerer + Sync),
        model: String,
        describe: Value,
        example: impl Fn(&Item) -> Result<Option<String>, CliError>,
    ) -> Result<Report, CliError> {
        let mut tasks = BTreeMap::new();
        for Asked { task, dataset } in asked {
            let example = match dataset.items.first() {
                Some(item) => example(item)?,
                None => None,
            };
            let about = TaskManifest::of(task, dataset, &self.asking, example).map_err(judged)?;
            tasks.insert(task.name().to_owned(), about);
        }
        let manifest = Manifest { version: 1, model, answerer: describe, asking: self.asking.clone(), tasks };
        let held = zoo_eval::run::hold(self.out).map_err(judged)?;
        manifest.keep(self.out).map_err(judged)?;
        // Of all of them before the first question: whatever ends the run, what is there can be scored.
        for Asked { task, .. } in asked {
            let path = self.out.join(task.name()).join(TASK_FILE);
            zoo_eval::run::keep_task(&path, &task.text).map_err(judged)?;
        }
        drop(held);
        let stop = interrupt::flag();
        let (mut json, mut failures, mut stopped, mut lost) = (Vec::new(), Vec::new(), false, false);
        let (mut text, mut answered) = (String::new(), 0);
        for Asked { task, dataset } in asked {
            let folder = self.out.join(task.name());
            let (bar, told) = Default::default();
            let bar = Bar { context: self.context, name: task.name(), bar, told };
            let run = Run { dataset, folder: &folder, shard: self.shard, asking: &self.asking, stop };
            let outcome = run.go(answerer, &bar).map_err(judged);
            bar.ends();
            let Outcome { done, total, failures: failed, stopped: halted, lost: gone } = outcome?;
            answered += done;
            let _ = writeln!(text, "{}: {done} of {total} answered", task.name());
            json.push(json!({ "task": task.name(), "answered": done, "questions": total }));
            failures.extend(
                failed.into_iter().map(|f| json!({ "place": f.place, "error": f.error.to_string() })),
            );
            stopped |= halted;
            lost |= gone;
            if halted || gone {
                break;
            }
        }
        let mut report = json!({ "out": self.out, "tasks": json, "failures": failures });
        if stopped {
            let message = format!("{}stopped; the same command goes on", text);
            return Err(CliError::Ended { message, json: report, code: interrupt::STOPPED });
        }
        let failed = !failures.is_empty();
        if failed {
            let unanswered = counted(failures.len(), "question");
            let message = match lost {
                true => format!(
                    "{unanswered} got no answer, many in a row: the others were not asked; the same command goes on"
                ),
                false => format!("{unanswered} got no answer; the same command asks them again"),
            };
            self.context.complain(&message);
            report["error"] = message.into();
        }
        if answered > 0 {
            let out = self.out.display();
            let _ = writeln!(text, "{out}: `zoo score {out}` judges the replies");
        }
        Ok(Report { failed, ..Report::new(text, report) })
    }
}

/// Shows how a task goes on. Failures are told of when the bar is gone.
struct Bar<'a, 'c> {
    context: &'a Context<'c>,
    name: &'a str,
    bar: RefCell<Option<Progress>>,
    told: RefCell<Vec<String>>,
}

impl Bar<'_, '_> {
    fn ends(&self) {
        if let Some(bar) = self.bar.borrow_mut().take() {
            bar.finish();
        }
        let told = self.told.borrow();
        for line in told.iter().take(TOLD) {
            self.context.complain(line);
        }
        if told.len() > TOLD {
            self.context.complain(&format!("… and {} more; --json lists all", told.len() - TOLD));
        }
    }
}

impl Watch for Bar<'_, '_> {
    fn begins(&self, done: usize, total: usize) {
        if done > 0 {
            self.context.note(&format!("{}: {done} of {total} are answered already", self.name));
        }
        *self.bar.borrow_mut() = Some(self.context.progress(self.name, (total - done.min(total)) as u64));
    }

    fn reply(&self, item: &Item, reply: Result<&Reply, &zoo_eval::Error>) {
        if let Some(bar) = &*self.bar.borrow() {
            bar.advance(1);
        }
        if let Err(error) = reply {
            let message = error.to_string();
            let known = message.contains(&item.place);
            self.told.borrow_mut().push(if known { message } else { format!("{}: {message}", item.place) });
        }
    }
}
