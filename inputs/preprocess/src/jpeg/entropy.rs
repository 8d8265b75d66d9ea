//! The compressed data of a scan: segments between markers, and what happens at restart markers.

use super::fault::{Cause, Damage};
use super::markers::{EOI, RST0, RST7, SOF0, next_marker};

/// Where a segment ends.
#[derive(Debug, Clone, Copy)]
struct End {
    /// The marker behind it. The end of the file counts as the end of the image.
    marker: u8,
    /// Position behind the marker.
    at: usize,
}

/// Appends the data from `at` on without its stuffing, up to the next marker.
fn unstuff(bytes: &[u8], mut at: usize, out: &mut Vec<u8>) -> End {
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let plain = until_ff(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some(more) = rest[plain..].iter().position(|&b| b != 0xff) else {
            return End { marker: EOI, at: bytes.len() };
        };
        let behind = at + plain + more;
        match bytes[behind] {
            0 => out.push(0xff), // any number of them counts as one
            marker => return End { marker, at: behind + 1 },
        }
        at = behind + 1;
    }
}

/// How many bytes come before the first 0xff.
fn until_ff(bytes: &[u8]) -> usize {
    let mut at = 0;
    for chunk in bytes.chunks_exact(16) {
        if chunk.iter().fold(false, |found, &b| found | (b == 0xff)) {
            break;
        }
        at += 16;
    }
    at + bytes[at..].iter().position(|&b| b == 0xff).unwrap_or(bytes.len() - at)
}

/// Makes the segments of one scan. They lie one behind the other in a buffer of the caller, because a reader of bits borrows
/// the one at hand.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    end: End,
    /// The marker that ends the segment was met and may not be passed: the next segments are empty.
    held: bool,
    /// Number of the restart marker that comes next, 0 to 7.
    expected: u8,
}

impl<'a> Segments<'a> {
    /// Begins at `at`, and puts the first segment into `data`.
    pub(super) fn new(bytes: &'a [u8], at: usize, data: &mut Vec<u8>) -> Self {
        data.clear();
        let end = unstuff(bytes, at, data);
        Self { bytes, end, held: false, expected: 0 }
    }

    /// Marker behind the last segment, and the position behind it. `None` where the file ends.
    pub(super) fn end(&self) -> (Option<u8>, usize) {
        let cut = self.end.at >= self.bytes.len() && !self.bytes.ends_with(&[0xff, self.end.marker]);
        (Some(self.end.marker).filter(|_| !cut), self.end.at)
    }

    /// Passes the restart marker that should follow, and puts the next segment into `data`. Where another marker follows,
    /// it does as libjpeg's `jpeg_resync_to_restart`: markers up to two behind are passed over, markers up to two ahead
    /// and those of other kinds stay and leave empty segments, others count as the one that was expected.
    ///
    /// Returns whether the expected marker was there.
    pub(super) fn restart(&mut self, data: &mut Vec<u8>) -> bool {
        let expected = RST0 + self.expected;
        let found = self.end.marker == expected;
        self.held = !found && !self.resynchronise(expected);
        data.clear();
        if !self.held {
            self.end = unstuff(self.bytes, self.end.at, data);
        }
        self.expected = (self.expected + 1) & 7;
        found
    }

    /// Looks for a place to go on. Returns whether there is one before a marker that has to stay.
    fn resynchronise(&mut self, expected: u8) -> bool {
        loop {
            let marker = self.end.marker;
            let ahead = marker.wrapping_sub(expected) & 7;
            let pass_over = match marker {
                RST0..=RST7 if ahead == 1 || ahead == 2 => return false,
                RST0..=RST7 => ahead == 7 || ahead == 6,
                SOF0.. => return false,
                _ => true,
            };
            if !pass_over {
                return true;
            }
            self.end = match next_marker(self.bytes, self.end.at) {
                Some((marker, at, _)) => End { marker, at },
                None => End { marker: EOI, at: self.bytes.len() },
            };
        }
    }

    /// Whether the segment at hand is empty because a marker may not be passed.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }
}

/// Damage of the data: the first, or the first that counts.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) first: Option<Damage>,
}

impl Record {
    /// Takes down a cause at a line of the image, from 0 on.
    #[cold]
    pub(super) fn note(&mut self, cause: Cause, line: usize) {
        let line = u32::try_from(line).unwrap_or(u32::MAX).saturating_add(1);
        let damage = Damage { cause, line };
        if self.first.is_none_or(|first| first.is_mild() && !damage.is_mild()) {
            self.first = Some(damage);
        }
    }
}

/// How many bytes of a segment nothing asked for. One value over and over is padding.
pub(super) fn left_over(rest: &[u8]) -> usize {
    if rest.iter().any(|&b| b != rest[0]) { rest.len() } else { 0 }
}
