//! Samples that are read, and their images decoded, while the batch before theirs is learnt from.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use zoo_data::{Dataset, Image, Record};
use zoo_preprocess::Decoded;

use super::features::Kept;

/// A picture, or why it cannot be read.
pub(super) type Picture = Result<Decoded, String>;

/// A sample as the data have it.
pub(super) struct Fetched {
    pub record: Record,
    pub image: Option<Image>,
    /// Absent where what the encoders saw of it is kept.
    pub picture: Option<Picture>,
}

impl Fetched {
    /// Reads sample `index` at once, and decodes its image unless it is `kept`.
    pub fn now(data: &Dataset, index: usize, kept: Option<&Kept>) -> zoo_data::Result<Self> {
        let (record, image) = data.read(index)?;
        let looked = |image: &Image| kept.is_some_and(|kept| kept.has(image));
        let picture = image.as_ref().filter(|image| !looked(image)).map(Image::open);
        Ok(Self { record, image, picture })
    }
}

/// A thread that reads what it is asked for, in this order. It ends with this value.
pub(super) struct Ahead {
    data: Arc<Dataset>,
    kept: Option<Arc<Kept>>,
    ask: Sender<usize>,
    answers: Receiver<(usize, zoo_data::Result<Fetched>)>,
    asked: HashSet<usize>,
    there: HashMap<usize, zoo_data::Result<Fetched>>,
}

impl Ahead {
    pub fn new(data: Arc<Dataset>, kept: Option<Arc<Kept>>) -> Self {
        let (ask, questions) = channel();
        let (answer, answers) = channel();
        let (own_data, own_kept) = (data.clone(), kept.clone());
        std::thread::spawn(move || {
            for index in questions {
                let fetched = Fetched::now(&own_data, index, own_kept.as_deref());
                if answer.send((index, fetched)).is_err() {
                    return;
                }
            }
        });
        Self { data, kept, ask, answers, asked: HashSet::new(), there: HashMap::new() }
    }

    /// Has a sample read that will be wanted soon.
    pub fn ask(&mut self, index: usize) {
        if self.asked.insert(index) {
            // Without the thread it is read when it is taken.
            let _ = self.ask.send(index);
        }
    }

    /// Sample `index`, as soon as it is read.
    pub fn take(&mut self, index: usize) -> zoo_data::Result<Fetched> {
        if !self.asked.remove(&index) {
            return self.now(index);
        }
        loop {
            if let Some(fetched) = self.there.remove(&index) {
                return fetched;
            }
            match self.answers.recv() {
                Ok((index, fetched)) => drop(self.there.insert(index, fetched)),
                Err(_) => return self.now(index),
            }
        }
    }

    fn now(&self, index: usize) -> zoo_data::Result<Fetched> {
        Fetched::now(&self.data, index, self.kept.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use zoo_data::DataSource;

    use super::*;

    /// In whichever order they are taken, asked for or not, also when their images are none.
    #[test]
    fn what_was_asked_for_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["a.png", "b.png", "c.png", "gone.png"];
        for (name, width) in names.iter().zip(1..4) {
            zoo_preprocess::RgbImage::new(width, 1).save(path(name)).unwrap();
        }
        let record = |name: &&str| {
            format!(
                r#"{{"image": "{name}", "conversations": [
                    {{"from": "human", "value": "<image>"}}, {{"from": "gpt", "value": "a"}}]}}"#
            )
            .replace('\n', "")
        };
        std::fs::write(path("r.jsonl"), names.iter().map(record).collect::<Vec<_>>().join("\n")).unwrap();
        let source = DataSource { records: path("r.jsonl"), images: folder.path().to_owned() };
        let mut ahead = Ahead::new(Arc::new(Dataset::open(&[source]).unwrap()), None);
        for index in [0, 3, 1, 0] {
            ahead.ask(index);
        }
        let mut width = |index| {
            let picture = ahead.take(index).unwrap().picture.unwrap();
            picture.ok().map(|picture| picture.size.0)
        };
        for (index, expected) in [(1, Some(2)), (2, Some(3)), (3, None), (0, Some(1)), (0, Some(1))] {
            assert_eq!(width(index), expected, "{index}");
        }
    }
}
