//! The order of coefficients in the file.

/// Position in the block, row by row, of the coefficients in zigzag order. What lies beyond the 64th, where damaged data
/// leads, falls on the last one; 128 entries, so that an index of 7 bits needs no check.
pub(super) const NATURAL: [u8; 128] = {
    let mut order = [63; 128];
    let (mut row, mut column, mut up) = (0, 0, true);
    let mut i = 0;
    while i < 64 {
        order[i] = 8 * row + column;
        match (up, row, column) {
            (true, _, 7) => (row, up) = (row + 1, false),
            (true, 0, _) => (column, up) = (column + 1, false),
            (true, ..) => (row, column) = (row - 1, column + 1),
            (false, 7, _) => (column, up) = (column + 1, true),
            (false, _, 0) => (row, up) = (row + 1, true),
            (false, ..) => (row, column) = (row + 1, column - 1),
        }
        i += 1;
    }
    order
};
