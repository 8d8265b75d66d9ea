//! Maps cut into square windows, for attention within each (arXiv 2203.16527).

use candle_core::Tensor;
use zoo_core::{Grid, Result};

/// Windows of `side × side` cells over a grid, from its first cell on. The last row and column of windows go on into
/// zeros where they reach beyond the grid, and those zeros are cells like others: references do not mask them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// What is cut.
    pub grid: Grid,
    /// Of a window, in cells.
    pub side: usize,
}

impl Windows {
    /// Windows on each axis.
    pub fn count(self) -> Grid {
        Grid { h: self.grid.h.div_ceil(self.side), w: self.grid.w.div_ceil(self.side) }
    }

    /// `[B, cells, C]` to `[B · windows, side², C]`, all in raster order. Differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when the tokens do not fill the grid.
    pub fn split(self, tokens: &Tensor) -> Result<Tensor> {
        let (batch, _, channels) = tokens.dims3()?;
        let (Grid { h, w }, count, side) = (self.grid, self.count(), self.side);
        let map = tokens.reshape((batch, h, w, channels))?;
        let map = padded(&map, 1, count.h * side - h)?;
        let map = padded(&map, 2, count.w * side - w)?;
        let map = map.reshape((batch, count.h, side, count.w, side * channels))?.transpose(2, 3)?;
        Ok(map.reshape((batch * count.cells(), side * side, channels))?)
    }

    /// The way back; what stands beyond the grid is dropped. Differentiable.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when these are not the windows of a number of maps.
    pub fn join(self, windows: &Tensor) -> Result<Tensor> {
        let (all, _, channels) = windows.dims3()?;
        let (Grid { h, w }, count, side) = (self.grid, self.count(), self.side);
        let batch = all / count.cells().max(1);
        let map = windows.reshape((batch, count.h, count.w, side, side * channels))?.transpose(2, 3)?;
        let map = map.reshape((batch, count.h * side, count.w * side, channels))?;
        Ok(map.narrow(1, 0, h)?.narrow(2, 0, w)?.reshape((batch, h * w, channels))?)
    }
}

/// `map` with so many zeros behind the end of an axis.
fn padded(map: &Tensor, axis: usize, zeros: usize) -> candle_core::Result<Tensor> {
    if zeros == 0 { Ok(map.clone()) } else { map.pad_with_zeros(axis, 0, zeros) }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn windows_are_cut_in_raster_order_and_joined_again() {
        let windows = Windows { grid: Grid { h: 3, w: 5 }, side: 2 };
        assert_eq!(windows.count(), Grid { h: 2, w: 3 });
        let tokens = Tensor::arange(1f32, 31.0, &Device::Cpu).unwrap().reshape((2, 15, 1)).unwrap();
        let cut = windows.split(&tokens).unwrap();
        let values: Vec<Vec<f32>> = cut.squeeze(2).unwrap().to_vec2().unwrap();
        assert_eq!(values.len(), 12);
        assert_eq!(values[0], [1.0, 2.0, 6.0, 7.0]);
        // The last column and the last row reach beyond the grid.
        assert_eq!(values[2], [5.0, 0.0, 10.0, 0.0]);
        assert_eq!(values[11], [30.0, 0.0, 0.0, 0.0]);
        let joined: Vec<Vec<Vec<f32>>> = windows.join(&cut).unwrap().to_vec3().unwrap();
        assert_eq!(joined, tokens.to_vec3::<f32>().unwrap());
    }
}
