//! The names of CV-Bench (Cambrian-1, arXiv 2406.16860, section 3.2).
//!
//! The two-dimensional score is the mean of the accuracies on COCO and on ADE20K, whatever their item counts; the
//! three-dimensional one is the accuracy on Omni3D; the whole is the mean of the two. That is not the share of all
//! items that are right, which is reported beside it because other harnesses print it under the same name.

/// Where an item's image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dataset {
    /// COCO: two-dimensional tasks.
    Coco,
    /// ADE20K: two-dimensional tasks.
    Ade20k,
    /// Omni3D: three-dimensional tasks.
    Omni3d,
}

impl Dataset {
    /// By its name in the published data.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "COCO" => Some(Self::Coco),
            "ADE20K" => Some(Self::Ade20k),
            "Omni3D" => Some(Self::Omni3d),
            _ => None,
        }
    }
}

/// What an item asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// How many there are.
    Count,
    /// Where one is relative to another.
    Relation,
    /// Which of two is closer to the camera.
    Depth,
    /// Which of two is closer to a third.
    Distance,
}

impl Task {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Count, Self::Relation, Self::Depth, Self::Distance];

    /// Its name in the published data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Relation => "Relation",
            Self::Depth => "Depth",
            Self::Distance => "Distance",
        }
    }

    /// By its name in the published data.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.name() == name)
    }
}
