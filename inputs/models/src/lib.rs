//! Trained models that the program carries with it: a question has an answer offline, on the first day.
//!
//! **The one decision.** A shipped model is an ordinary model folder. It is embedded file by file and unpacked, once,
//! into a folder that is named after what is in it; from then on nothing knows that it was not downloaded. A new
//! version of the program brings a new folder and never meets an old one half-way.
//!
//! There is one, `trilobite`: two encoders of our own, a Spatial Vision Aggregator with layers inside the language
//! model, and a Llama, 4 MB together, trained on rendered shapes. What it knows and how well stands in
//! `trilobite/README.md`.
//!
//! ```
//! # let data = tempfile::tempdir()?;
//! let folder = zoo_models::TRILOBITE.unpack(data.path())?;
//! assert!(folder.join("config.json").is_file());
//! // The second time there is nothing to do.
//! assert_eq!(zoo_models::TRILOBITE.unpack(data.path())?, folder);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod unpack;

pub use unpack::Error;

/// A model folder inside the program.
#[derive(Debug)]
pub struct Shipped {
    /// The id of the model.
    pub id: &'static str,
    /// One line for people.
    pub description: &'static str,
    /// Licence of the weights, an SPDX expression.
    pub licence: &'static str,
    /// Name and content of each file, sorted by name; no folders.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// `files!(folder: names)`: each name with its content.
macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../", $folder, "/", $name)))),*]
    };
}

/// The default model of `zoo ask`.
pub static TRILOBITE: Shipped = Shipped {
    id: "trilobite",
    description: "Two million parameters, trained on drawn shapes: answers offline",
    licence: "MIT OR Apache-2.0",
    files: files!("trilobite":
        "README.md",
        "config.json",
        "eye-convnext.safetensors",
        "eye-vit.safetensors",
        "generation_config.json",
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "zoo.toml",
    ),
};

/// Every shipped model.
pub static ALL: &[&Shipped] = &[&TRILOBITE];

/// The shipped model of that id.
pub fn named(id: &str) -> Option<&'static Shipped> {
    ALL.iter().copied().find(|model| model.id == id)
}
