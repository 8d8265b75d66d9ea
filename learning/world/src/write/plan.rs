//! What a set is to hold.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::encode::Format;
use super::{Leaks, SETTINGS};
use crate::draw::Mix;
use crate::error::{Error, Result};
use crate::scene::Split;

/// The world's own version: it grows when the same seed draws other pictures.
pub(crate) const VERSION: u32 = 1;

/// What is written beside pictures and scenes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Captions of three lengths, as records of LLaVA.
    Captions,
    /// Conversations, as records of LLaVA.
    Instruct,
    /// Questions of held-out scenes, with task files.
    Tasks,
    /// A mask of things for each picture.
    Masks,
    /// Depth for each picture of a room.
    Depth,
    /// Boxes and masks, as COCO writes them.
    Coco,
    /// Classes and instances, as ADE20K writes them.
    Ade,
    /// Boxes in space, as Omni3D writes them.
    Omni3d,
}

impl Output {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Captions,
        Self::Instruct,
        Self::Tasks,
        Self::Masks,
        Self::Depth,
        Self::Coco,
        Self::Ade,
        Self::Omni3d,
    ];

    /// As options write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Captions => "captions",
            Self::Instruct => "instruct",
            Self::Tasks => "tasks",
            Self::Masks => "masks",
            Self::Depth => "depth",
            Self::Coco => "coco",
            Self::Ade => "ade",
            Self::Omni3d => "omni3d",
        }
    }
}

/// Where pictures are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pack {
    /// Files, a thousand in a folder.
    Folder,
    /// Archives with picture and record of each scene beside each other, as WebDataset reads them.
    Tar,
}

/// What a set is to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// Pixels of the longer side.
    pub side: u32,
    /// Scenes to learn from.
    pub train: u64,
    /// Scenes to choose by.
    pub val: u64,
    /// Scenes to be judged on.
    pub test: u64,
    /// Kinds of pictures.
    pub mix: Mix,
    /// What is written beside pictures and scenes.
    pub outputs: Vec<Output>,
    /// Where pictures are put.
    pub pack: Pack,
    /// How pictures are written.
    pub format: Format,
}

/// The settings as a file, and what was found when the set was complete.
#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    version: u32,
    #[serde(flatten)]
    plan: Plan,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    checked: Option<Leaks>,
}

impl Plan {
    /// Scenes of a split.
    pub fn count(&self, split: Split) -> u64 {
        match split {
            Split::Train => self.train,
            Split::Val => self.val,
            Split::Test => self.test,
        }
    }

    /// Whether it is to hold this.
    pub fn has(&self, output: Output) -> bool {
        self.outputs.contains(&output)
    }

    pub(super) fn sound(&self) -> Result<()> {
        let mut mix = self.mix;
        if Split::ALL.iter().all(|split| self.count(*split) == 0) {
            return Err(Error::Plan("no scenes: say how many with --train, --val or --test".to_owned()));
        }
        if crate::scene::Kind::ALL.iter().all(|kind| *mix.weight(*kind) == 0) {
            return Err(Error::Plan("no kind of picture has a weight above 0".to_owned()));
        }
        if !(32..=4096).contains(&self.side) {
            return Err(Error::Plan(format!(
                "{} pixels: pictures have 32 to 4096 on their longer side",
                self.side
            )));
        }
        Ok(())
    }

    /// Writes the settings, or compares them with those that are there.
    pub(super) fn agree(&self, folder: &Path) -> Result<()> {
        let path = folder.join(SETTINGS);
        let Ok(text) = fs::read_to_string(&path) else {
            return self.save(&path, None);
        };
        let old: Settings = serde_json::from_str(&text).map_err(|e| Error::read(&path, e))?;
        let value = |plan: &Self| serde_json::to_value(plan).map_err(|e| Error::Internal(e.to_string()));
        let (before, now) = (value(&old.plan)?, value(self)?);
        let mut what = Vec::new();
        if old.version != VERSION {
            what.push(format!("version {} of the world, this program draws {VERSION}", old.version));
        }
        for (key, value) in before.as_object().into_iter().flatten() {
            if now.get(key) != Some(value) {
                what.push(format!("{key} was {value}"));
            }
        }
        if what.is_empty() { Ok(()) } else { Err(Error::Differs { path, what: what.join(", ") }) }
    }

    /// Adds what was found.
    pub(super) fn finish(&self, folder: &Path, leaks: &Leaks) -> Result<()> {
        self.save(&folder.join(SETTINGS), Some(leaks.clone()))
    }

    fn save(&self, path: &Path, checked: Option<Leaks>) -> Result<()> {
        let settings = Settings { version: VERSION, plan: self.clone(), checked };
        let mut text = serde_json::to_string_pretty(&settings).map_err(|e| Error::Internal(e.to_string()))?;
        text.push('\n');
        super::encode::put(path, text.as_bytes())
    }
}
