//! Masks as COCO writes them: lengths of runs, column by column, beginning with what is outside.

/// Lengths of runs of a mask, `[height, width]` row by row.
pub fn runs(mask: impl Fn(usize) -> bool, (width, height): (usize, usize)) -> Vec<u32> {
    let mut out = Vec::new();
    let (mut inside, mut length) = (false, 0);
    for x in 0..width {
        for y in 0..height {
            if mask(y * width + x) != inside {
                out.push(length);
                (inside, length) = (!inside, 0);
            }
            length += 1;
        }
    }
    out.push(length);
    out
}

/// The text of pycocotools: from the third run on the difference to the one before the last, five bits a character, the lowest
/// first, with a sixth that says whether more follow.
pub fn compress(runs: &[u32]) -> String {
    let mut out = String::new();
    for (i, run) in runs.iter().enumerate() {
        let before = if i > 2 { i64::from(runs[i - 2]) } else { 0 };
        let mut rest = i64::from(*run) - before;
        loop {
            let low = (rest & 0x1f) as u8;
            rest >>= 5;
            let more = if low & 0x10 != 0 { rest != -1 } else { rest != 0 };
            out.push(char::from(48 + (low | if more { 0x20 } else { 0 })));
            if !more {
                break;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way back, written from the format's description.
    fn expand(text: &str) -> Vec<u32> {
        let (mut out, mut value, mut shift): (Vec<u32>, i64, u32) = (Vec::new(), 0, 0);
        for byte in text.bytes() {
            let bits = i64::from(byte - 48);
            value |= (bits & 0x1f) << shift;
            shift += 5;
            if bits & 0x20 == 0 {
                if bits & 0x10 != 0 {
                    value |= -1 << shift;
                }
                let before = if out.len() > 2 { i64::from(out[out.len() - 2]) } else { 0 };
                out.push(u32::try_from(value + before).unwrap());
                (value, shift) = (0, 0);
            }
        }
        out
    }

    #[test]
    fn masks_become_runs_and_text_and_come_back() {
        // A square of 2 in a picture of 4 × 3: columns 1 and 2, rows 1 and 2.
        let runs = runs(|at| (1..3).contains(&(at % 4)) && at / 4 >= 1, (4, 3));
        assert_eq!(runs, [4, 2, 1, 2, 3]);
        for runs in [vec![4, 2, 1, 2, 3], vec![0, 12], vec![1000, 1, 7, 40000, 3, 2, 900, 31, 32, 33]] {
            assert_eq!(expand(&compress(&runs)), runs);
        }
        // What pycocotools writes for the first one.
        assert_eq!(compress(&[4, 2, 1, 2, 3]), "42102");
    }
}
