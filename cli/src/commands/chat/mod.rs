//! `zoo chat`

mod command;
mod lines;
mod save;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::{HostError, ModelSession, Sight};
use zoo_language::generate::{Control, Dialogue, Finish, Generator, Options, Prompt, Trimmed};
use zoo_language::template::Conversation;
use zoo_pipeline::write::Replace;

use super::ask::written;
use super::model::{begin, metadata, sensible};
use super::picture;
use crate::args::{ChatArgs, PixelArgs};
use command::{HELP, Line};
use lines::{Lines, Typed};
use zoo_terminal::{CliError, Context, ModelPhases, Progress, Report, counted, interrupt, open_model};

/// From so many positions on, reading them is shown.
const SHOWN: usize = 512;

pub(super) fn run(args: &ChatArgs, context: &Context<'_>) -> Result<Report, CliError> {
    sensible(&args.talk.answer)?;
    if args.image.as_deref() == Some(Path::new("-")) {
        let message =
            "`-` is standard input, from where the lines of a chat come; name the file of the image";
        return Err(CliError::Usage(message.into()));
    }
    let look = |path| picture::open(path, &args.talk.model.orientation, context);
    let decoded = args.image.as_deref().map(look).transpose()?;
    let notes = decoded.as_ref().map(picture::notes);
    let zoo = context.computing(&PixelArgs::default())?;
    let session = open_model(&zoo, &args.talk.model, context)?;
    let sight = match decoded {
        Some(decoded) => session.look(&[decoded], &ModelPhases::new(context))?,
        None => Sight::none(),
    };
    let mut lines = Lines::open(&zoo.folders().data)?;
    if lines.typed() {
        context.note(&format!(
            "{}, template {}. /help lists commands.",
            session.id(),
            session.template().name
        ));
    }
    let generator = Generator::new(session.llm()?, session.tokenizer());
    let mut chat = Chat {
        args,
        context,
        session: &session,
        options: args.talk.answer.over(session.defaults()),
        dialogue: Dialogue::new(&generator, session.device()).map_err(HostError::from)?,
        conversation: begin(args.talk.system.as_deref()),
        image: args.image.clone(),
        notes,
        sight,
        saved: Vec::new(),
        turns: Vec::new(),
    };
    let mut failed = false;
    while let Some(typed) = interrupt::waiting(|| lines.next())? {
        let line = match typed {
            Typed::Line(line) => Line::read(&line),
            Typed::Unreadable(message) => Line::Wrong(message),
        };
        let done = match line {
            Line::Empty => Ok(()),
            Line::Quit => break,
            Line::Help => {
                context.stream(&format!("{HELP}\n"));
                Ok(())
            }
            Line::Wrong(message) => Err(CliError::Failed(message)),
            Line::Reset => {
                chat.conversation = begin(args.talk.system.as_deref());
                context.note("a new conversation");
                Ok(())
            }
            Line::Image(path) => chat.show(path),
            Line::Save(path) => chat.save(&path),
            Line::Question(question) => chat.ask(&question),
        };
        if let Err(error) = done {
            // Whoever types sees what went wrong and goes on; a program is told at the end.
            context.complain(&format!("error: {error}"));
            failed |= !lines.typed();
        }
    }
    let mut json = metadata(&session);
    json["turns"] = chat.turns.into();
    Ok(Report { failed, ..Report::new("", json) })
}

/// A conversation that goes on.
struct Chat<'a, 'c> {
    args: &'a ChatArgs,
    context: &'a Context<'c>,
    session: &'a ModelSession,
    options: Options,
    dialogue: Dialogue<'a>,
    conversation: Conversation,
    image: Option<PathBuf>,
    /// What was lost of it.
    notes: Option<Value>,
    sight: Sight,
    saved: Vec<PathBuf>,
    /// For `--json`.
    turns: Vec<Value>,
}

impl Chat<'_, '_> {
    /// Looks at another image. Models know one image per conversation, so a new one begins.
    fn show(&mut self, path: PathBuf) -> Result<(), CliError> {
        let looked =
            picture::open(&path, &self.args.talk.model.orientation, self.context).and_then(|decoded| {
                let notes = picture::notes(&decoded);
                Ok((notes, self.session.look(&[decoded], &ModelPhases::new(self.context))?))
            });
        let (notes, sight) = looked.map_err(|error| {
            // Nobody should take the next answers for those about the image that was asked for.
            let still = match &self.image {
                Some(image) => format!("the conversation is still about {}", path_text(image)),
                None => "the conversation is still about no image".to_owned(),
            };
            CliError::Failed(format!("{error}; {still}"))
        })?;
        (self.notes, self.sight) = (Some(notes), sight);
        self.context.note(&format!("a new conversation about {}", path_text(&path)));
        self.image = Some(path);
        self.conversation = begin(self.args.talk.system.as_deref());
        Ok(())
    }

    fn save(&mut self, path: &Path) -> Result<(), CliError> {
        // What this chat saved may be saved again when it is longer.
        let ours = self.saved.iter().any(|saved| saved == path);
        let replace = if ours { Replace::Always } else { self.args.overwrite.replace() };
        save::save(path, replace, &self.conversation, self.image.as_deref())?;
        self.saved.push(path.to_path_buf());
        let turns = counted(self.conversation.turns().len(), "turn");
        self.context.note(&format!("{turns} in {}", path.display()));
        Ok(())
    }

    /// Asks, shows the answer while it is written, and remembers both; a question that got no answer is forgotten.
    fn ask(&mut self, question: &str) -> Result<(), CliError> {
        let mut conversation = self.conversation.clone();
        let first = conversation.turns().is_empty() && !self.sight.blocks.is_empty();
        let asked = if first { conversation.ask_about_image(question) } else { conversation.ask(question) };
        asked.map_err(HostError::from)?;
        let tokens = self.session.prompt(&conversation)?;
        let refine = self.session.connector().zip(self.sight.fused.as_ref());
        let prompt = Prompt { tokens: &tokens, blocks: &self.sight.blocks, refine };

        let (context, reading) = (self.context, RefCell::new(None::<Progress>));
        let mut last = None;
        let mut progress = |read: usize, of: usize| {
            let mut bar = reading.borrow_mut();
            match (last, bar.as_ref()) {
                (None, _) if of - read > SHOWN => *bar = Some(context.progress("read", (of - read) as u64)),
                (Some(before), Some(bar)) => bar.advance((read - before) as u64),
                _ => {}
            }
            last = Some(read);
        };
        let mut text = Trimmed::default();
        let mut piece = |piece: &str| {
            if let Some(bar) = reading.borrow_mut().take() {
                bar.finish();
            }
            context.stream(text.push(piece));
        };
        let control = Control { cancel: interrupt::flag(), piece: &mut piece };
        let answered = self.dialogue.answer(&prompt, &self.options, &mut progress, control);
        if let Some(bar) = reading.borrow_mut().take() {
            bar.finish();
        }
        let (generated, reading) = answered.map_err(HostError::from)?;
        context.stream("\n");
        let mut turn = written(&generated);
        turn["question"] = question.into();
        turn["notes"] = json!(self.notes);
        turn["image"] = json!(self.image.as_deref().map(path_text));
        turn["prompt"] = json!({ "positions": reading.length, "kept": reading.kept });
        self.turns.push(turn);
        let answer = generated.text.trim();
        if generated.finish == Finish::Cancelled && answer.is_empty() {
            return Ok(());
        }
        conversation.answer(answer).map_err(HostError::from)?;
        self.conversation = conversation;
        Ok(())
    }
}
