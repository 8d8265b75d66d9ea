//! Attention of a grid of queries to the cells of finer grids under it, on the CPU.

use candle_core::{Device, Tensor, WithDType};
use zoo_core::{Grid, Result};
use zoo_kernels::{Element, LocalGradients, written, zeros};

use crate::dispatch::{self, Path, with};
use crate::graph::{self, Fresh};
use crate::values::{Slice, Values};

/// Each query looks at the `m × m` cells under it in every source, in one softmax over all of them, in f32.
#[derive(Debug, Clone, Copy)]
pub struct LocalAttention<'a> {
    /// `[B, queries, C]`.
    pub queries: &'a Tensor,
    /// Of the queries.
    pub grid: Grid,
    /// Equal parts of the channels, each with a softmax of its own.
    pub heads: usize,
    /// What scores are multiplied with.
    pub scale: f64,
    /// What they look at.
    pub sources: &'a [FineGrid],
    /// Added to the scores: f32 with `B · queries · keys` numbers in this order.
    pub bias: Option<&'a Tensor>,
}

/// Keys and values of a grid that is `m` times as fine as that of the queries.
#[derive(Debug, Clone)]
pub struct FineGrid {
    /// Cells of a query on each axis.
    pub m: usize,
    /// `[B, cells, C]`, in raster order.
    pub keys: Tensor,
    /// As the keys.
    pub values: Tensor,
}

impl LocalAttention<'_> {
    /// What the queries see, `[B, queries, C]`, and how they look, f32 `[B · queries, heads, 1, keys]`; windows are
    /// read where they lie. Differentiable in queries, keys and values, as far as what they see goes. `None` where there
    /// is no kernel for it: on other devices, for other dtypes, for gradients of the bias.
    ///
    /// # Errors
    /// [`zoo_core::Error::Tensor`] when a shape does not fit.
    pub fn attend(&self) -> Result<Option<(Tensor, Tensor)>> {
        let sources = self.sources.iter().flat_map(|source| [&source.keys, &source.values]);
        Ok(match Path::of(sources.chain([self.queries])) {
            _ if !dispatch::plain(self.bias) => None,
            Path::Kernel(numbers) => {
                let (out, weights) = with!(numbers, T => self.fused::<T>()?);
                Some((out.tensor(), weights))
            }
            Path::Tracked(numbers) => Some(with!(numbers, T => self.tracked::<T>()?)),
            Path::Candle => None,
        })
    }

    fn tracked<T: Element + WithDType>(&self) -> candle_core::Result<(Tensor, Tensor)> {
        let (out, weights) = self.fused::<T>()?;
        let (queries, sources) = (self.queries.clone(), self.sources.to_vec());
        let (grid, heads, scale, kept) = (self.grid, self.heads, self.scale, weights.clone());
        let inputs = self.sources.iter().flat_map(|source| [&source.keys, &source.values]);
        let out =
            graph::operation("local attention", inputs.chain([self.queries]), out, move |gradient, sink| {
                let attention =
                    LocalAttention { queries: &queries, grid, heads, scale, sources: &sources, bias: None };
                let (to_queries, to_sources) = attention.gradients::<T>(&kept, gradient)?;
                sink.add(&queries, to_queries)?;
                for (source, [keys, values]) in sources.iter().zip(to_sources) {
                    sink.add(&source.keys, keys)?;
                    sink.add(&source.values, values)?;
                }
                Ok(())
            })?;
        Ok((out, weights))
    }

    /// Those of the queries, and of the keys and values of each source, for the gradient of what was seen.
    fn gradients<T: Element + WithDType>(
        &self,
        weights: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Tensor, Vec<[Tensor; 2]>)> {
        let weights = Values::of(weights, weights.dims())?;
        let gradient = Values::of(gradient, self.queries.dims())?;
        let (weights, gradient) = (weights.read()?, gradient.read()?);
        let (weights, gradient) = (weights.values::<f32>()?, gradient.values::<T>()?);
        let mut to_queries = zeros::<T>(self.queries.elem_count());
        let mut to_sources: Vec<[Vec<T>; 2]> =
            self.sources.iter().map(|s| [&s.keys, &s.values].map(|t| zeros::<T>(t.elem_count()))).collect();
        self.with::<T, _>(|attention| {
            let sources = to_sources.iter_mut().map(|[keys, values]| [&mut keys[..], &mut values[..]]);
            let to = LocalGradients { queries: &mut to_queries, sources: sources.collect() };
            attention.gradient(weights, gradient, to);
            Ok(())
        })?;
        let tensor = |numbers, like: &Tensor| Tensor::from_vec(numbers, like.shape(), &Device::Cpu);
        let sources = self.sources.iter().zip(to_sources).map(|(source, [keys, values])| {
            Ok::<_, candle_core::Error>([tensor(keys, &source.keys)?, tensor(values, &source.values)?])
        });
        Ok((tensor(to_queries, self.queries)?, sources.collect::<candle_core::Result<_>>()?))
    }

    fn fused<T: Element + WithDType>(&self) -> candle_core::Result<(Fresh, Tensor)> {
        let (images, queries, width) = self.queries.dims3()?;
        let keys: usize = self.sources.iter().map(|source| source.m * source.m).sum();
        let mut weights = vec![0.0; images * queries * self.heads * keys];
        let out = self.with::<T, _>(|attention| {
            written(images * queries * width, |out| {
                Ok::<_, candle_core::Error>(attention.apply(out, &mut weights))
            })
        })?;
        let weights = Tensor::from_vec(weights, (images * queries, self.heads, 1, keys), &Device::Cpu)?;
        Ok((Fresh::new(out, (images, queries, width)), weights))
    }

    /// Hands all that is read on to a kernel.
    fn with<T: Element + WithDType, R>(
        &self,
        run: impl FnOnce(&zoo_kernels::LocalAttention<'_, T>) -> candle_core::Result<R>,
    ) -> candle_core::Result<R> {
        let (images, queries, width) = self.queries.dims3()?;
        if queries != self.grid.cells() {
            candle_core::bail!("{queries} queries do not fill a grid of {}", self.grid);
        }
        let keys: usize = self.sources.iter().map(|source| source.m * source.m).sum();
        let of = |source: &FineGrid, tensor: &Tensor| {
            Values::of(tensor, &[images, queries * source.m * source.m, width])
        };
        let tensors = self.sources.iter().map(|s| Ok([of(s, &s.keys)?, of(s, &s.values)?]));
        let tensors = tensors.collect::<candle_core::Result<Vec<_>>>()?;
        let slices = tensors.iter().map(|[keys, values]| Ok([keys.read()?, values.read()?]));
        let slices = slices.collect::<candle_core::Result<Vec<_>>>()?;
        let sources = self.sources.iter().zip(&slices).map(|(source, [keys, values])| {
            Ok(zoo_kernels::FineGrid { m: source.m, keys: keys.values::<T>()?, values: values.values()? })
        });
        let sources = sources.collect::<candle_core::Result<Vec<_>>>()?;
        let bias = self.bias.map(|bias| bias.reshape((images, queries, keys))).transpose()?;
        let bias = bias.map(|bias| Values::of(&bias, &[images, queries, keys])).transpose()?;
        let bias = bias.as_ref().map(Values::read).transpose()?;
        let q = Values::of(self.queries, self.queries.dims())?;
        let q = q.read()?;
        run(&zoo_kernels::LocalAttention {
            images,
            grid: (self.grid.h, self.grid.w),
            heads: self.heads,
            queries: q.values::<T>()?,
            scale: self.scale as f32,
            sources: &sources,
            bias: bias.as_ref().map(Slice::values).transpose()?,
        })
    }
}

/// Adds to each of `cells`, `[B, cells, C]` in raster order, the vector of its place in its window of `m × m`,
/// `[m², C]`; `columns` windows stand in a row. Differentiable.
///
/// # Errors
/// [`zoo_core::Error::Tensor`] when a shape does not fit.
pub fn add_per_key(cells: &Tensor, places: &Tensor, columns: usize, m: usize) -> Result<Tensor> {
    let (batch, count, width) = cells.dims3()?;
    match Path::of([cells, places]) {
        Path::Kernel(numbers) => Ok(with!(numbers, T => added::<T>(cells, places, columns, m)?.tensor())),
        Path::Tracked(numbers) => Ok(with!(numbers, T => {
            let (out, kept) = (added::<T>(cells, places, columns, m)?, [cells.clone(), places.clone()]);
            graph::operation("places in windows", [cells, places], out, move |gradient, sink| {
                let [cells, places] = &kept;
                sink.add(cells, gradient.clone())?;
                sink.give(places, || {
                    let values = Values::of(gradient, gradient.dims())?;
                    let mut sums = vec![0f32; places.elem_count()];
                    zoo_kernels::sum_per_key(values.read()?.values::<T>()?, columns, m, &mut sums);
                    Tensor::from_vec(sums, places.shape(), &Device::Cpu)
                })
            })?
        })),
        _ => {
            let rows = batch * count / (columns * m * m).max(1);
            let places = places.reshape((1, m, 1, m, width))?;
            let sum = cells.reshape((rows, m, columns, m, width))?.broadcast_add(&places)?;
            Ok(sum.reshape((batch, count, width))?)
        }
    }
}

fn added<T: Element + WithDType>(
    cells: &Tensor,
    places: &Tensor,
    columns: usize,
    m: usize,
) -> candle_core::Result<Fresh> {
    let (batch, count, width) = cells.dims3()?;
    if !count.is_multiple_of((columns * m * m).max(1)) {
        candle_core::bail!("{count} cells are no rows of {columns} windows of {m}×{m}");
    }
    let (cells, places) = (Values::of(cells, cells.dims())?, Values::of(places, &[m * m, width])?);
    let (cells, places) = (cells.read()?, places.read()?);
    let (cells, places) = (cells.values::<T>()?, places.values()?);
    let out = written(batch * count * width, |out| {
        Ok::<_, candle_core::Error>(zoo_kernels::add_per_key(cells, places, columns, m, out))
    })?;
    Ok(Fresh::new(out, (batch, count, width)))
}
