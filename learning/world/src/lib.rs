//! A synthetic world: pictures of which everything is known.
//!
//! **The one decision.** A scene is data ([`scene::Scene`]), drawn from a seed, a split and a number; its picture is a function
//! of it ([`render`]), and so is what is true of it ([`truth::Truth`]), what can be asked ([`ask::questions`]) and said
//! ([`ask::caption`]). Arithmetic that rounds alike everywhere makes all of them the same on every machine and for every
//! number of threads. Splits divide the scenes, not the seeds ([`scene::keys`]): no two sets share a test scene with a
//! training scene.
//!
//! ```
//! use zoo_world::{ask, draw::Mix, render, scene, scene::Split, truth::Truth};
//!
//! let scene = scene(7, Mix::default(), Split::Train, 0);
//! let picture = render(&scene, 128); // the longer side in pixels
//! assert_eq!(picture.rgb.len(), picture.width * picture.height * 3);
//! let truth = Truth::of(&scene, &picture);
//! for question in ask::questions(&scene, &truth, 7) {
//!     println!("{} {:?}: {}", question.text, question.choices, question.answer());
//! }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod ask;
pub mod draw;
mod error;
mod maths;
mod render;
mod rng;
pub mod scene;
pub mod truth;
pub mod write;

pub use draw::scene;
pub use error::{Error, Result};
pub use maths::{Turn, V3};
pub use render::{Rendering, Whole, classes, render};
pub use rng::Rng;
