//! Rows of a table, one for each token.

use candle_core::{Device, Tensor, WithDType};
use zoo_kernels::{Element, zeros};

use crate::dispatch::{Path, with};
use crate::graph::{self, Fresh};
use crate::values::Values;

/// Rows of `table` `[V, H]` for `ids` `[N]` u32. Gradients of a row that comes several times are added in f32, in the
/// order of the tokens, and rounded once; the gradient of the table is made once, and not once for each sum of candle's.
pub(crate) fn rows(table: &Tensor, ids: &Tensor) -> candle_core::Result<Tensor> {
    match Path::of([table]) {
        Path::Tracked(numbers) => with!(numbers, T => tracked::<T>(table, ids)),
        _ => table.index_select(ids, 0),
    }
}

fn tracked<T: Element + WithDType>(table: &Tensor, ids: &Tensor) -> candle_core::Result<Tensor> {
    let out = Fresh::copied(&table.detach().index_select(ids, 0)?)?;
    let (source, ids) = (table.clone(), ids.to_vec1::<u32>()?);
    graph::operation("embedding", [table], out, move |gradient, sink| {
        let (count, width) = source.dims2()?;
        let values = Values::of(gradient, gradient.dims())?;
        let values = values.read()?;
        let rows: &[T] = values.values()?;
        let mut order: Vec<usize> = (0..ids.len()).collect();
        order.sort_by_key(|&token| ids[token]);
        let mut out = zeros::<T>(count * width);
        let mut sum = vec![0f32; width];
        for tokens in order.chunk_by(|&a, &b| ids[a] == ids[b]) {
            sum.fill(0.0);
            for &token in tokens {
                let row = &rows[token * width..][..width];
                sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x.widen());
            }
            let to = &mut out[ids[tokens[0]] as usize * width..][..width];
            to.iter_mut().zip(&sum).for_each(|(to, sum)| *to = T::round(*sum));
        }
        sink.add(&source, Tensor::from_vec(out, (count, width), &Device::Cpu)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_are_those_of_candle() {
        let numbers = (0..11 * 6).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
        let table = Tensor::from_vec(numbers, (11, 6), &Device::Cpu).unwrap();
        let ids = Tensor::new(&[3u32, 0, 10, 3, 3, 7, 0], &Device::Cpu).unwrap();
        graph::tests::check_linear(&table, |t| Ok(rows(t, &ids)?), |t| Ok(t.index_select(&ids, 0)?));
    }
}
