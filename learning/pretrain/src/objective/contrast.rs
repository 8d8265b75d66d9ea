//! Pictures and captions, with the sigmoid loss of SigLIP (arXiv 2303.15343, section 3.2): of every picture and every caption
//! of a batch it is asked whether they belong together.
//!
//! The text side is small: words and pairs of neighbouring words are counted in buckets, and two layers lead from the counts
//! into the common space. Pairs tell `red cube` from `cube, red`.

use candle_core::{DType, Device, Result as Candle, Tensor};
use zoo_world::Rng;
use zoo_world::ask::{Length, caption};

use super::{Asked, Frame, Objective};
use crate::Result;
use crate::eye::Features;
use crate::head::{Head, pooled, softplus, unit};
use crate::scenes::Shown;

/// Buckets of words.
const WORDS: usize = 512;

/// Width of the space in which both meet.
const SPACE: usize = 64;

/// Both ways into the space, and the loss's temperature and bias.
pub(super) struct Contrast(Head);

impl Contrast {
    pub fn new(frame: Frame, seed: u64) -> Candle<Self> {
        let head = Head::new(seed)
            .linear("picture", 2 * frame.channels, SPACE)?
            .linear("words", WORDS, 2 * SPACE)?
            .linear("text", 2 * SPACE, SPACE)?
            // The paper begins with e^t = 10 and b = -10; of batches of tens, more of the pairs belong together.
            .number("temperature", 10f32.ln())?
            .number("logit", -4.0)?;
        Ok(Self(head))
    }
}

impl Objective for Contrast {
    fn ask(&self, shown: Shown, rng: &mut Rng) -> Asked {
        let length = rng.pick(Length::ALL);
        let text = caption(&shown.scene, &shown.truth, length, rng.bits());
        Asked { views: vec![shown.image], target: bucketed(&text) }
    }

    fn loss(&self, features: &Features, targets: &Tensor) -> Result<Tensor> {
        let pictures = unit(&self.0.apply("picture", &pooled(&features.tokens)?)?)?;
        let words = self.0.apply("words", targets)?.gelu_erf()?;
        let texts = unit(&self.0.apply("text", &words)?)?;
        let alike = pictures.matmul(&texts.t()?.contiguous()?)?;
        let warm = alike.broadcast_mul(&self.0.value("temperature")?.exp()?)?;
        let logits = warm.broadcast_add(self.0.value("logit")?)?;
        // 1 for the pair, -1 for all others; -log σ(z x) = softplus(-z x).
        let count = logits.dim(0)?;
        let signs = ((Tensor::eye(count, DType::F32, &Device::Cpu)? * 2.0)? - 1.0)?;
        let loss = softplus(&(signs * logits)?.neg()?)?;
        Ok((loss.sum_all()? / count as f64)?)
    }

    fn head(&self) -> &Head {
        &self.0
    }
}

/// A caption as counts, of length 1.
fn bucketed(text: &str) -> Vec<f32> {
    let mut out = vec![0.0f32; WORDS];
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_end_matches('s').to_lowercase())
        .collect();
    let mut put = |parts: &[String]| {
        let bytes = parts.iter().flat_map(|part| part.bytes().chain([b' ']));
        // FNV-1a: the same everywhere, and good enough for buckets.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325, step);
        out[((hash >> 32) as usize) % WORDS] += 1.0;
    };
    words.windows(1).for_each(&mut put);
    words.windows(2).for_each(&mut put);
    let norm = out.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-6);
    out.iter_mut().for_each(|x| *x /= norm);
    out
}
