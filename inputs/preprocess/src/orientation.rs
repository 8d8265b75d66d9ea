//! Which side of a photograph is up: Pillow's reading of Exif and XMP in `ImageOps.exif_transpose`.

use image::metadata::Orientation;

/// The orientation of an image with this metadata. `exif` begins with its byte order; a TIFF file is of that form too.
/// XMP counts only where Exif says nothing. Metadata that cannot be read are no reason to refuse an image.
pub(crate) fn orientation(exif: Option<&[u8]>, xmp: Option<&[u8]>) -> Orientation {
    let number = exif.and_then(in_exif).or_else(|| xmp.and_then(in_xmp));
    number.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// Numbers in the byte order of a file.
#[derive(Clone, Copy)]
struct Order {
    little: bool,
}

impl Order {
    fn bytes<const N: usize>(self, bytes: &[u8], at: usize) -> Option<[u8; N]> {
        let mut found: [u8; N] = *bytes.get(at..)?.first_chunk()?;
        if self.little {
            found.reverse();
        }
        Some(found)
    }

    fn short(self, bytes: &[u8], at: usize) -> Option<u16> {
        self.bytes(bytes, at).map(u16::from_be_bytes)
    }

    fn long(self, bytes: &[u8], at: usize) -> Option<u32> {
        self.bytes(bytes, at).map(u32::from_be_bytes)
    }

    /// An offset or a number of things.
    fn index(self, bytes: &[u8], at: usize) -> Option<usize> {
        self.long(bytes, at).and_then(|value| usize::try_from(value).ok())
    }

    /// A value of one of TIFF's types of numbers, as far as it is a whole one.
    fn number(self, kind: u16, bytes: &[u8]) -> Option<f64> {
        Some(match kind {
            3 => self.short(bytes, 0)?.into(),
            4 | 13 => self.long(bytes, 0)?.into(),
            5 => f64::from(self.long(bytes, 0)?) / f64::from(self.long(bytes, 4)?),
            6 => i8::from_be_bytes(self.bytes(bytes, 0)?).into(),
            8 => i16::from_be_bytes(self.bytes(bytes, 0)?).into(),
            9 => i32::from_be_bytes(self.bytes(bytes, 0)?).into(),
            11 => f32::from_be_bytes(self.bytes(bytes, 0)?).into(),
            12 => f64::from_be_bytes(self.bytes(bytes, 0)?),
            16 => u64::from_be_bytes(self.bytes(bytes, 0)?) as f64,
            _ => return None, // bytes and text are no numbers
        })
    }
}

/// The number in the first directory; 0 where the entry is there and holds none.
fn in_exif(exif: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x0112;
    // Some writers head it with the name of the segment, once or more.
    let mut exif = exif;
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    let order = match exif.get(..4)? {
        b"II*\0" | b"II\0*" => Order { little: true },
        b"MM\0*" | b"MM*\0" => Order { little: false },
        _ => return None,
    };
    let directory = order.index(exif, 4)?;
    let entries = usize::from(order.short(exif, directory)?);
    let mut found = None;
    for entry in 0..entries {
        let Some(entry) = exif.get(directory + 2 + 12 * entry..).and_then(<[u8]>::first_chunk::<12>) else {
            break;
        };
        let (tag, kind) = (order.short(entry, 0)?, order.short(entry, 2)?);
        let size = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 => 8,
            _ => continue,
        };
        let length = order.index(entry, 4)?.saturating_mul(size);
        let value = if length > 4 {
            // What lies elsewhere and is not there ends the directory.
            let Some(value) = order.index(entry, 8).and_then(|at| exif.get(at..)?.get(..length)) else {
                break;
            };
            value
        } else {
            &entry[8..8 + length]
        };
        if tag == ORIENTATION && !value.is_empty() {
            let number = order.number(kind, value).unwrap_or(0.0);
            found =
                Some(if (0.0..=255.0).contains(&number) && number.fract() == 0.0 { number as u8 } else { 0 });
        }
    }
    found
}

/// The digit behind the property's name, as attribute or element.
fn in_xmp(xmp: &[u8]) -> Option<u8> {
    const PROPERTY: &[u8] = b"tiff:Orientation";
    xmp.windows(PROPERTY.len()).enumerate().filter(|(_, words)| *words == PROPERTY).find_map(|(at, _)| {
        let rest = &xmp[at + PROPERTY.len()..];
        let rest = rest.strip_prefix(b"=\"").or_else(|| rest.strip_prefix(b">"))?;
        rest.first().filter(|b| b.is_ascii_digit()).map(|b| b - b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of one entry.
    fn exif(little: bool, tag: u16, kind: u16, count: u32, value: &[u8]) -> Vec<u8> {
        let short = |n: u16| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut out = if little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        out.extend([&long(8)[..], &short(1), &short(tag), &short(kind), &long(count)].concat());
        if value.len() > 4 {
            out.extend([&long(26)[..], &long(0), value].concat());
        } else {
            out.extend([value, &vec![0; 4 - value.len()], &long(0)[..]].concat());
        }
        out
    }

    #[track_caller]
    fn check(exif: Option<&[u8]>, xmp: Option<&[u8]>, expected: u8) {
        assert_eq!(orientation(exif, xmp).to_exif(), expected);
    }

    /// What Pillow 13 does with each.
    #[test]
    fn exif_of_all_types_is_read_as_pillow_reads_it() {
        let six = 0x112;
        for (kind, value, expected) in [
            (1, &[6][..], 1),
            (2, b"6", 1),
            (3, &[6, 0], 6),
            (4, &[6, 0, 0, 0], 6),
            (5, &[12, 0, 0, 0, 2, 0, 0, 0], 6),
            (5, &[13, 0, 0, 0, 2, 0, 0, 0], 1),
            (5, &[6, 0, 0, 0, 0, 0, 0, 0], 1),
            (6, &[6], 6),
            (7, &[6], 1),
            (8, &[6, 0], 6),
            (9, &[6, 0, 0, 0], 6),
            (11, &6f32.to_le_bytes(), 6),
            (12, &6f64.to_le_bytes(), 6),
            (13, &[6, 0, 0, 0], 6),
            (16, &[6, 0, 0, 0, 0, 0, 0, 0], 6),
            (14, &[6, 0, 0, 0], 1),
            (3, &[9, 0], 1),
        ] {
            check(Some(&exif(true, six, kind, 1, value)), None, expected);
        }
        check(Some(&exif(false, six, 4, 1, &[0, 0, 0, 8])), None, 8);
        check(Some(&exif(true, six, 3, 2, &[6, 0, 1, 0])), None, 6);
        check(Some(&exif(true, 0x10f, 3, 1, &[6, 0])), None, 1);
        check(Some(&[b"Exif\0\0", &exif(true, six, 3, 1, &[6, 0])[..]].concat()), None, 6);
    }

    #[test]
    fn xmp_counts_where_exif_says_nothing() {
        let attribute: &[u8] = b"<x tiff:Make=\"y\" tiff:Orientation=\"6\"/>";
        check(None, Some(attribute), 6);
        check(None, Some(b"<tiff:Orientation>8</tiff:Orientation>"), 8);
        check(None, Some(b"tiff:Orientation='6'"), 1);
        check(Some(b"garbage"), Some(attribute), 6);
        check(Some(&exif(true, 0x112, 3, 0, &[])), Some(attribute), 6);
        check(Some(&exif(true, 0x112, 3, 1, &[1, 0])), Some(attribute), 1);
        check(Some(&exif(true, 0x112, 1, 1, &[6])), Some(attribute), 1);
    }

    #[test]
    fn no_prefix_panics() {
        let whole = exif(true, 0x112, 5, 1, &[6, 0, 0, 0, 1, 0, 0, 0]);
        for end in 0..whole.len() {
            check(Some(&whole[..end]), None, 1);
        }
        check(Some(&whole), None, 6);
    }
}
