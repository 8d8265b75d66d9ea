//! The frame: how large the image is, and how its components lie in blocks.

use super::fault::Fault;

/// Components that a frame may have here.
pub(super) const MAX_COMPONENTS: usize = 4;

/// How the compressed data is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// Block by block, in one scan or in one a component.
    Sequential,
    /// In scans that refine each other.
    Progressive,
}

/// A colour component.
#[derive(Debug, Clone)]
pub(super) struct Component {
    /// What scans call it.
    pub(super) id: u8,
    /// Horizontal and vertical sampling factor, 1 to 4.
    pub(super) sampling: (usize, usize),
    /// Number of its quantisation table.
    pub(super) table: u8,
    /// Blocks that show something, across and down.
    pub(super) blocks: (usize, usize),
    /// Blocks in whole MCUs, across and down.
    pub(super) padded: (usize, usize),
}

/// A start-of-frame segment.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) process: Process,
    /// Width and height in pixels.
    pub(super) size: (usize, usize),
    pub(super) components: Vec<Component>,
    /// The largest sampling factors.
    pub(super) sampling: (usize, usize),
    /// MCUs of a scan that holds all components, across and down.
    pub(super) mcus: (usize, usize),
}

impl Frame {
    /// Reads the segment of this marker.
    pub(super) fn new(marker: u8, payload: &[u8]) -> Result<Self, Fault> {
        let process = match marker {
            0xc0 | 0xc1 => Process::Sequential,
            0xc2 => Process::Progressive,
            0xc3 | 0xcb => return Err(Fault::Unsupported("lossless coding".into())),
            0xc9 | 0xca => return Err(Fault::Unsupported("arithmetic coding".into())),
            _ => return Err(Fault::Unsupported("hierarchical coding".into())),
        };
        let &[precision, h0, h1, w0, w1, count, ref rest @ ..] = payload else {
            return Err(Fault::broken("its frame header is too short"));
        };
        let size = (usize::from(u16::from_be_bytes([w0, w1])), usize::from(u16::from_be_bytes([h0, h1])));
        if precision != 8 {
            return Err(Fault::Unsupported(format!("{precision} bits a sample")));
        }
        if size.0 == 0 || size.1 == 0 {
            return Err(Fault::broken(format!("its frame header says {}×{} pixels", size.0, size.1)));
        }
        if rest.len() != 3 * usize::from(count) {
            return Err(Fault::broken("its frame header is of a wrong length"));
        }
        if !matches!(count, 1 | 3 | 4) {
            return Err(Fault::Unsupported(format!("{count} colour components")));
        }
        let mut components: Vec<Component> = rest
            .chunks_exact(3)
            .map(|part| Component {
                id: part[0],
                sampling: (usize::from(part[1] >> 4), usize::from(part[1] & 15)),
                table: part[2],
                blocks: (0, 0),
                padded: (0, 0),
            })
            .collect();
        let factors = components.iter().flat_map(|c| [c.sampling.0, c.sampling.1]);
        if factors.clone().any(|factor| !(1..=4).contains(&factor)) {
            return Err(Fault::broken("a sampling factor is not 1 to 4"));
        }
        let largest = |of: fn(&Component) -> usize| components.iter().map(of).max().unwrap_or(1);
        let sampling = (largest(|c| c.sampling.0), largest(|c| c.sampling.1));
        let mcus = (size.0.div_ceil(8 * sampling.0), size.1.div_ceil(8 * sampling.1));
        for c in &mut components {
            let blocks = |pixels: usize, own: usize, most: usize| (pixels * own).div_ceil(8 * most);
            c.blocks = (blocks(size.0, c.sampling.0, sampling.0), blocks(size.1, c.sampling.1, sampling.1));
            c.padded = (mcus.0 * c.sampling.0, mcus.1 * c.sampling.1);
        }
        Ok(Self { process, size, components, sampling, mcus })
    }
}
