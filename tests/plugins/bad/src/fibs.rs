//! Objects of an ordinary plugin that do not do what their descriptors say, each by the name of its architecture.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use zoo_core::weights::Weights;
use zoo_core::{
    Cache, Connector, ConnectorDescriptor, ConnectorInput, ConnectorInputs, Cost, Encoder, EncoderDescriptor,
    Error, FeatureMap, FeatureRequest, Fused, Grid, ImageBlock, LanguageModel, LayerInfo, LlmDescriptor,
    Resolution, Result, Spec,
};

struct Frozen(EncoderDescriptor);

impl Encoder for Frozen {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.0
    }
    fn forward(&self, _: &Tensor, _: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        Ok(Vec::new())
    }
    fn cost(&self, _: usize, _: usize, _: usize) -> Cost {
        Cost::default()
    }
}

fn encoder(spec: &Spec, _: &Weights, _: &Device) -> Result<Box<dyn Encoder>> {
    Ok(Box::new(Frozen(EncoderDescriptor {
        id: spec.id.clone(),
        layers: vec![LayerInfo { channels: 2, stride: 1 }],
        prefix: Vec::new(),
        final_norm: false,
        native: 2,
        resolution: Resolution::AtLeast(1),
        parameters: 0,
        vjp: true,
        options: Vec::new(),
    })))
}

struct Fib {
    descriptor: ConnectorDescriptor,
    fib: String,
}

impl Connector for Fib {
    fn descriptor(&self) -> &ConnectorDescriptor {
        &self.descriptor
    }

    fn forward(&self, inputs: &ConnectorInputs) -> Result<Fused> {
        let ones = |shape: &[usize], value: f64| {
            Ok::<_, Error>((Tensor::ones(shape, DType::F32, &Device::Cpu)? * value)?)
        };
        let (value, width) =
            (if self.fib == "nan" { f64::NAN } else { 1.0 }, if self.fib == "width" { 3 } else { 2 });
        let grid = match self.fib.as_str() {
            "grid" => Grid { h: 1, w: 4 },
            "empty_grid" => Grid { h: 0, w: 4 },
            _ => Grid::square(2),
        };
        let sizes = if self.fib == "sizes" { vec![(1, 1)] } else { inputs.image_sizes.clone() };
        let attention = if self.fib == "silent" { Vec::new() } else { vec![ones(&[1, 4], 1.0)?] };
        Ok(Fused {
            tokens: ones(&[1, 4, width], value)?,
            grid,
            attention,
            memory: Vec::new(),
            image_sizes: sizes,
        })
    }

    fn block(&self, fused: &Fused, row: usize) -> Result<ImageBlock> {
        Ok(ImageBlock { grid: Grid::square(9), ..ImageBlock::plain(fused, row)? })
    }
}

fn connector(spec: &Spec, _: &Weights, _: &Device) -> Result<Box<dyn Connector>> {
    let inputs = if spec.architecture == "no_inputs" { 0 } else { 1 };
    let descriptor = ConnectorDescriptor {
        id: spec.id.clone(),
        inputs: vec![ConnectorInput { channels: 2, tokens: Some(4) }; inputs],
        output: 2,
        side: Some(2),
        attends: true,
        refine_after: Vec::new(),
        parameters: 0,
    };
    Ok(Box::new(Fib { descriptor, fib: spec.architecture.clone() }))
}

struct Short(LlmDescriptor);

impl LanguageModel for Short {
    fn descriptor(&self) -> &LlmDescriptor {
        &self.0
    }
    fn embed(&self, _: &Tensor) -> Result<Tensor> {
        Ok(Tensor::ones((1, 1, self.0.hidden), DType::F32, &Device::Cpu)?)
    }
    fn cache(&self, _: usize) -> Result<Cache> {
        Ok(Cache::new(()))
    }
    fn layers(&self, _: Range<usize>, hidden: &Tensor, _: &Tensor, _: &mut Cache) -> Result<Tensor> {
        Ok(hidden.clone())
    }
    fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(hidden.clone())
    }
}

fn llm(spec: &Spec, _: &Weights, _: &Device) -> Result<Box<dyn LanguageModel>> {
    Ok(Box::new(Short(LlmDescriptor {
        id: spec.id.clone(),
        hidden: 4,
        layers: 1,
        vocab: if spec.architecture == "no_vocab" { 0 } else { 5 },
        max_positions: 8,
        cache_bytes_per_position: 0,
        parameters: 0,
        quantised: Default::default(),
    })))
}

zoo_core::export_plugin! {
    name: "fibs",
    encoders: { "no_gradients" => encoder },
    connectors: {
        "no_inputs" => connector,
        "grid" => connector,
        "empty_grid" => connector,
        "sizes" => connector,
        "silent" => connector,
        "nan" => connector,
        "width" => connector,
        "block" => connector,
    },
    llms: { "no_vocab" => llm, "short" => llm },
}
