//! What the queries of one grid look at.

use candle_core::{DType, Device, Tensor};
use zoo_core::{Region, Result};

use crate::window::Windows;

/// The projected tokens of one encoder, laid out for a grid of queries.
pub struct View {
    /// `[B, cells, C]`, raster order.
    pub cells: Tensor,
    /// Windows of those cells.
    pub windows: Windows,
    /// 0 where a query may look and -∞ where it sees padding, f32 `[B · queries, 1, 1, keys]`. There for all
    /// views of a [`Scene`] or for none.
    pub bias: Option<Tensor>,
}

/// All views of one grid of queries, one per encoder, and the global context.
pub struct Scene {
    /// `[B, 1, C]`: mean of the first encoder's tokens.
    pub context: Tensor,
    /// In ensemble order.
    pub views: Vec<View>,
}

impl Scene {
    /// The whole grid of `q × q` queries over each encoder's projected tokens `[B, s², C]`, for images of the
    /// given sizes.
    pub fn whole(features: &[Tensor], q: usize, sizes: &[(u32, u32)]) -> Result<Self> {
        let windows = all_windows(features, q)?;
        let bias =
            biases(&windows, &Region::whole(Windows::square(q, q).queries), sizes, features[0].device())?;
        let views = features.iter().zip(windows).zip(bias);
        Ok(Self {
            context: context(features)?,
            views: views
                .map(|((cells, windows), bias)| View { cells: cells.clone(), windows, bias })
                .collect(),
        })
    }

    /// The queries of `region` in the grid of `q × q`, over the tokens of one image: `[1, s², C]` each.
    pub fn cut(features: &[Tensor], q: usize, region: &Region, size: (u32, u32)) -> Result<Self> {
        let windows = all_windows(features, q)?;
        let bias = biases(&windows, region, &[size], features[0].device())?;
        let mut views = Vec::with_capacity(features.len());
        for ((tokens, windows), bias) in features.iter().zip(windows).zip(bias) {
            let side = windows.cells();
            let cells = region.scaled(windows.m);
            let tokens = tokens
                .reshape((1, side.h, side.w, ()))?
                .narrow(1, cells.rows.start, cells.rows.len())?
                .narrow(2, cells.cols.start, cells.cols.len())?
                .flatten(1, 2)?;
            let windows = Windows { queries: region.grid(), m: windows.m };
            views.push(View { cells: tokens, windows, bias });
        }
        Ok(Self { context: context(features)?, views })
    }

    /// The biases of all views side by side: `[B · queries, 1, 1, all keys]`.
    pub fn bias(&self) -> Result<Option<Tensor>> {
        let parts: Vec<&Tensor> = self.views.iter().filter_map(|view| view.bias.as_ref()).collect();
        Ok(if parts.is_empty() { None } else { Some(Tensor::cat(&parts, 3)?) })
    }
}

/// Summed in f32: hundreds of tokens are too many for half precision.
fn context(features: &[Tensor]) -> Result<Tensor> {
    Ok(features[0].to_dtype(DType::F32)?.mean_keepdim(1)?.to_dtype(features[0].dtype())?)
}

fn all_windows(features: &[Tensor], q: usize) -> Result<Vec<Windows>> {
    features.iter().map(|f| Ok(Windows::square(q, f.dim(1)?.isqrt()))).collect()
}

/// One bias per view, or none at all when nobody sees padding.
fn biases(
    windows: &[Windows],
    region: &Region,
    sizes: &[(u32, u32)],
    device: &Device,
) -> Result<Vec<Option<Tensor>>> {
    let visible: Vec<Vec<bool>> =
        windows.iter().map(|w| sizes.iter().flat_map(|&size| w.visible(region, size)).collect()).collect();
    if visible.iter().flatten().all(|v| *v) {
        return Ok(vec![None; windows.len()]);
    }
    let tensor = |(visible, windows): (&Vec<bool>, &Windows)| {
        let values: Vec<f32> = visible.iter().map(|&v| if v { 0.0 } else { f32::NEG_INFINITY }).collect();
        let shape = (visible.len() / windows.keys(), 1, 1, windows.keys());
        Ok(Some(Tensor::from_vec(values, shape, device)?))
    };
    visible.iter().zip(windows).map(tensor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bias of each view of one image, `[queries][keys]`.
    fn bias(scene: &Scene) -> Vec<Vec<Vec<f32>>> {
        let rows = |view: &View| view.bias.as_ref().unwrap().flatten(1, 3).unwrap().to_vec2().unwrap();
        scene.views.iter().map(rows).collect()
    }

    fn features(sides: &[usize]) -> Vec<Tensor> {
        let tensor = |s: &usize| Tensor::zeros((1, s * s, 16), DType::F32, &Device::Cpu).unwrap();
        sides.iter().map(tensor).collect()
    }

    #[test]
    fn an_encoder_that_sees_padding_only_is_unmasked_and_the_others_are_not() {
        // 60 of 100 rows are the image's: 2 of 4 cells, one at each edge is padding; 9 of 16, where 3 are.
        let scene = Scene::whole(&features(&[4, 16]), 4, &[(100, 60)]).unwrap();
        let bias = bias(&scene);
        for (query, (coarse, fine)) in bias[0].iter().zip(&bias[1]).enumerate() {
            // Its only cell is either shown or the last resort.
            assert_eq!(coarse, &[0.0]);
            let masked: Vec<usize> = (0..16).filter(|&key| fine[key] < 0.0).collect();
            let expected: Vec<usize> = match query / 4 {
                0 => (0..12).collect(),
                3 => (4..16).collect(),
                _ => Vec::new(),
            };
            assert_eq!(masked, expected, "query {query}");
        }
        assert_eq!(scene.bias().unwrap().unwrap().dims(), [16, 1, 1, 17]);
    }

    #[test]
    fn nobody_is_masked_without_padding() {
        let scene = Scene::whole(&features(&[4, 16]), 4, &[(60, 60)]).unwrap();
        assert!(scene.bias().unwrap().is_none());
    }
}
