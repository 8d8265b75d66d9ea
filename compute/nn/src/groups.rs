//! How many images go through a network at once.
//!
//! An image gives the same bits whatever stands beside it, so a batch may be cut as it suits the machine. Weights are
//! read once a group, which a few images pay for; what a group leaves between two layers should stay small. A tensor of
//! more than 32 MiB glibc asks the system for anew each time, and the system clears its pages. Activations then do not
//! grow with the batch either; features do.

use candle_core::Tensor;
use zoo_core::{FeatureMap, Result};

/// What a group may hold between its layers, unless one image holds more.
const BYTES: u64 = 64 << 20;

/// Images in a group, of `batch` which hold `bytes` each: at most as many as fit, and groups as even as can be.
pub(crate) fn size(batch: usize, bytes: u64) -> usize {
    let most = usize::try_from(BYTES / bytes.max(1)).unwrap_or(usize::MAX).clamp(1, batch.max(1));
    batch.div_ceil(batch.div_ceil(most).max(1)).max(1)
}

/// The features of `[B, 3, H, W]` pixels, `group` images at a time; `network` is told the place of the first.
///
/// # Errors
/// Those of `network`; a device that refused.
pub(crate) fn forward(
    pixels: &Tensor,
    group: usize,
    network: impl Fn(&Tensor, usize) -> Result<Vec<FeatureMap>>,
) -> Result<Vec<FeatureMap>> {
    let batch = pixels.dim(0)?;
    if group >= batch {
        return network(pixels, 0);
    }
    let mut layers: Vec<Vec<FeatureMap>> = Vec::new();
    for first in (0..batch).step_by(group) {
        let maps = network(&pixels.narrow(0, first, group.min(batch - first))?, first)?;
        layers.resize_with(maps.len(), Vec::new);
        layers.iter_mut().zip(maps).for_each(|(layer, map)| layer.push(map));
    }
    layers.into_iter().map(|maps| joined(&maps)).collect()
}

/// One layer of all groups.
fn joined(maps: &[FeatureMap]) -> Result<FeatureMap> {
    let tokens: Vec<&Tensor> = maps.iter().map(|map| &map.tokens).collect();
    let prefix: Vec<&Tensor> = maps.iter().filter_map(|map| map.prefix.as_ref()).collect();
    Ok(FeatureMap {
        tokens: Tensor::cat(&tokens, 0)?,
        prefix: if prefix.is_empty() { None } else { Some(Tensor::cat(&prefix, 0)?) },
        ..maps[0].clone()
    })
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, IndexOp};
    use zoo_core::Grid;

    use super::*;

    #[test]
    fn groups_join_in_order() {
        let pixels = Tensor::arange(0f32, 5.0, &Device::Cpu).unwrap().reshape((5, 1, 1, 1)).unwrap();
        // Two layers, of which one has a prefix: the pixel, and the pixel times ten.
        let network = |images: &Tensor, first: usize| {
            assert!(images.dim(0)? <= 2 && first.is_multiple_of(2));
            let tokens = images.reshape(((), 1, 1))?;
            let map = |tokens: &Tensor, prefix, layer| FeatureMap {
                tokens: tokens.clone(),
                prefix,
                grid: Grid::square(1),
                layer,
                normed: false,
            };
            Ok(vec![map(&tokens, Some((&tokens * 10.0)?), 3), map(&(&tokens * 2.0)?, None, 7)])
        };
        let maps = forward(&pixels, 2, network).unwrap();
        assert_eq!(maps.iter().map(|map| map.layer).collect::<Vec<_>>(), [3, 7]);
        let values = |tensor: &Tensor| tensor.i((.., 0, 0)).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(&maps[0].tokens), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(values(maps[0].prefix.as_ref().unwrap()), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(values(&maps[1].tokens), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert!(maps[1].prefix.is_none());
    }

    #[test]
    fn groups_fit_and_are_even() {
        assert_eq!(size(8, BYTES), 1);
        assert_eq!(size(8, 4 * BYTES), 1);
        assert_eq!(size(8, BYTES / 3), 3); // 3, 3, 2
        assert_eq!(size(9, BYTES / 8), 5); // 5, 4 and not 8, 1
        assert_eq!(size(32, 1), 32);
        assert_eq!(size(1, 0), 1);
        assert_eq!(size(0, 1), 1);
    }
}
