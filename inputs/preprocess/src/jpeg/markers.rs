//! The marker structure of a JPEG file: what stands between the scans.

use super::fault::Fault;
use super::frame::{Frame, MAX_COMPONENTS};
use super::huffman::Spec;
use super::order::NATURAL;

pub(super) const SOF0: u8 = 0xc0;
pub(super) const RST0: u8 = 0xd0;
pub(super) const RST7: u8 = 0xd7;
pub(super) const EOI: u8 = 0xd9;
const SOI: u8 = 0xd8;
const DHT: u8 = 0xc4;
const DAC: u8 = 0xcc;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DNL: u8 = 0xdc;
const DRI: u8 = 0xdd;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;
const TEM: u8 = 0x01;

/// Tables of each kind.
const TABLES: usize = 4;

/// What a start-of-scan segment says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scan {
    /// Position in the frame of each component, and its DC and AC table.
    pub(super) components: Vec<(usize, u8, u8)>,
    /// First and last coefficient in zigzag order (Ss, Se).
    pub(super) band: (u8, u8),
    /// Bits that earlier scans left out, and that this one leaves out (Ah, Al).
    pub(super) bits: (u8, u8),
}

/// What a call of [`Reader::next_scan`] came to.
pub(super) enum Stop {
    /// A scan; its data begins at [`Reader::at`].
    Scan(Scan),
    /// The end marker.
    End,
    /// The file ends without one.
    Cut,
}

/// Walks over the segments and remembers what they define.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    /// Position of what comes next.
    pub(super) at: usize,
    /// A marker that was found already; `at` is behind it.
    pub(super) pending: Option<u8>,
    pub(super) frame: Option<Frame>,
    pub(super) quantisation: [Option<[u16; 64]>; TABLES],
    pub(super) dc: [Option<Spec>; TABLES],
    pub(super) ac: [Option<Spec>; TABLES],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart_interval: u32,
    /// A JFIF segment was there: three components are YCbCr.
    pub(super) jfif: bool,
    /// The colour transform of an Adobe segment.
    pub(super) adobe: Option<u8>,
    /// The Exif segments, without their headings.
    pub(super) exif: Vec<u8>,
    /// The last XMP segment.
    pub(super) xmp: Option<&'a [u8]>,
    /// Bytes between segments that belong to none.
    pub(super) skipped: usize,
}

impl<'a> Reader<'a> {
    /// A reader behind the start marker.
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Fault> {
        if bytes.get(..2) != Some(&[0xff, SOI]) {
            return Err(Fault::broken("it has no start marker"));
        }
        Ok(Self {
            bytes,
            at: 2,
            pending: None,
            frame: None,
            quantisation: [None; TABLES],
            dc: [const { None }; TABLES],
            ac: [const { None }; TABLES],
            restart_interval: 0,
            jfif: false,
            adobe: None,
            exif: Vec::new(),
            xmp: None,
            skipped: 0,
        })
    }

    /// Reads up to the data of the next scan.
    pub(super) fn next_scan(&mut self) -> Result<Stop, Fault> {
        loop {
            let marker = match self.pending.take() {
                Some(marker) => marker,
                None => match next_marker(self.bytes, self.at) {
                    Some((marker, at, skipped)) => {
                        (self.at, self.skipped) = (at, self.skipped + skipped);
                        marker
                    }
                    None => return Ok(Stop::Cut),
                },
            };
            match marker {
                EOI => return Ok(Stop::End),
                SOI => return Err(Fault::broken("it has a second start marker")),
                TEM | RST0..=RST7 => continue, // no payload
                _ => {}
            }
            let Some(payload) = self.segment() else { return Ok(Stop::Cut) };
            match marker {
                SOS => return self.scan(payload?).map(Stop::Scan),
                DHT => self.huffman(payload?)?,
                DQT => self.quantisation(payload?)?,
                DRI => match payload? {
                    &[a, b] => self.restart_interval = u16::from_be_bytes([a, b]).into(),
                    _ => return Err(wrong_length("restart interval")),
                },
                SOF0..=0xcf if marker != 0xc8 && marker != DAC => {
                    if self.frame.is_some() {
                        return Err(Fault::broken("it has two frames"));
                    }
                    self.frame = Some(Frame::new(marker, payload?)?);
                }
                APP0 => self.jfif |= payload?.get(..14).is_some_and(|p| p.starts_with(b"JFIF\0")),
                APP1 => self.metadata(payload?),
                APP14 => {
                    if let Some(adobe) = payload?.get(..12).filter(|p| p.starts_with(b"Adobe")) {
                        self.adobe = Some(adobe[11]);
                    }
                }
                DAC | DNL | COM | APP0..=APP15 => {}
                _ => return Err(Fault::broken(format!("it has an unknown marker, {marker:02x}"))),
            }
        }
    }

    /// The payload of the segment at hand, and moves behind it. `None` where the file ends first.
    fn segment(&mut self) -> Option<Result<&'a [u8], Fault>> {
        let rest = self.bytes.get(self.at..)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        if length < 2 {
            return Some(Err(Fault::broken("a segment is shorter than its length field")));
        }
        let payload = rest.get(2..length)?;
        self.at += length;
        Some(Ok(payload))
    }

    fn scan(&self, payload: &[u8]) -> Result<Scan, Fault> {
        let Some(frame) = &self.frame else {
            return Err(Fault::broken("a scan comes before the frame"));
        };
        let (&count, rest) = payload.split_first().ok_or_else(|| wrong_length("scan header"))?;
        let count = usize::from(count);
        if count == 0 || count > MAX_COMPONENTS || rest.len() != 2 * count + 3 {
            return Err(wrong_length("scan header"));
        }
        let (selectors, parameters) = rest.split_at(2 * count);
        let mut components: Vec<(usize, u8, u8)> = Vec::new();
        for selector in selectors.chunks_exact(2) {
            // Components stand in a scan in the order of the frame.
            let from = components.len();
            let position = (from..frame.components.len())
                .find(|&i| frame.components[i].id == selector[0])
                .filter(|position| components.iter().all(|(known, ..)| known != position));
            let Some(position) = position else {
                return Err(Fault::broken(format!(
                    "a scan names component {}, which is not next",
                    selector[0]
                )));
            };
            components.push((position, selector[1] >> 4, selector[1] & 15));
        }
        let (band, bits) = ((parameters[0], parameters[1]), (parameters[2] >> 4, parameters[2] & 15));
        Ok(Scan { components, band, bits })
    }

    fn quantisation(&mut self, mut rest: &[u8]) -> Result<(), Fault> {
        while let Some((&head, after)) = rest.split_first() {
            let wide = head >> 4 != 0;
            let values = after.get(..if wide { 128 } else { 64 });
            let (Some(values), Some(slot)) = (values, self.quantisation.get_mut(usize::from(head & 15)))
            else {
                return Err(wrong_length("quantisation table"));
            };
            let mut table = [0; 64];
            for (i, &at) in NATURAL.iter().take(64).enumerate() {
                table[usize::from(at)] = match wide {
                    true => u16::from_be_bytes([values[2 * i], values[2 * i + 1]]),
                    false => values[i].into(),
                };
            }
            *slot = Some(table);
            rest = &after[values.len()..];
        }
        Ok(())
    }

    fn huffman(&mut self, mut rest: &[u8]) -> Result<(), Fault> {
        while let Some((&head, after)) = rest.split_first() {
            let wrong = || wrong_length("Huffman table");
            let counts: [u8; 16] = *after.first_chunk().ok_or_else(wrong)?;
            let total: usize = counts.iter().map(|&n| usize::from(n)).sum();
            let symbols = after.get(16..16 + total).filter(|_| total <= 256).ok_or_else(wrong)?;
            let kind = if head & 0x10 == 0 { &mut self.dc } else { &mut self.ac };
            let slot = kind.get_mut(usize::from(head & !0x10)).ok_or_else(wrong)?;
            *slot = Some(Spec { counts, symbols: symbols.to_vec() });
            rest = &after[16 + total..];
        }
        Ok(())
    }

    /// Exif may come in several segments; of XMP the last one counts.
    fn metadata(&mut self, payload: &'a [u8]) {
        if let Some(exif) = payload.strip_prefix(b"Exif\0\0") {
            self.exif.extend_from_slice(exif);
        } else if let Some(xmp) = payload.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
            self.xmp = Some(xmp);
        }
    }
}

fn wrong_length(of: &str) -> Fault {
    Fault::broken(format!("its {of} is of a wrong length or number"))
}

/// The next marker from `at` on, the position behind it, and how many bytes that belong to nothing were passed over.
pub(super) fn next_marker(bytes: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let mut skipped = 0;
    let mut position = at;
    loop {
        let found = position + bytes.get(position..)?.iter().position(|&b| b == 0xff)?;
        skipped += found - position;
        let behind = found + bytes[found..].iter().position(|&b| b != 0xff)?;
        match bytes[behind] {
            0 => {
                skipped += 2;
                position = behind + 1;
            }
            marker => return Some((marker, behind + 1, skipped)),
        }
    }
}
