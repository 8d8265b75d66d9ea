//! Bits of compressed data, most significant first.

/// Reads bits of data whose stuffing was taken out. Behind its end come zeros, and [`Bits::is_beyond`] tells.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The next byte to load; runs on behind the end.
    at: usize,
    /// Bits that were loaded, from the top on.
    buffer: u64,
    /// How many of them are valid.
    valid: u32,
    /// A code was met that is none.
    pub(super) wrong: bool,
}

impl<'a> Bits<'a> {
    #[inline(always)]
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, buffer: 0, valid: 0, wrong: false }
    }

    /// Makes sure that at least 32 bits are valid: the longest code, 17, and the number behind it, 15.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        if self.valid < 32 {
            let next = match self.data.get(self.at..).and_then(<[u8]>::first_chunk) {
                Some(&bytes) => u64::from_be_bytes(bytes),
                None => self.last(),
            };
            self.buffer |= next >> self.valid;
            self.at += (63 - self.valid as usize) >> 3;
            self.valid |= 56;
        }
    }

    /// The last bytes, filled up with zeros.
    #[cold]
    fn last(&self) -> u64 {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        u64::from_be_bytes(bytes)
    }

    /// The next `count` bits, 1 to 32, which stay.
    #[inline(always)]
    pub(super) fn peek(&self, count: u32) -> u32 {
        (self.buffer >> (64 - count)) as u32
    }

    /// Passes over bits that are valid.
    #[inline(always)]
    pub(super) fn drop(&mut self, count: u32) {
        self.buffer <<= count;
        self.valid -= count;
    }

    /// The next `count` bits, 1 to 16, which must be valid.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let bits = self.peek(count);
        self.drop(count);
        bits
    }

    /// The next bit; refills.
    #[inline(always)]
    pub(super) fn bit(&mut self) -> bool {
        self.refill();
        self.take(1) != 0
    }

    /// Bits that were read and dropped.
    fn consumed(&self) -> usize {
        8 * self.at - self.valid as usize
    }

    /// Whether more was read than there is.
    #[inline(always)]
    pub(super) fn is_beyond(&self) -> bool {
        self.at >= self.data.len() && self.consumed() > 8 * self.data.len()
    }

    /// Whole bytes that were not read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.data.get(self.consumed().div_ceil(8)..).unwrap_or_default()
    }
}
