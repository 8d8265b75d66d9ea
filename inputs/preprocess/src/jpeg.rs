//! The marker structure of a JPEG file, as far as it shows whether the file is whole and how many colour
//! components it has. The decoder fills the missing part of a cut file with grey and says nothing.

/// What the markers say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Markers {
    /// Colour components of the frame: 1 grey, 3 colour, 4 CMYK or YCCK.
    pub(crate) components: Option<u8>,
    /// Whether an end marker follows the last scan.
    pub(crate) complete: bool,
}

const START_OF_SCAN: u8 = 0xda;
const END_OF_IMAGE: u8 = 0xd9;

/// Walks over the markers of `bytes`.
pub(crate) fn markers(bytes: &[u8]) -> Markers {
    let mut found = Markers::default();
    let mut rest = bytes.get(2..).unwrap_or_default(); // after the start marker
    let mut scanned = false;
    while let Some((marker, after)) = next_marker(rest) {
        match marker {
            END_OF_IMAGE => {
                found.complete = scanned;
                break;
            }
            0x01 | 0xd0..=0xd8 => rest = after, // no payload
            _ => {
                let Some(length) = after.first_chunk().map(|&l| usize::from(u16::from_be_bytes(l))) else {
                    break;
                };
                if is_frame(marker) {
                    found.components = after.get(7).copied();
                }
                scanned |= marker == START_OF_SCAN;
                rest = after.get(length..).unwrap_or_default();
            }
        }
        // A whole file almost always ends in the end marker; do not walk through the compressed data then.
        if scanned && bytes.ends_with(&[0xff, END_OF_IMAGE]) {
            found.complete = true;
            break;
        }
    }
    found
}

/// The next marker and what follows it; stuffed zeros and fill bytes are passed over.
fn next_marker(mut rest: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let at = rest.iter().position(|&b| b == 0xff)?;
        rest = &rest[at + 1..];
        match rest.first()? {
            0x00 => {}
            0xff => continue,
            &marker => return Some((marker, &rest[1..])),
        }
    }
}

/// Start-of-frame markers; the three others in their range define tables or are reserved.
fn is_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &[u8] = b"\xff\xd8\xff\xe1\0\x04\xff\xd9\xff\xc0\0\x08\x08\0\x01\0\x01\x03\xff\xda\0\x02\x12\xff\0\x34\xff\xd9";

    #[test]
    fn a_whole_file_is_complete_also_with_a_tail() {
        let whole = Markers { components: Some(3), complete: true };
        assert_eq!(markers(WHOLE), whole);
        assert_eq!(markers(&[WHOLE, b"tail"].concat()), whole);
    }

    #[test]
    fn no_prefix_is_complete() {
        for end in 0..WHOLE.len() {
            assert!(!markers(&WHOLE[..end]).complete, "{end} bytes");
        }
    }
}
