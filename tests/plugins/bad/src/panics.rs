//! Panics wherever an author's code runs, and an error of a megabyte.

use candle_core::{Device, Tensor};
use zoo_core::weights::Weights;
use zoo_core::{
    Cost, Encoder, EncoderDescriptor, Error, FeatureMap, FeatureRequest, LayerInfo, Resolution, Result, Spec,
};

struct Faulty {
    descriptor: EncoderDescriptor,
    architecture: String,
}

fn load(spec: &Spec, _: &Weights, _: &Device) -> Result<Box<dyn Encoder>> {
    if spec.architecture == "open" {
        panic!("cannot open {}", spec.id);
    }
    let descriptor = EncoderDescriptor {
        id: spec.id.clone(),
        layers: vec![LayerInfo { channels: 1, stride: 1 }],
        prefix: Vec::new(),
        final_norm: false,
        native: 1,
        resolution: Resolution::AtLeast(1),
        parameters: 0,
        vjp: false,
        options: Vec::new(),
    };
    Ok(Box::new(Faulty { descriptor, architecture: spec.architecture.clone() }))
}

impl Encoder for Faulty {
    fn descriptor(&self) -> &EncoderDescriptor {
        &self.descriptor
    }

    fn forward(&self, pixels: &Tensor, _: &FeatureRequest) -> Result<Vec<FeatureMap>> {
        match self.architecture.as_str() {
            "call" => panic!("a constant message"),
            // On a thread of a pool: the panic is seen there and caught here.
            "pool" => {
                let joined = std::thread::spawn(|| panic!("in a worker")).join();
                std::panic::resume_unwind(joined.err().unwrap_or_else(|| Box::new("no panic")))
            }
            "payload" => std::panic::panic_any(7_u32),
            "megabyte" => Err(Error::invalid("é".repeat(1 << 19))),
            "speaks" => {
                tracing_message(pixels);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn cost(&self, _: usize, _: usize, _: usize) -> Cost {
        panic!("priceless");
    }
}

fn tracing_message(pixels: &Tensor) {
    tracing::warn!(rank = pixels.rank(), "something to say");
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if self.architecture == "drop" {
            panic!("at the very end");
        }
    }
}

zoo_core::export_plugin! {
    name: "panics",
    encoders: {
        "open" => load,
        "call" => load,
        "pool" => load,
        "payload" => load,
        "megabyte" => load,
        "speaks" => load,
        "drop" => load,
    },
}
