//! JPEG: from a file to RGB, byte for byte what Pillow gives (`Image.open(..).convert("RGB")`).
//!
//! **Why a decoder of our own.** JPEG leaves the last bits to the decoder, and encoders were trained on those of Pillow,
//! which are libjpeg-turbo's. zune-jpeg and jpeg-decoder, the well-kept decoders in Rust, have an inverse transform,
//! upsampling and colour constants of their own, and differ from it by a few levels in most pixels; both fill damaged data
//! with grey and say nothing, and zune-jpeg cannot reduce. Bindings of libjpeg-turbo itself (turbojpeg, mozjpeg) would be
//! exact, but bring a C library, an assembler at build time and a memory-unsafe parser of files from anywhere. What makes
//! the bytes is small: the accurate integer transform ([`idct`]), interpolated upsampling ([`upsample`]), colour constants
//! of 16 bits ([`colour`]), and for images whose scans stop early the smoothing of blocks ([`smooth`]).
//!
//! | file | idea |
//! | --- | --- |
//! | [`markers`], [`frame`] | what stands between the scans |
//! | [`entropy`], [`scan`] | segments of compressed data, restart markers and what to do where they are missing |
//! | [`bits`], [`huffman`] | codes |
//! | [`sequential`], [`progressive`], [`order`] | blocks |
//! | [`single`], [`several`] | one scan that becomes pixels at once, or several that are collected first |
//! | [`output`] | bands of blocks to rows of pixels |
//! | [`level`] | vector instructions without `unsafe` |
//!
//! Read are sequential and progressive images with Huffman codes and 8 bits a sample, of one, three or four components, with
//! all sampling factors that libjpeg reads. Lossless, arithmetic and hierarchical coding and 12 bits are refused by name.

mod bits;
mod colour;
mod entropy;
mod fault;
mod frame;
mod huffman;
mod idct;
mod level;
mod markers;
mod order;
mod output;
mod progressive;
mod scan;
mod sequential;
mod several;
mod single;
mod smooth;
#[cfg(test)]
mod tests;
mod upsample;

pub(crate) use fault::Fault;

use colour::Space;
use entropy::Record;
use fault::{Cause, Damage};
use frame::{Frame, Process};
use huffman::{Kind, Table};
use markers::{Reader, Scan, Stop};
use output::Output;
use scan::{Course, Ended};
use several::{Coefficients, OneOfSeveral};
use single::Single;
use smooth::{Known, Smoother};

/// Scans that an image may have. Real ones have about a dozen; each costs a walk over the image, however short it is.
const MAX_SCANS: usize = 500;

/// A JPEG whose headers were read.
pub(crate) struct Jpeg<'a> {
    reader: Reader<'a>,
    frame: Frame,
    scan: Scan,
}

/// A decoded JPEG.
#[derive(Debug)]
pub(crate) struct Pixels {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Row by row, 3 bytes each.
    pub(crate) rgb: Vec<u8>,
    /// What was wrong with the data, if anything.
    pub(crate) damage: Option<Damage>,
    /// The file ends before its end marker.
    pub(crate) cut: bool,
}

impl<'a> Jpeg<'a> {
    /// Reads the headers, up to the first scan; allocates nothing of the image's size.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut reader = Reader::new(bytes)?;
        let scan = match reader.next_scan()? {
            Stop::Scan(scan) => scan,
            Stop::End => return Err(Fault::broken("it has no image")),
            Stop::Cut => return Err(Fault::Truncated),
        };
        // A scan has a frame before it.
        let frame = reader.frame.clone().ok_or_else(|| Fault::broken("it has no frame"))?;
        Ok(Self { reader, frame, scan })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.frame.size.0 as u32, self.frame.size.1 as u32)
    }

    /// Colour components: 1 grey, 3 colour, 4 CMYK or YCCK.
    pub(crate) fn components(&self) -> usize {
        self.frame.components.len()
    }

    /// Exif metadata, from the byte order on; empty where there are none.
    pub(crate) fn exif(&self) -> &[u8] {
        &self.reader.exif
    }

    /// XMP metadata.
    pub(crate) fn xmp(&self) -> Option<&'a [u8]> {
        self.reader.xmp
    }

    /// Decodes at 1/`reduction` of the size: 1, 2, 4 or 8; the reduced ones are those of Pillow's `draft`.
    pub(crate) fn decode(mut self, reduction: usize) -> Result<Pixels, Fault> {
        let names: Vec<u8> = self.frame.components.iter().map(|c| c.id).collect();
        let space = Space::new(&names, self.reader.jfif, self.reader.adobe);
        let mut output = Output::new(&self.frame, space, reduction)?;
        let mut record = Record::default();
        let all = self.scan.components.len() == self.frame.components.len();
        let cut = if self.frame.process == Process::Sequential && all {
            self.single(&mut output, &mut record)?
        } else {
            self.several(&mut output, &mut record)?
        };
        let last = self.frame.size.1 - 1;
        if self.reader.skipped > 0 {
            record.note(Cause::LeftOver(self.reader.skipped), last);
        }
        if cut {
            record.note(Cause::EndsEarly, last);
        }
        let (width, height, rgb) = output.into_parts();
        Ok(Pixels { width, height, rgb, damage: record.first, cut })
    }

    /// One scan holds everything. Returns whether the file ends before its end marker.
    fn single(&mut self, output: &mut Output, record: &mut Record) -> Result<bool, Fault> {
        self.check(&self.scan)?;
        let mut tables = Vec::new();
        for &(component, dc, ac) in &self.scan.components {
            tables.push((self.table(dc, Kind::Dc)?, self.table(ac, Kind::Ac)?));
            output.quantise(component, &self.quantisation(component)?);
        }
        let course = self.course(&self.scan);
        let mut single = Single::new(&self.frame, &self.scan, &tables, course.mcus, output);
        let ended = course.run(&mut single, record);
        self.resume(&ended);
        match self.reader.next_scan()? {
            Stop::Scan(_) => Err(Fault::broken("it has a second scan for the same data")),
            Stop::End => Ok(false),
            Stop::Cut => Ok(true),
        }
    }

    /// Several scans share the data. Returns whether the file ends before its end marker.
    fn several(&mut self, output: &mut Output, record: &mut Record) -> Result<bool, Fault> {
        let mut coefficients = Coefficients::new(&self.frame);
        let mut quantisation = vec![None; self.frame.components.len()];
        let mut known = vec![Known::NOTHING; self.frame.components.len()];
        let mut scan = self.scan.clone();
        for number in 1.. {
            if number > MAX_SCANS {
                return Err(Fault::broken(format!("it has more than {MAX_SCANS} scans")));
            }
            self.check(&scan)?;
            for &(component, ..) in &scan.components {
                // The table of a component is the one at its first scan.
                if quantisation[component].is_none() {
                    quantisation[component] = Some(self.quantisation(component)?);
                }
            }
            let (dc, ac) = several::needs(&self.frame, &scan);
            let kind = if scan.bits.0 > 0 && self.frame.process == Process::Progressive {
                Kind::Refining
            } else {
                Kind::Ac
            };
            let mut tables = Vec::new();
            for &(_, first, second) in &scan.components {
                tables.push((
                    dc.then(|| self.table(first, Kind::Dc)).transpose()?,
                    ac.then(|| self.table(second, kind)).transpose()?,
                ));
            }
            let course = self.course(&scan);
            let mut one = OneOfSeveral::new(&self.frame, &scan, &tables, &mut coefficients)?;
            let progressive = self.frame.process == Process::Progressive;
            if progressive && !several::account(&mut known, &scan, number == 1) {
                record.note(Cause::Progression, 0);
            }
            let ended = course.run(&mut one, record);
            self.resume(&ended);
            scan = match self.reader.next_scan()? {
                Stop::Scan(next) => next,
                stop => {
                    if quantisation.contains(&None) {
                        record.note(Cause::MissingComponent, 0);
                    }
                    for (component, table) in quantisation.iter().enumerate() {
                        if let Some(table) = table {
                            output.quantise(component, table);
                        }
                    }
                    let good = ended.good / self.rows_of_band(&scan);
                    let smoothers = match progressive {
                        true => Smoother::all(&self.frame, &known, &quantisation, good, number),
                        false => Vec::new(),
                    };
                    coefficients.write(&self.frame, &smoothers, output);
                    return Ok(matches!(stop, Stop::Cut));
                }
            };
        }
        Ok(false)
    }

    /// Refuses scans with MCUs larger than the standard's.
    fn check(&self, scan: &Scan) -> Result<(), Fault> {
        let blocks = scan.components.iter().map(|&(i, ..)| self.frame.components[i].sampling);
        if scan.components.len() > 1 && blocks.map(|(h, v)| h * v).sum::<usize>() > 10 {
            return Err(Fault::broken("a scan has more than 10 blocks in a unit"));
        }
        Ok(())
    }

    /// Rows of MCUs of a scan that lie in one of the image.
    fn rows_of_band(&self, scan: &Scan) -> usize {
        match scan.components[..] {
            [(alone, ..)] => self.frame.components[alone].sampling.1,
            _ => 1,
        }
    }

    /// The way through a scan, whose data is next.
    fn course(&self, scan: &Scan) -> Course<'a> {
        let lines = 8 * self.frame.sampling.1;
        let mcus = match scan.components[..] {
            // A component by itself goes block by block, and leaves out those that only fill up.
            [(alone, ..)] => self.frame.components[alone].blocks,
            _ => self.frame.mcus,
        };
        Course {
            bytes: self.reader.bytes,
            at: self.reader.at,
            interval: self.reader.restart_interval,
            mcus,
            lines: lines / self.rows_of_band(scan),
        }
    }

    /// Goes on behind a scan.
    fn resume(&mut self, ended: &Ended) {
        (self.reader.pending, self.reader.at) = (ended.marker, ended.at);
    }

    fn table(&self, number: u8, kind: Kind) -> Result<Table, Fault> {
        let slots = if kind == Kind::Dc { &self.reader.dc } else { &self.reader.ac };
        match slots.get(usize::from(number)) {
            Some(Some(spec)) => Table::new(spec, kind),
            // Frames of videos leave the standard's tables out.
            Some(None) if number < 2 && self.frame.process == Process::Sequential => {
                Table::new(&huffman::standard(kind)[usize::from(number)], kind)
            }
            _ => Err(Fault::broken(format!("its Huffman table {number} is missing"))),
        }
    }

    fn quantisation(&self, component: usize) -> Result<[u16; 64], Fault> {
        let number = self.frame.components[component].table;
        let table = self.reader.quantisation.get(usize::from(number)).copied().flatten();
        table.ok_or_else(|| Fault::broken(format!("its quantisation table {number} is missing")))
    }
}
