//! Prompts and generation: what stands between a question in words and a language model.
//!
//! **The one decision.** A conversation is rendered into segments, not into a string. Which bytes belong to whom,
//! where images stand and what is trained are facts while writing; everybody who finds them again afterwards, by
//! splitting strings and comparing lengths of token lists, loses samples. Ids for inference and ids with labels
//! for training come out of the same pass over the same segments.
//!
//! ```
//! use zoo_language::template::{Conversation, Template};
//!
//! let mut conversation = Conversation::new();
//! conversation.ask_about_image("What is unusual here?")?;
//! let template = Template::of_released_model("cambrian-13b").ok_or("no such model")?;
//! let prompt = template.render(&conversation)?;
//! assert!(prompt.text().ends_with("USER: <image>\nWhat is unusual here? ASSISTANT:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
pub mod generate;
pub mod sampling;
pub mod template;
pub mod tokens;

pub use error::{Error, Result};
