//! Models here.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use zoo_host::{ModelProgress, ModelSession, Phase, Sight};
use zoo_language::generate::{Finish, Generated, Options};
use zoo_language::template::Conversation;
use zoo_preprocess::{DecodeOptions, Decoded, decode};

use super::{Answerer, Asking, Choices, Reply, Seen};
use crate::dataset::Item;
use crate::{Error, Result};

/// A model that was opened here.
pub struct Local<'a> {
    session: ModelSession,
    decode: DecodeOptions,
    together: usize,
    stop: &'a AtomicBool,
}

/// Looking is part of an answer and has no bar of its own.
struct Unwatched;

impl ModelProgress for Unwatched {
    fn begins(&self, _: Phase, _: usize) {}
    fn part(&self, _: &str) {}
    fn ends(&self) {}
}

impl<'a> Local<'a> {
    /// `together` questions are answered as one batch; `stop` ends answers that are being written.
    pub fn new(session: ModelSession, decode: DecodeOptions, together: usize, stop: &'a AtomicBool) -> Self {
        Self { session, decode, together, stop }
    }

    /// What a run records of it: everything of which replies depend.
    ///
    /// # Errors
    /// [`Error::Io`] when its files cannot be read.
    pub fn describe(&self) -> Result<Json> {
        let release = self.session.release();
        Ok(json!({
            "model": self.session.id(),
            "fingerprint": fingerprint(&release.folder)?,
            "template": self.session.template().name,
            "newline": format!("{:?}", self.session.newline()),
            "encoders": release.encoders.iter().map(|e| e.id.as_str()).collect::<Vec<_>>(),
            "device": zoo_core::sdk::DeviceName::of(self.session.device()).to_string(),
            "orientation": format!("{:?}", self.decode.orientation),
            "untrained": self.session.untrained(),
        }))
    }

    /// The prompt as the model reads it: template and all, with `<image>` where the image's tokens are.
    ///
    /// # Errors
    /// The template's.
    pub fn example(&self, item: &Item, blind: bool) -> Result<String> {
        let conversation = conversation(item, !blind && item.has_picture())?;
        let rendered = self.session.template().render(&conversation).map_err(zoo_host::HostError::from)?;
        Ok(rendered.text())
    }

    /// What is seen for each question; none where there is no picture.
    fn sights(&self, pictures: Vec<Option<Seen>>) -> Vec<Result<Option<Sight>>> {
        let mut images = Vec::new();
        let mut shown = Vec::new();
        for picture in pictures {
            shown.push(matches!(picture, Some(Seen::Decoded(_))));
            if let Some(Seen::Decoded(decoded)) = picture {
                images.push(*decoded);
            }
        }
        let look = |images: &[Decoded]| self.session.look_each(images, &Unwatched);
        let seen: Vec<Result<Sight>> = match look(&images) {
            Ok(sights) => sights.into_iter().map(Ok).collect(),
            // One by one, so that only those have no reply that cannot be looked at.
            Err(_) => {
                let alone = |image| Ok(look(std::slice::from_ref(image))?.pop().unwrap_or_default());
                images.iter().map(alone).collect()
            }
        };
        let mut seen = seen.into_iter();
        let one = |shown| match shown {
            true => seen.next().transpose(),
            false => Ok(None),
        };
        shown.into_iter().map(one).collect()
    }

    fn chosen(&self, item: &Item, conversation: &Conversation, sight: &Sight) -> Result<Reply> {
        let given = item.given();
        if given.is_empty() {
            let message =
                "--choices-by likelihood: this question has neither options nor yes and no as its answer";
            return Err(Error::Input(format!("{}: {message}", item.place)));
        }
        let scored = self.session.choose(conversation, sight, &given)?;
        let best = scored.iter().max_by(|a, b| a.per_token().total_cmp(&b.per_token()));
        Ok(Reply {
            text: best.map(|choice| choice.text.clone()).unwrap_or_default(),
            finish: "choice".into(),
            tokens: None,
            choices: scored.iter().map(|choice| (choice.text.clone(), choice.per_token())).collect(),
        })
    }
}

fn conversation(item: &Item, picture: bool) -> Result<Conversation> {
    let mut conversation = Conversation::new();
    let asked =
        if picture { conversation.ask_about_image(&item.prompt) } else { conversation.ask(&item.prompt) };
    asked.map_err(zoo_host::HostError::from)?;
    Ok(conversation)
}

impl Answerer for Local<'_> {
    fn prepare(&self, bytes: Vec<u8>) -> Result<Seen, String> {
        match decode(&bytes, "its file", &self.decode) {
            Ok(decoded) => Ok(Seen::Decoded(Box::new(decoded))),
            Err(error) => Err(error.to_string()),
        }
    }

    fn answer(&self, item: &Item, picture: Option<Seen>, asking: &Asking) -> Result<Reply> {
        let mut replies = self.answer_all(vec![(item, picture)], asking);
        replies.pop().unwrap_or_else(|| Err(Error::Input(format!("{}: there is no reply", item.place))))
    }

    fn answer_all(&self, asked: Vec<(&Item, Option<Seen>)>, asking: &Asking) -> Vec<Result<Reply>> {
        let (items, pictures): (Vec<&Item>, Vec<Option<Seen>>) = asked.into_iter().unzip();
        let opened: Vec<Result<(Conversation, Sight)>> =
            items.iter().zip(self.sights(pictures)).map(|(item, sight)| opened(item, sight)).collect();
        if asking.choices == Choices::Likelihood {
            let chosen = |(item, opened): (&&Item, Result<(Conversation, Sight)>)| {
                let (conversation, sight) = opened?;
                self.chosen(item, &conversation, &sight)
            };
            return items.iter().zip(opened).map(chosen).collect();
        }
        let most = items.iter().map(|item| item.max_new_tokens).max().unwrap_or(1);
        let options =
            Options { max_new_tokens: asking.max_new_tokens.unwrap_or(most), ..self.session.defaults() };
        let mut ready = Vec::new();
        let wrong: Vec<Option<Error>> =
            opened.into_iter().map(|opened| opened.map(|opened| ready.push(opened)).err()).collect();
        let mut written = self.session.answer_each(&ready, &options, self.stop).into_iter();
        let replied = |wrong: Option<Error>| match wrong {
            Some(error) => Err(error),
            None => match written.next() {
                Some(generated) => Ok(reply(generated?)),
                None => Err(Error::Input("the model gave fewer replies than it was asked for".into())),
            },
        };
        wrong.into_iter().map(replied).collect()
    }

    fn together(&self) -> usize {
        self.together
    }
}

/// The conversation that asks a question, with what was seen for it.
fn opened(item: &Item, sight: Result<Option<Sight>>) -> Result<(Conversation, Sight)> {
    let sight = sight?;
    Ok((conversation(item, sight.is_some())?, sight.unwrap_or_else(Sight::none)))
}

fn reply(generated: Generated) -> Reply {
    let finish = match generated.finish {
        Finish::StopId(_) | Finish::StopString(_) => "stop",
        Finish::MaxTokens => "length",
        Finish::ContextFull => "context",
        Finish::Cancelled => "cancelled",
    };
    Reply {
        text: generated.text,
        finish: finish.into(),
        tokens: Some(generated.ids.len() as u64),
        choices: Vec::new(),
    }
}

/// What identifies a model folder: SHA-256 over the names and sizes of its files, the content of the small ones, and the
/// first and last MiB of the large ones. Reading all of a large model would take longer than some tasks.
///
/// # Errors
/// [`Error::Io`].
pub fn fingerprint(folder: &Path) -> Result<String> {
    use std::io::{Read, Seek, SeekFrom};
    const PART: u64 = 1 << 20;
    let io = Error::io;
    let mut paths: Vec<_> = walkdir::WalkDir::new(folder)
        .follow_links(true)
        .into_iter()
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect();
    paths.sort();
    let mut hasher = Sha256::new();
    for path in paths {
        let name = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        let mut file = std::fs::File::open(&path).map_err(io(&path, "cannot read"))?;
        let size = file.metadata().map_err(io(&path, "cannot read"))?.len();
        hasher.update(format!("{name}\0{size}\0"));
        let mut part = Vec::new();
        (&mut file).take(PART.min(size)).read_to_end(&mut part).map_err(io(&path, "cannot read"))?;
        if size > 2 * PART {
            file.seek(SeekFrom::End(-(PART as i64))).map_err(io(&path, "cannot read"))?;
        }
        file.take(if size > PART { PART } else { 0 })
            .read_to_end(&mut part)
            .map_err(io(&path, "cannot read"))?;
        hasher.update(&part);
    }
    Ok(hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}
