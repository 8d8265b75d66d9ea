//! Images that are decoded while the batch before theirs is learnt from.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use zoo_preprocess::Decoded;

/// An image, or why it cannot be read.
pub(super) type Read = Result<Decoded, String>;

/// A thread that decodes what it is asked for, in this order. It ends with this value.
pub(super) struct Ahead {
    ask: Sender<PathBuf>,
    answers: Receiver<(PathBuf, Read)>,
    asked: HashSet<PathBuf>,
    there: HashMap<PathBuf, Read>,
}

impl Ahead {
    pub fn new() -> Self {
        let (ask, questions) = channel::<PathBuf>();
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            for path in questions {
                let read = decode(&path);
                if answer.send((path, read)).is_err() {
                    return;
                }
            }
        });
        Self { ask, answers, asked: HashSet::new(), there: HashMap::new() }
    }

    /// Has an image decoded that will be wanted soon.
    pub fn ask(&mut self, path: PathBuf) {
        if self.asked.insert(path.clone()) {
            // Without the thread it is decoded when it is taken.
            let _ = self.ask.send(path);
        }
    }

    /// The image at `path`, as soon as it is decoded.
    pub fn take(&mut self, path: &Path) -> Read {
        if !self.asked.remove(path) {
            return decode(path);
        }
        loop {
            if let Some(read) = self.there.remove(path) {
                return read;
            }
            match self.answers.recv() {
                Ok((path, read)) => drop(self.there.insert(path, read)),
                Err(_) => return decode(path),
            }
        }
    }
}

/// Decodes the image at `path` at once.
pub(super) fn decode(path: &Path) -> Read {
    zoo_preprocess::open(path, &Default::default()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In whichever order they are taken, asked for or not, also when they are no images.
    #[test]
    fn what_was_asked_for_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, width) in [("a.png", 1), ("b.png", 2), ("c.png", 3)] {
            zoo_preprocess::RgbImage::new(width, 1).save(path(name)).unwrap();
        }
        let mut ahead = Ahead::new();
        for name in ["a.png", "gone.png", "b.png", "a.png"] {
            ahead.ask(path(name));
        }
        for (name, width) in [("b.png", Some(2)), ("c.png", Some(3)), ("gone.png", None), ("a.png", Some(1))]
        {
            let read = ahead.take(&path(name));
            assert_eq!(read.as_ref().ok().map(|image| image.size.0), width, "{name}");
        }
        assert_eq!(ahead.take(&path("a.png")).unwrap().size.0, 1);
    }
}
