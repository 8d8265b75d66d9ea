//! NumPy's `.npy`, format 1.0.

use std::io::Write;
use std::path::Path;

use super::safetensors::TensorOut;
use super::{Replace, WriteError, file};

/// Writes one little-endian f32 array, or nothing.
///
/// # Errors
/// As [`file()`]; [`WriteError::Format`] for more axes than the format has room for.
pub fn write_npy(path: &Path, replace: Replace, tensor: &mut dyn TensorOut) -> Result<(), WriteError> {
    let header = npy_header("<f4", &tensor.shape()).ok_or_else(|| WriteError::Format {
        path: path.to_path_buf(),
        what: format!(".npy has no room for {} axes", tensor.shape().len()),
    })?;
    file(path, replace, |w| {
        w.write_all(&header)?;
        tensor.copy_to(w)
    })
}

/// The header of an array in row-major order, of elements that NumPy calls `element`, such as `<f4`: magic, version, length and the dictionary, padded with spaces so that the data starts at a multiple of 64. None for
/// a dictionary that is longer than its length can say.
pub fn npy_header(element: &str, shape: &[usize]) -> Option<Vec<u8>> {
    const FIXED: usize = 6 + 2 + 2;
    let list = shape.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    // A Python tuple of one needs its comma.
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut dictionary =
        format!("{{'descr': '{element}', 'fortran_order': False, 'shape': ({list}{comma}), }}");
    let total = (FIXED + dictionary.len() + 1).next_multiple_of(64);
    dictionary.extend(std::iter::repeat_n(' ', total - FIXED - dictionary.len() - 1));
    dictionary.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend(u16::try_from(dictionary.len()).ok()?.to_le_bytes());
    out.extend(dictionary.bytes());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::write::Plain;

    #[test]
    fn header_as_numpy_writes_it() {
        let header = npy_header("<f4", &[2, 576, 1024]).unwrap();
        assert_eq!(header.len(), 128);
        assert_eq!(&header[..10], b"\x93NUMPY\x01\x00\x76\x00");
        let text = std::str::from_utf8(&header[10..]).unwrap();
        assert!(text.starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 576, 1024), } "));
        assert!(text.ends_with(" \n"));
    }

    #[test]
    fn one_axis_has_its_comma_and_the_data_is_aligned() {
        assert!(
            String::from_utf8_lossy(&npy_header("<f4", &[7]).unwrap()[10..]).contains("'shape': (7,), }")
        );
        for shape in [&[][..], &[1], &[123_456_789, 987_654_321, 5]] {
            assert_eq!(npy_header("<f4", shape).unwrap().len() % 64, 0);
        }
        assert_eq!(npy_header("<f4", &[1; 40_000]), None);
    }

    #[test]
    fn data_follows_the_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let mut tensor = Plain::F32("x".to_owned(), vec![1, 2], vec![1.5, -2.0]);
        write_npy(&path, Replace::Never, &mut tensor).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 128 + 8);
        assert_eq!(&bytes[128..132], 1.5_f32.to_le_bytes());
    }
}
