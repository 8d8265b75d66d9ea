//! One layer of a sampler: queries look at their windows once.

use candle_core::{D, DType, Tensor};
use zoo_core::Result;
use zoo_core::weights::{Init, Params};
use zoo_nn::attention::softmax;
use zoo_nn::linear::{Linear, Residual};
use zoo_nn::mlp::Mlp;
use zoo_nn::norm::LayerNorm;

use crate::arch::LayerType;
use crate::attention::CrossAttention;
use crate::parts::{EPS, mlp};
use crate::scene::{Scene, View};
use crate::window::Windows;

/// The sizes of a layer.
pub struct Shape<'a> {
    /// Width of the queries.
    pub queries: usize,
    /// Width `C` inside.
    pub width: usize,
    /// Side of each encoder's windows.
    pub windows: &'a [usize],
}

/// `x + proj_out(norm(h + look(h)))` with `h = proj_in([x, proj_context(g)])`.
pub struct Layer {
    context: Linear,
    input: Linear,
    /// One vector per key, for encoders with more than one.
    positions: Vec<Option<Tensor>>,
    look: Look,
    norm: LayerNorm,
    output: Mlp,
}

/// How several encoders become one.
enum Look {
    Joint(CrossAttention),
    Separate {
        /// None with a single encoder.
        mixer: Option<Mlp>,
        aggregates: Vec<Aggregate>,
    },
}

/// One encoder of a [`Look::Separate`].
enum Aggregate {
    Attend(CrossAttention),
    /// A single key leaves nothing to attend over.
    Transform(Mlp),
}

impl Layer {
    pub fn load(p: &Params, shape: &Shape, kind: LayerType) -> Result<Self> {
        let &Shape { queries, width, windows } = shape;
        let position = |(k, &m): (usize, &usize)| {
            let init = Init::Normal { mean: 0.0, std: 1.0 };
            (m > 1).then(|| p.get(&format!("pos_embed_{k}"), (m * m, width), init)).transpose()
        };
        let look = match kind {
            LayerType::Joint => {
                Look::Joint(CrossAttention::load_multi(&p.pp("cross_attn"), width, windows.len())?)
            }
            LayerType::Sep => {
                let mixer = || mlp(&p.pp("weight_mlp"), queries + width, width, windows.len());
                let aggregate = |(k, &m): (usize, &usize)| {
                    let p = p.pp(format_args!("aggregate_{k}")).pp("attention_layer");
                    Ok(if m > 1 {
                        Aggregate::Attend(CrossAttention::load_single(&p, width)?)
                    } else {
                        Aggregate::Transform(mlp(&p, width, width, width)?)
                    })
                };
                Look::Separate {
                    mixer: (windows.len() > 1).then(mixer).transpose()?,
                    aggregates: windows.iter().enumerate().map(aggregate).collect::<Result<_>>()?,
                }
            }
        };
        Ok(Self {
            context: Linear::load(&p.pp("proj_context"), width, width, false)?,
            input: Linear::load(&p.pp("proj_in"), queries + width, width, false)?,
            positions: windows.iter().enumerate().map(position).collect::<Result<_>>()?,
            look,
            norm: LayerNorm::load(&p.pp("norm"), width, EPS)?,
            output: mlp(&p.pp("proj_out"), width, width, queries)?,
        })
    }

    /// Queries `[B, n, q_dim]` in and out, and the share of attention of each encoder, f32 `[B, n]` each.
    pub fn forward(&self, x: &Tensor, scene: &Scene) -> Result<(Tensor, Vec<Tensor>)> {
        let (batch, n, _) = x.dims3()?;
        let context = self.context.forward(&scene.context)?;
        let context = context.broadcast_as((batch, n, context.dim(2)?))?;
        let both = Tensor::cat(&[x, &context], 2)?;
        let h = self.input.forward(&both)?;
        let placed = scene.views.iter().zip(&self.positions).map(|(view, positions)| match positions {
            Some(positions) => {
                view.windows.add_per_key(&view.cells, &positions.to_dtype(view.cells.dtype())?)
            }
            None => Ok(view.cells.clone()),
        });
        let placed = placed.collect::<Result<Vec<_>>>()?;
        let (seen, shares) = match &self.look {
            Look::Joint(attention) => joint(attention, &h, scene, &placed)?,
            Look::Separate { mixer, aggregates } => {
                separate(mixer.as_ref(), aggregates, &both, &h, &scene.views, &placed)?
            }
        };
        let residual = Residual { shortcut: x, scale: None };
        Ok((self.output.forward_normed(&self.norm, &(h + seen)?, Some(residual))?, shares))
    }
}

type Seen = (Tensor, Vec<Tensor>);

fn joint(attention: &CrossAttention, h: &Tensor, scene: &Scene, placed: &[Tensor]) -> Result<Seen> {
    let (batch, n, _) = h.dims3()?;
    let cells: Vec<(&Tensor, Windows)> =
        placed.iter().zip(&scene.views).map(|(t, v)| (t, v.windows)).collect();
    let (seen, weights) = attention.forward(h, &cells, scene.bias()?.as_ref())?;
    let mean = weights.detach().mean(1)?.reshape((batch, n, ()))?;
    let mut start = 0;
    let shares = scene.views.iter().map(|view| {
        let keys = view.windows.keys();
        let share = mean.narrow(2, start, keys)?.sum(2)?;
        start += keys;
        Ok(share)
    });
    let shares = shares.collect::<Result<_>>()?;
    Ok((seen, shares))
}

fn separate(
    mixer: Option<&Mlp>,
    aggregates: &[Aggregate],
    both: &Tensor,
    h: &Tensor,
    views: &[View],
    placed: &[Tensor],
) -> Result<Seen> {
    let (batch, n, width) = h.dims3()?;
    // One encoder has all the weight.
    let weights = match mixer {
        Some(mixer) => softmax(&mixer.forward(both, None)?.to_dtype(DType::F32)?)?,
        None => Tensor::ones((batch, n, 1), DType::F32, h.device())?,
    };
    let mut sum = Tensor::zeros((batch, n, width), h.dtype(), h.device())?;
    for (k, ((aggregate, view), cells)) in aggregates.iter().zip(views).zip(placed).enumerate() {
        let seen = match aggregate {
            Aggregate::Attend(attention) => {
                attention.forward(h, &[(cells, view.windows)], view.bias.as_ref())?.0
            }
            Aggregate::Transform(mlp) => mlp.forward(cells, None)?,
        };
        sum = (sum + seen.broadcast_mul(&weights.narrow(D::Minus1, k, 1)?.to_dtype(seen.dtype())?)?)?;
    }
    let shares = weights.detach().chunk(views.len(), 2)?;
    let shares = shares.iter().map(|s| Ok(s.squeeze(2)?)).collect::<Result<_>>()?;
    Ok((sum, shares))
}
