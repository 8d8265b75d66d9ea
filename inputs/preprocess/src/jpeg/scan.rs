//! Goes through the MCUs of a scan, segment by segment.

use super::bits::Bits;
use super::entropy::{Record, Segments, left_over};
use super::fault::Cause;
use super::level::{self, Work};

/// What a scan does with its MCUs.
pub(super) trait Visitor {
    /// Reads the MCU at this column and row.
    fn read(&mut self, bits: &mut Bits<'_>, column: usize, row: usize);
    /// The data of this MCU is lost.
    fn lose(&mut self, column: usize, row: usize);
    /// A row of MCUs is done.
    fn end_row(&mut self, row: usize);
    /// Predictions begin anew.
    fn restart(&mut self);
}

/// Where a scan lies and how it is divided.
pub(super) struct Course<'a> {
    pub(super) bytes: &'a [u8],
    /// Where its data begins.
    pub(super) at: usize,
    /// MCUs between restart markers, 0 for none.
    pub(super) interval: u32,
    /// MCUs across and down.
    pub(super) mcus: (usize, usize),
    /// Lines of the image in a row of MCUs.
    pub(super) lines: usize,
}

/// How a scan ended.
pub(super) struct Ended {
    /// Marker behind it (`None`: the file ends), and the position behind that.
    pub(super) marker: Option<u8>,
    pub(super) at: usize,
    /// The last row of MCUs whose data was there.
    pub(super) good: usize,
}

impl Course<'_> {
    /// Visits all MCUs.
    pub(super) fn run(&self, visitor: &mut impl Visitor, record: &mut Record) -> Ended {
        let mut data = Vec::new();
        let mut segments = Segments::new(self.bytes, self.at, &mut data);
        let total = self.mcus.0 * self.mcus.1;
        let interval = if self.interval == 0 { total } else { self.interval as usize };
        let mut state = State { lost: false, good: 0 };
        let mut from = 0usize;
        loop {
            let mcus = from..total.min(from.saturating_add(interval));
            from = mcus.end;
            let line = from.saturating_sub(1) / self.mcus.0 * self.lines;
            let mut bits = Bits::new(&data);
            level::run(Segment {
                course: self,
                mcus,
                bits: &mut bits,
                visitor: &mut *visitor,
                record: &mut *record,
                state: &mut state,
            });
            let left = left_over(bits.rest());
            let is_last = from >= total;
            if !is_last && !segments.restart(&mut data) {
                record.note(Cause::Restart, line);
            } else if left > 0 {
                record.note(Cause::LeftOver(left), line);
            }
            if is_last {
                break;
            }
            visitor.restart();
            // Before a marker that stays, what is lost stays lost.
            state.lost &= segments.is_held();
        }
        let (marker, at) = segments.end();
        Ended { marker, at, good: state.good }
    }
}

struct State {
    /// The data of what comes is lost.
    lost: bool,
    /// The last row whose data was there.
    good: usize,
}

/// The MCUs between two restart markers.
struct Segment<'s, 'a, V> {
    course: &'s Course<'a>,
    mcus: std::ops::Range<usize>,
    bits: &'s mut Bits<'a>,
    visitor: &'s mut V,
    record: &'s mut Record,
    state: &'s mut State,
}

impl<V: Visitor> Work for Segment<'_, '_, V> {
    #[inline(always)]
    fn run(self) {
        let Self { course, mcus, bits, visitor, record, state } = self;
        let across = course.mcus.0;
        let (mut column, mut row) = (mcus.start % across, mcus.start / across);
        for _ in mcus {
            if state.lost {
                visitor.lose(column, row);
            } else {
                state.good = row;
                visitor.read(bits, column, row);
                if bits.is_beyond() {
                    // The rest of a segment that ends early is not guessed.
                    state.lost = true;
                    record.note(Cause::EndsEarly, row * course.lines);
                }
            }
            column += 1;
            if column == across {
                if std::mem::take(&mut bits.wrong) {
                    record.note(Cause::WrongCode, row * course.lines);
                }
                visitor.end_row(row);
                (column, row) = (0, row + 1);
            }
        }
        if std::mem::take(&mut bits.wrong) {
            record.note(Cause::WrongCode, row * course.lines);
        }
    }
}
