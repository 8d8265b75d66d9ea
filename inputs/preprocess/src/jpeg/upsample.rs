//! Rows of a component at the size of the image, as libjpeg makes them where "fancy" upsampling is on.

/// How a component comes to the size of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// It has it.
    Full,
    /// Twice as wide, interpolated.
    Wide,
    /// Twice as high, interpolated.
    High,
    /// Both.
    WideAndHigh,
    /// Each sample so many times, across and down.
    Repeat(usize, usize),
}

impl Method {
    /// The method for samples `from` of which `to` are wanted in the same place, across and down; `None` where the
    /// second is no multiple of the first. `width` is the component's own. `fancy` is off for images at an eighth of their
    /// size.
    pub(super) fn new(from: (usize, usize), to: (usize, usize), width: usize, fancy: bool) -> Option<Self> {
        if !to.0.is_multiple_of(from.0) || !to.1.is_multiple_of(from.1) {
            return None;
        }
        Some(match (to.0 / from.0, to.1 / from.1) {
            (1, 1) => Self::Full,
            (2, 1) if fancy && width > 2 => Self::Wide,
            (1, 2) if fancy => Self::High,
            (2, 2) if fancy && width > 2 => Self::WideAndHigh,
            (across, down) => Self::Repeat(across, down),
        })
    }

    /// How many rows of the image each row of the component makes.
    pub(super) fn down(self) -> usize {
        match self {
            Self::Full | Self::Wide => 1,
            Self::High | Self::WideAndHigh => 2,
            Self::Repeat(_, down) => down,
        }
    }
}

/// A row of the image from the rows of the component that are `near` and, where two are mixed, `far`. `even` says which of
/// two rows it is. `sums` is for rows in between.
#[inline(always)]
pub(super) fn row(method: Method, near: &[u8], far: &[u8], even: bool, sums: &mut Vec<u16>, out: &mut [u8]) {
    match method {
        Method::Full => {}
        Method::Wide => wide(near, out),
        Method::High => {
            // Halves are rounded down in one row and up in the other.
            let bias = if even { 1 } else { 2 };
            for ((out, &near), &far) in out.iter_mut().zip(near).zip(far) {
                *out = ((3 * u16::from(near) + u16::from(far) + bias) >> 2) as u8;
            }
        }
        Method::WideAndHigh => {
            sums.clear();
            sums.extend(near.iter().zip(far).map(|(&near, &far)| 3 * u16::from(near) + u16::from(far)));
            wide_and_high(sums, out);
        }
        Method::Repeat(across, _) => {
            for (out, &value) in out.chunks_mut(across).zip(near) {
                out.fill(value);
            }
        }
    }
}

/// Between two samples, three quarters of the nearer and one of the further; halves down and up in turns.
#[inline(always)]
fn wide(row: &[u8], out: &mut [u8]) {
    let last = row.len() - 1;
    let at = |i: usize| u16::from(row[i]);
    let inner = row.windows(3).zip(out[2..].chunks_exact_mut(2));
    for (x, out) in inner {
        let [left, middle, right] = [x[0], x[1], x[2]].map(u16::from);
        out[0] = ((3 * middle + left + 1) >> 2) as u8;
        out[1] = ((3 * middle + right + 2) >> 2) as u8;
    }
    out[0] = row[0];
    out[1] = ((3 * at(0) + at(1) + 2) >> 2) as u8;
    out[2 * last] = ((3 * at(last) + at(last - 1) + 1) >> 2) as u8;
    out[2 * last + 1] = row[last];
}

/// The same of four times the samples.
#[inline(always)]
fn wide_and_high(sums: &[u16], out: &mut [u8]) {
    let last = sums.len() - 1;
    let inner = sums.windows(3).zip(out[2..].chunks_exact_mut(2));
    for (x, out) in inner {
        out[0] = ((3 * x[1] + x[0] + 8) >> 4) as u8;
        out[1] = ((3 * x[1] + x[2] + 7) >> 4) as u8;
    }
    out[0] = ((4 * sums[0] + 8) >> 4) as u8;
    out[1] = ((3 * sums[0] + sums[1] + 7) >> 4) as u8;
    out[2 * last] = ((3 * sums[last] + sums[last - 1] + 8) >> 4) as u8;
    out[2 * last + 1] = ((4 * sums[last] + 7) >> 4) as u8;
}
