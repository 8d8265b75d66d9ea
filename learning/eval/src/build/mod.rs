//! Questions as those of CV-Bench, from annotated pictures (Cambrian-1, section 3.2): counting and relations from boxes in
//! the picture, depth and distance from boxes in space.
//!
//! Every answer follows from the annotation, and a candidate whose answer is not clear is rejected with its reason. What the
//! paper leaves open (how far apart is clear) is an option with a stated default. The result is a draft: people look at the
//! contact sheet, accept, modify or reject, and [`finish`] writes the set.

mod ask;
mod draw;
mod flat;
mod masks;
mod review;
mod solid;
mod write;

use serde::{Deserialize, Serialize};

pub use flat::{ade20k, coco};
pub use review::{Decision, Verdict, finish};
pub use solid::omni3d;
pub use write::{Built, build};

/// Where clear begins, and how much is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rules {
    /// Everything random follows from it.
    pub seed: u64,
    /// Questions of one task about one picture at most.
    pub per_picture: usize,
    /// Objects smaller than this share of the picture are not asked about.
    pub smallest: f64,
    /// Largest number that is asked for.
    pub most: usize,
    /// Of how many questions for a number one is about a class that is not in the picture.
    pub absent_every: usize,
    /// How far two boxes must be apart for `left` or `above`, as a share of the picture's width or height.
    pub apart: f64,
    /// How much closer than the nearest corner of the other box the farthest corner of a box must be to the camera, in metres.
    pub depth_margin: f64,
    /// The same for distances to the centre of a third box, in metres.
    pub distance_margin: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            seed: 0,
            per_picture: 1,
            smallest: 0.005,
            most: 10,
            absent_every: 10,
            apart: 0.02,
            depth_margin: 0.1,
            distance_margin: 0.1,
        }
    }
}

/// An annotated picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Its file, from the folder of pictures.
    pub file: String,
    /// Width and height in pixels.
    pub size: (f64, f64),
    /// `COCO`, `ADE20K` or `Omni3D`.
    pub source: &'static str,
    /// The data set, as the published items name it.
    pub dataset: String,
    /// What is in it.
    pub objects: Vec<Object>,
    /// Classes that may be asked for when they are not in it: those that the annotation would have marked.
    pub absent: Vec<String>,
}

/// An object.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Its class.
    pub class: String,
    /// Left, top, right, bottom in pixels.
    pub bbox: [f64; 4],
    /// The corners of its box in the camera's space, in metres.
    pub corners: Option<[[f64; 3]; 8]>,
    /// Why it is not asked about although it counts: part of a crowd, hidden, cut off.
    pub unclear: Option<&'static str>,
}

impl Object {
    fn area(&self) -> f64 {
        (self.bbox[2] - self.bbox[0]).max(0.0) * (self.bbox[3] - self.bbox[1]).max(0.0)
    }
}

/// A question, before options have letters.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// `Count`, `Relation`, `Depth` or `Distance`.
    pub task: &'static str,
    /// The picture.
    pub scene: usize,
    /// The question without its options.
    pub question: String,
    /// The options, the right one first.
    pub options: Vec<String>,
    /// What stands in `prompt` between question and options.
    pub lead: &'static str,
    /// Boxes to draw: red, blue, green.
    pub boxes: Vec<[f64; 4]>,
    /// The class asked about.
    pub class: Option<String>,
    /// Its area in pixels.
    pub area: Option<f64>,
    /// How the answer follows from the annotation.
    pub because: String,
}

/// A candidate that is no question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The picture.
    pub file: String,
    /// The task.
    pub task: &'static str,
    /// What would have been asked about.
    pub about: String,
    /// Why it is not.
    pub reason: String,
}
