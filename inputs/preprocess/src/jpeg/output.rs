//! From blocks to rows of RGB, a band of MCUs at a time.

use super::colour::Space;
use super::fault::Fault;
use super::frame::{Component, Frame};
use super::idct;
use super::sequential::Block;
use super::upsample::{self, Method};

/// The samples of one component, as far as they are still needed: this band and the one before.
struct Plane {
    /// Twice [`Plane::rows`] rows; row `r` of the component stands in row `r` modulo that.
    ring: Vec<u8>,
    stride: usize,
    /// Rows of a band.
    rows: usize,
    /// Width and height of the component, in samples.
    size: (usize, usize),
    /// Side of a block in samples: 8, 4, 2 or 1.
    side: usize,
    method: Method,
    /// Steps of quantisation. 16 bits are enough: the arithmetic wraps.
    table: Block,
    /// A row at the size of the image.
    wide: Vec<u8>,
}

impl Plane {
    #[inline(always)]
    fn row(&self, row: usize) -> &[u8] {
        let at = row % (2 * self.rows) * self.stride;
        &self.ring[at..at + self.size.0]
    }

    /// Transforms a block and puts it in its place, in blocks.
    #[inline(always)]
    fn put(&mut self, (column, row): (usize, usize), block: &Block, has_ac: bool) {
        let side = self.side;
        let mut at = row * side % (2 * self.rows) * self.stride + column * side;
        if !has_ac || side == 1 {
            let value = idct::flat(block[0], self.table[0]);
            for _ in 0..side {
                self.ring[at..at + side].fill(value);
                at += self.stride;
            }
            return;
        }
        match side {
            8 => {
                for samples in idct::full(block, &self.table) {
                    self.ring[at..at + 8].copy_from_slice(&samples);
                    at += self.stride;
                }
            }
            4 => {
                for samples in idct::half(block, &self.table).iter().take(4) {
                    self.ring[at..at + 4].copy_from_slice(&samples[..4]);
                    at += self.stride;
                }
            }
            _ => {
                for samples in idct::quarter(block, &self.table).iter().take(2) {
                    self.ring[at..at + 2].copy_from_slice(&samples[..2]);
                    at += self.stride;
                }
            }
        }
    }
}

/// The image that is being made.
pub(super) struct Output {
    planes: Vec<Plane>,
    space: Space,
    /// Width and height of the image, reduced.
    size: (usize, usize),
    /// Rows of the image that a band makes, and of those the ones that need no band but this and earlier ones.
    rows: usize,
    safe: usize,
    bands: usize,
    sums: Vec<u16>,
    rgb: Vec<u8>,
}

impl Output {
    /// An image at 1/`reduction` (1, 2, 4 or 8) of the frame's size.
    pub(super) fn new(frame: &Frame, space: Space, reduction: usize) -> Result<Self, Fault> {
        let side = 8 / reduction;
        let size = (frame.size.0.div_ceil(reduction), frame.size.1.div_ceil(reduction));
        let planes =
            frame.components.iter().map(|c| Self::plane(frame, c, side, size.0)).collect::<Result<_, _>>()?;
        let rows = side * frame.sampling.1;
        Ok(Self {
            planes,
            space,
            size,
            rows,
            safe: rows - frame.sampling.1,
            bands: frame.mcus.1,
            sums: Vec::new(),
            rgb: vec![0; 3 * size.0 * size.1],
        })
    }

    fn plane(frame: &Frame, component: &Component, least: usize, width: usize) -> Result<Plane, Fault> {
        let (h, v) = component.sampling;
        let most = frame.sampling;
        // Where a component is sampled less, a less reduced transform is better than reducing and enlarging.
        let mut side = least;
        while side < 8
            && (most.0 * least).is_multiple_of(h * side * 2)
            && (most.1 * least).is_multiple_of(v * side * 2)
        {
            side *= 2;
        }
        let samples = |pixels: usize, own: usize, most: usize| (pixels * own * side).div_ceil(8 * most);
        let size = (samples(frame.size.0, h, most.0), samples(frame.size.1, v, most.1));
        let group = (h * side / least, v * side / least);
        let method = Method::new(group, most, size.0, least > 1).ok_or_else(|| {
            Fault::Unsupported(format!("sampling factors of {h}:{} or {v}:{}", most.0, most.1))
        })?;
        let (stride, rows) = (component.padded.0 * side, v * side);
        Ok(Plane {
            ring: vec![0; 2 * rows * stride],
            stride,
            rows,
            size,
            side,
            method,
            table: [0; 64],
            wide: vec![0; if method == Method::Full { 0 } else { width.next_multiple_of(most.0) + 2 }],
        })
    }

    /// Gives a component its steps of quantisation.
    pub(super) fn quantise(&mut self, component: usize, table: &[u16; 64]) {
        if let Some(plane) = self.planes.get_mut(component) {
            plane.table = table.map(|step| step as i16);
        }
    }

    /// Transforms a block of a component.
    #[inline(always)]
    pub(super) fn put(&mut self, component: usize, at: (usize, usize), block: &Block, has_ac: bool) {
        self.planes[component].put(at, block, has_ac);
    }

    /// Writes the rows of the image that all blocks up to those of `band` make.
    #[inline(always)]
    pub(super) fn finish(&mut self, band: usize) {
        let from = if band == 0 { 0 } else { (band - 1) * self.rows + self.safe };
        let to = if band + 1 == self.bands { self.size.1 } else { band * self.rows + self.safe };
        for row in from..to.min(self.size.1) {
            for plane in &mut self.planes {
                upsample(plane, row, &mut self.sums);
            }
            let mut rows: [&[u8]; 4] = [&[]; 4];
            for (slot, plane) in rows.iter_mut().zip(&self.planes) {
                *slot =
                    if plane.method == Method::Full { plane.row(row) } else { &plane.wide[..self.size.0] };
            }
            let bytes = 3 * self.size.0;
            self.space.convert(&rows[..self.planes.len()], &mut self.rgb[row * bytes..(row + 1) * bytes]);
        }
    }

    /// Width, height and pixels, row by row.
    pub(super) fn into_parts(self) -> (usize, usize, Vec<u8>) {
        (self.size.0, self.size.1, self.rgb)
    }
}

#[inline(always)]
fn upsample(plane: &mut Plane, row: usize, sums: &mut Vec<u16>) {
    if plane.method == Method::Full {
        return;
    }
    let mut wide = std::mem::take(&mut plane.wide);
    let near = row / plane.method.down();
    let even = row.is_multiple_of(2);
    let far = if even { near.saturating_sub(1) } else { (near + 1).min(plane.size.1 - 1) };
    upsample::row(plane.method, plane.row(near), plane.row(far), even, sums, &mut wide);
    plane.wide = wide;
}
