//! Running a case through the plugin's static door.

use candle_core::{DType, Device, Tensor};
use zoo_core::sdk::Plugin;
use zoo_core::weights::Weights;
use zoo_core::{
    Cells, Connector, ConnectorInputs, Encoder, FeatureRequest, Fused, Layers, Precision, TextTower,
};

use super::case::{
    Case, ConnectorExpectation, ConnectorOutput, EncoderExpectation, LlmOutput, Losses, Subject, TextOutput,
};
use super::llm::Trace;

/// What came out beside what should have.
pub(super) struct Pair {
    pub tensor: String,
    pub got: Tensor,
    pub expected: Tensor,
    /// What the reference loses of it in half precision, where the case says so.
    pub loses: Option<Losses>,
}

/// One pair per expectation.
pub(super) fn run(
    plugin: &Plugin,
    case: &Case,
    precision: Precision,
) -> Result<Vec<Result<Pair, String>>, String> {
    let spec = case.spec(precision);
    let weights = Weights::open(&case.weights, precision.dtype()).map_err(text)?;
    let weights = weights.with_layout(case.layout.clone());
    match &case.subject {
        Subject::Encoder(_, expect) => {
            let load = find(plugin.encoders, "encoder", &case.architecture)?;
            let weights = weights.vectors(expect.iter().any(|e| e.embedding));
            let encoder = load(&spec, &weights, &Device::Cpu).map_err(text)?;
            let pixels = case.tensor("pixels")?;
            Ok(expect
                .iter()
                .map(|e| pair(case, &e.tensor, e.loses, encoded(&*encoder, pixels, case, e)))
                .collect())
        }
        Subject::Llm(_, expect) => {
            let load = find(plugin.llms, "language model", &case.architecture)?;
            let model = load(&spec, &weights, &Device::Cpu).map_err(text)?;
            let mut trace = Trace::new(&*model, case.tensor("ids")?).map_err(text)?;
            Ok(expect
                .iter()
                .filter(|e| precision == Precision::F32 || !matches!(e.what, LlmOutput::Greedy {}))
                .map(|e| {
                    let count = || Ok(case.tensor(&e.tensor)?.dims().last().copied().unwrap_or(0));
                    let got = count().and_then(|count| trace.output(&e.what, count).map_err(text));
                    pair(case, &e.tensor, e.loses, got)
                })
                .collect())
        }
        Subject::Text(_, expect) => {
            let load = find(plugin.texts, "text tower", &case.architecture)?;
            let tower = load(&spec, &weights, &Device::Cpu).map_err(text)?;
            let ids = case.tensor("ids")?.to_dtype(DType::U32).map_err(text)?;
            let vectors = tower.embed(&ids).map_err(text)?;
            Ok(expect
                .iter()
                .filter(|e| precision == Precision::F32 || !matches!(e.what, TextOutput::Logits { .. }))
                .map(|e| {
                    let got = match &e.what {
                        TextOutput::Embedding {} => Ok(vectors.clone()),
                        TextOutput::Logits { images } => logits(&*tower, &vectors, case.tensor(images)?),
                    };
                    pair(case, &e.tensor, e.loses, got)
                })
                .collect())
        }
        Subject::Connector(_, expect) => {
            let load = find(plugin.connectors, "connector", &case.architecture)?;
            let connector = load(&spec, &weights, &Device::Cpu).map_err(text)?;
            let fused = connector.forward(&inputs(case, precision.dtype())?).map_err(text)?;
            Ok(expect
                .iter()
                .map(|e| pair(case, &e.tensor, e.loses, connected(&*connector, &fused, case, e)))
                .collect())
        }
    }
}

/// What images and texts have in common, as the descriptor of the tower says it.
fn logits(tower: &dyn TextTower, texts: &Tensor, images: &Tensor) -> Result<Tensor, String> {
    let said = tower.descriptor();
    let unit = |vectors: &Tensor| vectors.broadcast_div(&vectors.sqr()?.sum_keepdim(1)?.sqrt()?);
    let scaled = || {
        let cosines = unit(images)?.matmul(&unit(texts)?.t()?)?;
        cosines.affine(said.scale, said.bias.unwrap_or(0.0))
    };
    scaled().map_err(text)
}

fn find<L: Copy>(loaders: &[(&str, L)], kind: &str, architecture: &str) -> Result<L, String> {
    loaders.iter().find(|(name, _)| *name == architecture).map(|(_, load)| *load).ok_or_else(|| {
        let known: Vec<_> = loaders.iter().map(|(name, _)| *name).collect();
        format!("the plugin has no {kind} architecture `{architecture}`; it has [{}]", known.join(", "))
    })
}

fn pair(
    case: &Case,
    tensor: &str,
    loses: Option<Losses>,
    got: Result<Tensor, String>,
) -> Result<Pair, String> {
    let got = got.map_err(|e| format!("`{tensor}`: {e}"))?;
    Ok(Pair { tensor: tensor.to_owned(), got, expected: case.tensor(tensor)?.clone(), loses })
}

fn encoded(
    encoder: &dyn Encoder,
    pixels: &Tensor,
    case: &Case,
    e: &EncoderExpectation,
) -> Result<Tensor, String> {
    if e.embedding {
        return Ok(encoder.embed(pixels, None, &case.options).map_err(text)?.vectors);
    }
    let request = FeatureRequest { layers: Layers::Indices(vec![e.layer]), norm: e.norm, prefix: e.prefix };
    let mut maps = encoder.forward_with(pixels, &request, &case.options).map_err(text)?;
    let map = maps.pop().filter(|_| maps.is_empty()).ok_or("not exactly one map for one layer")?;
    if e.prefix { map.prefix.ok_or_else(|| "no prefix tokens came back".into()) } else { Ok(map.tokens) }
}

/// Data tensors `features.0`, `features.1`, … and `image_sizes` i64 `[B, 2]` (width, height).
fn inputs(case: &Case, dtype: DType) -> Result<ConnectorInputs, String> {
    let features = (0..)
        .map_while(|k| case.data.get(&format!("features.{k}")))
        .map(|t| t.to_dtype(dtype).map_err(text))
        .collect::<Result<Vec<_>, _>>()?;
    let sizes = case.tensor("image_sizes")?.to_vec2::<i64>().map_err(text)?;
    let image_sizes = sizes
        .iter()
        .map(|row| match row[..] {
            [w, h] => Ok((u32::try_from(w).map_err(text)?, u32::try_from(h).map_err(text)?)),
            _ => Err(String::from("`image_sizes` must be [B, 2]: width and height")),
        })
        .collect::<Result<_, String>>()?;
    Ok(ConnectorInputs { features, image_sizes })
}

fn connected(
    connector: &dyn Connector,
    fused: &Fused,
    case: &Case,
    e: &ConnectorExpectation,
) -> Result<Tensor, String> {
    match &e.what {
        ConnectorOutput::Tokens => Ok(fused.tokens.clone()),
        ConnectorOutput::Attention { index } => {
            let count = fused.attention.len();
            let missing = || format!("there is no attention share {index}: {count} came back");
            fused.attention.get(*index).cloned().ok_or_else(missing)
        }
        ConnectorOutput::Block { row } => Ok(connector.block(fused, *row).map_err(text)?.tokens),
        ConnectorOutput::Refine { step, row, hidden } => {
            let grid = connector.block(fused, *row).map_err(text)?.grid;
            let hidden = case.tensor(hidden)?.to_dtype(fused.tokens.dtype()).map_err(text)?;
            connector.refine(*step, &Cells { hidden, grid, row: *row }, fused).map_err(text)
        }
    }
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}
