//! How answers become scores.
//!
//! **The one decision.** A score is a function of judged items and nothing else: no order of lines, no state of a
//! run. So the same answers can be scored again, by another rule, without a model.
//!
//! ```
//! use zoo_eval::cv_bench::{Item, Scores, Dataset, Task};
//!
//! let item = |source, task, correct| Item { source, task, correct };
//! let scores = Scores::of([
//!     item(Dataset::Coco, Task::Count, true),
//!     item(Dataset::Ade20k, Task::Relation, false),
//!     item(Dataset::Omni3d, Task::Depth, true),
//! ]);
//! assert_eq!(scores.two_d, Some(50.0));
//! assert_eq!(scores.overall, Some(75.0));
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod cv_bench;
