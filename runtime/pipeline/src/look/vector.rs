//! From a map to one vector a picture.

/// The mean `[width]` of the rows of `[N, width]`, summed in f64 in their order.
pub fn mean(map: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0_f64; width];
    map.chunks(width)
        .for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value)));
    let count = (map.len() / width.max(1)).max(1) as f64;
    sum.into_iter().map(|sum| (sum / count) as f32).collect()
}

/// Scales a vector to length 1, summed in f64; one of zeros stays.
pub fn to_unit(vector: &mut [f32]) {
    let length = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_lengths() {
        assert_eq!(mean(&[1.0, 2.0, 3.0, 6.0], 2), [2.0, 4.0]);
        let mut vector = [3.0, 4.0];
        to_unit(&mut vector);
        assert_eq!(vector, [0.6, 0.8]);
        let mut zero = [0.0; 2];
        to_unit(&mut zero);
        assert_eq!(zero, [0.0; 2]);
    }
}
