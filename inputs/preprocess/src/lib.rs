//! From an image file to the pixels that a vision encoder was trained on.
//!
//! **The one decision.** The default is byte-exact with Pillow, not merely close to it: encoders were trained
//! behind `Image.open(..).convert("RGB").resize(..)`, and resampling that differs in the last bit gives features
//! that differ in the third digit, for reasons that nobody finds afterwards. So the resize here is a port of
//! Pillow's fixed-point arithmetic, colour conversion follows `convert("RGB")`, and every deviation is a choice
//! that the result records: [`Note::Reduced`], [`Orientation::Upright`]. JPEG, which leaves the last bits to the decoder, is
//! decoded here (`src/jpeg/`), byte-equal to libjpeg-turbo as Pillow uses it.
//!
//! A pipeline is data ([`zoo_core::Preprocess`]); this crate carries it out:
//!
//! ```
//! use zoo_core::{Filter, Preprocess};
//! use zoo_preprocess::{RgbImage, prepare, render};
//!
//! let pipeline = Preprocess {
//!     size: 336,
//!     pad: [122, 116, 104],
//!     fit: Default::default(),
//!     filter: Filter::Bicubic,
//!     then: None,
//!     raw: false,
//!     mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
//!     std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
//! };
//! // `zoo_preprocess::open("photo.jpg", &Default::default())?` in real life.
//! let image = RgbImage::from_pixel(640, 480, image::Rgb([200, 80, 40]));
//!
//! let seen = render(&image, &pipeline)?; // what the encoder sees, as 8-bit RGB
//! assert_eq!(seen.dimensions(), (336, 336));
//! assert_eq!(seen.get_pixel(0, 0).0, pipeline.pad); // padded to a square above and below
//!
//! let prepared = prepare(&image, &pipeline)?;
//! assert_eq!(prepared.pixels().len(), 3 * 336 * 336); // normalised, [1, 3, 336, 336]
//! # Ok::<(), zoo_preprocess::Error>(())
//! ```

#![deny(unsafe_code)]

mod decode;
mod error;
mod frames;
mod geometry;
mod jpeg;
mod normalize;
mod orientation;
mod picture;
mod pipeline;
mod reduced;
mod resize;
mod rgb;
mod sniff;

pub use decode::{DecodeOptions, Decoded, MAX_PIXELS, Note, Orientation, decode, open};
pub use error::{Error, Result};
pub use geometry::{center_crop, pad_to_square};
pub use image::RgbImage;
pub use normalize::normalize;
pub use picture::Picture;
pub use pipeline::{Prepared, prepare, prepare_batch, render};
pub use resize::{Kernel, resize};
pub use sniff::{Format, HEAD, sniff};
