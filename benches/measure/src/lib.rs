//! Measuring on a machine that has other things to do: runs in turns, what they say together, what the machine can
//! do at most, and charts.
//!
//! **The one decision.** Nothing is measured alone. Contestants run in rounds, one turn each, so that whatever else
//! the machine does falls on all alike; and a speed stands beside the peak of the multipliers and of a large product,
//! measured in the same process between the rounds.
//!
//! ```
//! use zoo_measure::{Summary, rounds};
//!
//! // Two contestants: the second takes twice as long.
//! let times = rounds(2, 5, 0.0, |which| Ok::<_, ()>(1.0 + which as f64), || false)?;
//! let [first, second] = [0, 1].map(|i| Summary::of(&times[i]).unwrap().median);
//! assert_eq!(second / first, 2.0);
//! # Ok::<(), ()>(())
//! ```

#![forbid(unsafe_code)]

mod chart;
mod machine;
pub mod memory;
mod processor;
mod speed;
mod summary;
mod turns;

pub use chart::{Chart, ChartError, Point, Scale, Series};
pub use machine::{Machine, Peak};
pub use processor::processor_time;
pub use speed::Speed;
pub use summary::Summary;
pub use turns::rounds;
