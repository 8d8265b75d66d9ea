//! Images of several scans: coefficients are collected first, and become pixels when all are there.

use super::bits::Bits;
use super::fault::Fault;
use super::frame::{Frame, Process};
use super::huffman::Table;
use super::level::{self, Work};
use super::markers::Scan;
use super::output::Output;
use super::progressive::{self, Band};
use super::scan::Visitor;
use super::sequential::{self, Block};
use super::smooth::{Known, Smoother};

/// The coefficients of all components.
pub(super) struct Coefficients {
    planes: Vec<Plane>,
}

/// The blocks of a component, in whole MCUs.
pub(super) struct Plane {
    pub(super) blocks: Vec<Block>,
    /// Blocks in a row.
    pub(super) across: usize,
}

impl Coefficients {
    pub(super) fn new(frame: &Frame) -> Self {
        let plane = |(across, down): (usize, usize)| Plane { blocks: vec![[0; 64]; across * down], across };
        Self { planes: frame.components.iter().map(|c| plane(c.padded)).collect() }
    }

    /// Transforms everything.
    pub(super) fn write(&self, frame: &Frame, smoothers: &[Smoother], output: &mut Output) {
        for band in 0..frame.mcus.1 {
            level::run(Write { coefficients: self, frame, band, smoothers, output: &mut *output });
        }
    }
}

/// Transforms a row of MCUs.
struct Write<'a> {
    coefficients: &'a Coefficients,
    frame: &'a Frame,
    band: usize,
    smoothers: &'a [Smoother],
    output: &'a mut Output,
}

impl Work for Write<'_> {
    #[inline(always)]
    fn run(self) {
        let Self { coefficients, frame, band, smoothers, output } = self;
        for (index, (component, plane)) in frame.components.iter().zip(&coefficients.planes).enumerate() {
            let rows = component.sampling.1;
            for row in band * rows..((band + 1) * rows).min(component.blocks.1) {
                for column in 0..component.blocks.0 {
                    let block = &plane.blocks[row * plane.across + column];
                    match smoothers.get(index) {
                        Some(smoother) => {
                            let smooth = smoother.block(plane, (column, row), band);
                            output.put(index, (column, row), &smooth, true);
                        }
                        None => {
                            let has_ac = block[1..].iter().fold(0, |all, &c| all | c) != 0;
                            output.put(index, (column, row), block, has_ac);
                        }
                    }
                }
            }
        }
        output.finish(band);
    }
}

/// What the scan does with a block.
#[derive(Clone, Copy)]
enum Step {
    Whole,
    DcFirst(u8),
    DcRefine(u8),
    AcFirst(Band),
    AcRefine(Band),
}

struct ScanComponent<'a> {
    component: usize,
    /// Blocks of it in an MCU, across and down.
    blocks: (usize, usize),
    dc: Option<&'a Table>,
    ac: Option<&'a Table>,
    predicted: i32,
}

/// Reads one scan of several.
pub(super) struct OneOfSeveral<'a> {
    step: Step,
    parts: Vec<ScanComponent<'a>>,
    /// Blocks that hold nothing more in the band.
    run: u32,
    coefficients: &'a mut Coefficients,
}

/// Which tables a scan needs: of the DC and of the AC coefficients.
pub(super) fn needs(frame: &Frame, scan: &Scan) -> (bool, bool) {
    match frame.process {
        Process::Sequential => (true, true),
        Process::Progressive => (scan.band.0 == 0 && scan.bits.0 == 0, scan.band.0 > 0),
    }
}

impl<'a> OneOfSeveral<'a> {
    /// `tables` has what [`needs`] says, for each component of the scan.
    pub(super) fn new(
        frame: &Frame,
        scan: &Scan,
        tables: &'a [(Option<Table>, Option<Table>)],
        coefficients: &'a mut Coefficients,
    ) -> Result<Self, Fault> {
        let (first, last) = (usize::from(scan.band.0), usize::from(scan.band.1));
        let (high, low) = scan.bits;
        let band = Band { first, last, low };
        let step = match (frame.process, first, high) {
            (Process::Sequential, ..) => Step::Whole,
            (_, 0, 0) => Step::DcFirst(low),
            (_, 0, _) => Step::DcRefine(low),
            (.., 0) => Step::AcFirst(band),
            _ => Step::AcRefine(band),
        };
        if frame.process == Process::Progressive {
            let alone = scan.components.len() == 1;
            let range = if first == 0 { last == 0 } else { first <= last && last < 64 && alone };
            if !range || low > 13 || high != 0 && low + 1 != high {
                return Err(Fault::broken("a progressive scan has parameters that none may have"));
            }
        }
        let alone = scan.components.len() == 1;
        let parts = scan.components.iter().zip(tables).map(|(&(component, ..), (dc, ac))| ScanComponent {
            component,
            blocks: if alone { (1, 1) } else { frame.components[component].sampling },
            dc: dc.as_ref(),
            ac: ac.as_ref(),
            predicted: 0,
        });
        Ok(Self { step, parts: parts.collect(), run: 0, coefficients })
    }
}

impl Visitor for OneOfSeveral<'_> {
    #[inline(always)]
    fn read(&mut self, bits: &mut Bits<'_>, column: usize, row: usize) {
        for part in &mut self.parts {
            let plane = &mut self.coefficients.planes[part.component];
            let (h, v) = part.blocks;
            for y in 0..v {
                for x in 0..h {
                    let block = &mut plane.blocks[(row * v + y) * plane.across + column * h + x];
                    match (self.step, part.dc, part.ac) {
                        (Step::Whole, Some(dc), Some(ac)) => {
                            sequential::block(bits, (dc, ac), &mut part.predicted, block);
                        }
                        (Step::DcFirst(low), Some(dc), _) => {
                            progressive::dc_first(bits, dc, &mut part.predicted, block, low);
                        }
                        (Step::DcRefine(low), ..) => progressive::dc_refine(bits, block, low),
                        (Step::AcFirst(band), _, Some(ac)) => {
                            progressive::ac_first(bits, ac, &mut self.run, block, band);
                        }
                        (Step::AcRefine(band), _, Some(ac)) => {
                            progressive::ac_refine(bits, ac, &mut self.run, block, band);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn lose(&mut self, _: usize, _: usize) {}

    #[inline(always)]
    fn end_row(&mut self, _: usize) {}

    fn restart(&mut self) {
        self.run = 0;
        self.parts.iter_mut().for_each(|part| part.predicted = 0);
    }
}

/// Keeps account of the bits that progressive scans brought.
pub(super) fn account(known: &mut [Known], scan: &Scan, is_first: bool) -> bool {
    let mut sound = true;
    for &(component, ..) in &scan.components {
        if let Some(known) = known.get_mut(component) {
            sound &= known.take(scan, is_first);
        }
    }
    sound
}
