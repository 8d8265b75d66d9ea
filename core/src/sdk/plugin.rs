//! What a plugin offers, and its static door.

use candle_core::Device;
use serde::{Deserialize, Serialize};

use crate::weights::{TensorInfo, Weights};
use crate::{
    Connector, ConnectorDescriptor, Cost, EmbeddingInfo, Encoder, EncoderDescriptor, Error, LanguageModel,
    LlmDescriptor, Result, Spec, TextDescriptor, TextTower,
};

/// Opens an encoder.
pub type EncoderLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn Encoder>>;
/// Opens a connector.
pub type ConnectorLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn Connector>>;
/// Opens a language model.
pub type LlmLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn LanguageModel>>;
/// Opens a text tower.
pub type TextLoader = fn(&Spec, &Weights, &Device) -> Result<Box<dyn TextTower>>;

/// Everything a plugin offers, by architecture name.
pub struct Plugin {
    /// Plugin name, `[a-z0-9_-]+`.
    pub name: &'static str,
    /// Plugin version.
    pub version: &'static str,
    /// Encoder architectures.
    pub encoders: &'static [(&'static str, EncoderLoader)],
    /// Connector architectures.
    pub connectors: &'static [(&'static str, ConnectorLoader)],
    /// Language model architectures.
    pub llms: &'static [(&'static str, LlmLoader)],
    /// Text tower architectures.
    pub texts: &'static [(&'static str, TextLoader)],
}

/// The kinds of object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// [`Encoder`].
    Encoder,
    /// [`Connector`].
    Connector,
    /// [`LanguageModel`].
    Llm,
    /// [`TextTower`].
    Text,
}

impl ObjectKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Encoder, Self::Connector, Self::Llm, Self::Text];

    /// Its number on the wire.
    pub fn code(self) -> u32 {
        match self {
            Self::Encoder => zoo_abi::kind::ENCODER,
            Self::Connector => zoo_abi::kind::CONNECTOR,
            Self::Llm => zoo_abi::kind::LLM,
            Self::Text => zoo_abi::kind::TEXT,
        }
    }

    /// The kind of a number on the wire.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a number of a later revision.
    pub fn from_code(code: u32) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|k| k.code() == code)
            .ok_or_else(|| Error::unsupported("this plugin", format!("objects of kind {code}")))
    }
}

impl std::fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Encoder => "encoder",
            Self::Connector => "connector",
            Self::Llm => "language model",
            Self::Text => "text tower",
        })
    }
}

/// The descriptor of an object of any kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Descriptor {
    /// Of an encoder.
    Encoder(EncoderDescriptor),
    /// Of a connector.
    Connector(ConnectorDescriptor),
    /// Of a language model.
    Llm(LlmDescriptor),
    /// Of a text tower.
    Text(TextDescriptor),
}

impl Descriptor {
    /// Its kind.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Encoder(_) => ObjectKind::Encoder,
            Self::Connector(_) => ObjectKind::Connector,
            Self::Llm(_) => ObjectKind::Llm,
            Self::Text(_) => ObjectKind::Text,
        }
    }
}

macro_rules! descriptor_of {
    ($($kind:ident => $descriptor:ty),*) => {$(
        impl TryFrom<Descriptor> for $descriptor {
            type Error = Error;
            fn try_from(any: Descriptor) -> Result<Self> {
                match any {
                    Descriptor::$kind(descriptor) => Ok(descriptor),
                    other => Err(Error::Internal(format!("a descriptor of a {} came back", other.kind()))),
                }
            }
        }
    )*};
}

descriptor_of!(
    Encoder => EncoderDescriptor, Connector => ConnectorDescriptor, Llm => LlmDescriptor, Text => TextDescriptor
);

impl Descriptor {
    /// What is wrong with it, if it is that of an object which was opened as `id`.
    pub fn faults(&self, id: &str) -> Vec<String> {
        match self {
            Self::Encoder(said) => said.faults(id),
            Self::Connector(said) => said.faults(id),
            Self::Llm(said) => said.faults(id),
            Self::Text(said) => said.faults(id),
        }
    }
}

/// The most that a total can be: sums and small multiples of it stay within 64 bits.
const MOST: u64 = 1 << 58;

/// What can be known of an object without its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Its descriptor.
    pub descriptor: Descriptor,
    /// The tensors that a checkpoint must hold.
    pub tensors: Vec<TensorInfo>,
    /// Cost of one call at the size that was asked about; zero if none was, or if it is no encoder.
    pub cost: Cost,
    /// Of an encoder, the vector that it makes of an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<EmbeddingInfo>,
}

impl Inspection {
    /// What cannot be true of an object of this kind that was inspected as `id`.
    pub fn faults(&self, kind: ObjectKind, id: &str) -> Vec<String> {
        if self.descriptor.kind() != kind {
            return vec![format!("asked about a {kind}, it describes a {}", self.descriptor.kind())];
        }
        let mut faults = self.descriptor.faults(id);
        faults.extend(self.embedding.iter().flat_map(EmbeddingInfo::faults));
        let elements = |t: &TensorInfo| t.shape.iter().try_fold(1_u64, |n, &d| n.checked_mul(d as u64));
        let total = self.tensors.iter().try_fold(0_u64, |sum, t| sum.checked_add(elements(t)?));
        if total.is_none_or(|n| n > MOST) {
            faults.push("its tensors hold more numbers than any machine".into());
        }
        if self.cost.macs > MOST || self.cost.activation_bytes > MOST {
            faults.push(format!("its cost is {:?}, more than any machine can do", self.cost));
        }
        faults
    }

    /// The descriptor as its own type.
    ///
    /// # Errors
    /// [`Error::Internal`] when it is of another kind.
    pub fn descriptor<D: TryFrom<Descriptor, Error = Error>>(&self) -> Result<D> {
        self.descriptor.clone().try_into()
    }
}

/// What to inspect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InspectRequest {
    /// Kind, architecture and numbers.
    pub spec: Spec,
    /// List the tensors as this checkpoint layout has them, instead of the usual one.
    #[serde(default)]
    pub layout: Option<String>,
    /// Batch, height and width in pixels for [`Inspection::cost`].
    #[serde(default)]
    pub dims: Option<[usize; 3]>,
    /// Of an encoder, what makes one vector of an image, too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vectors: bool,
}

impl Plugin {
    /// Architecture names of one kind.
    pub fn architectures(&self, kind: ObjectKind) -> Vec<&'static str> {
        match kind {
            ObjectKind::Encoder => self.encoders.iter().map(|(n, _)| *n).collect(),
            ObjectKind::Connector => self.connectors.iter().map(|(n, _)| *n).collect(),
            ObjectKind::Llm => self.llms.iter().map(|(n, _)| *n).collect(),
            ObjectKind::Text => self.texts.iter().map(|(n, _)| *n).collect(),
        }
    }

    /// Opens an encoder.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for an architecture that this plugin does not have, listing those it has; whatever the
    /// loader says; [`Error::Faulty`] for a descriptor that cannot be true.
    pub fn open_encoder(&self, spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn Encoder>> {
        let encoder = self.loader(ObjectKind::Encoder, self.encoders, spec)?(spec, weights, device)?;
        let said = encoder.descriptor();
        let mut faults = said.faults(&spec.id);
        faults.extend(encoder.embedding().into_iter().flat_map(EmbeddingInfo::faults));
        if said.vjp && encoder.differentiable().is_none() {
            faults.push("its descriptor says `vjp: true`, but `differentiable()` gives nothing".into());
        }
        self.sound(&faults)?;
        Ok(encoder)
    }

    /// Opens a connector.
    ///
    /// # Errors
    /// As [`Plugin::open_encoder`].
    pub fn open_connector(
        &self,
        spec: &Spec,
        weights: &Weights,
        device: &Device,
    ) -> Result<Box<dyn Connector>> {
        let connector = self.loader(ObjectKind::Connector, self.connectors, spec)?(spec, weights, device)?;
        self.sound(&connector.descriptor().faults(&spec.id))?;
        Ok(connector)
    }

    /// Opens a language model.
    ///
    /// # Errors
    /// As [`Plugin::open_encoder`].
    pub fn open_llm(
        &self,
        spec: &Spec,
        weights: &Weights,
        device: &Device,
    ) -> Result<Box<dyn LanguageModel>> {
        let model = self.loader(ObjectKind::Llm, self.llms, spec)?(spec, weights, device)?;
        self.sound(&model.descriptor().faults(&spec.id))?;
        Ok(model)
    }

    /// Opens a text tower.
    ///
    /// # Errors
    /// As [`Plugin::open_encoder`].
    pub fn open_text(&self, spec: &Spec, weights: &Weights, device: &Device) -> Result<Box<dyn TextTower>> {
        let tower = self.loader(ObjectKind::Text, self.texts, spec)?(spec, weights, device)?;
        self.sound(&tower.descriptor().faults(&spec.id))?;
        Ok(tower)
    }

    fn sound(&self, faults: &[String]) -> Result<()> {
        if faults.is_empty() { Ok(()) } else { Err(Error::faulty(self.name, faults.join("; "))) }
    }

    /// Runs a loader without weights: what the object would be, and which tensors it would read.
    ///
    /// # Errors
    /// As [`Plugin::open_encoder`].
    pub fn inspect(&self, kind: ObjectKind, request: &InspectRequest) -> Result<Inspection> {
        let InspectRequest { spec, layout, dims, vectors } = request;
        let weights = Weights::record(spec.precision.dtype()).with_layout(layout.clone()).vectors(*vectors);
        let device = Device::Cpu;
        let (mut cost, mut embedding) = (Cost::default(), None);
        let descriptor = match kind {
            ObjectKind::Encoder => {
                let encoder = self.open_encoder(spec, &weights, &device)?;
                if let Some([batch, height, width]) = *dims {
                    cost = encoder.cost(batch, height, width);
                }
                embedding = encoder.embedding().cloned();
                Descriptor::Encoder(encoder.descriptor().clone())
            }
            ObjectKind::Connector => {
                Descriptor::Connector(self.open_connector(spec, &weights, &device)?.descriptor().clone())
            }
            ObjectKind::Llm => Descriptor::Llm(self.open_llm(spec, &weights, &device)?.descriptor().clone()),
            ObjectKind::Text => {
                Descriptor::Text(self.open_text(spec, &weights, &device)?.descriptor().clone())
            }
        };
        Ok(Inspection { descriptor, tensors: weights.manifest(), cost, embedding })
    }

    fn loader<L: Copy>(&self, kind: ObjectKind, loaders: &[(&str, L)], spec: &Spec) -> Result<L> {
        let found = loaders.iter().find(|(name, _)| *name == spec.architecture);
        found.map(|(_, load)| *load).ok_or_else(|| {
            let known = match self.architectures(kind) {
                names if names.is_empty() => "none".to_owned(),
                names => names.join(", "),
            };
            Error::invalid(format!(
                "{}: plugin `{}` has no {kind} architecture `{}`; known: {known}",
                spec.id, self.name, spec.architecture
            ))
        })
    }
}

/// What a library says of itself; its sidecar file must say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Plugin name.
    pub name: String,
    /// Plugin version.
    pub version: String,
    /// Revision of the wire.
    pub abi: u32,
    /// Target triple.
    pub target: String,
    /// `cpu`, `cuda` or `metal`.
    pub backend: String,
    /// Architectures.
    pub provides: Provides,
}

/// Architecture names by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Provides {
    /// Encoder architectures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub encoders: Vec<String>,
    /// Connector architectures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connectors: Vec<String>,
    /// Language model architectures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub llms: Vec<String>,
    /// Text tower architectures.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
}

impl Provides {
    /// The same in alphabetical order, for comparing.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut all = self.clone();
        for names in [&mut all.encoders, &mut all.connectors, &mut all.llms, &mut all.texts] {
            names.sort();
        }
        all
    }

    /// Those of one kind.
    pub fn of(&self, kind: ObjectKind) -> &[String] {
        match kind {
            ObjectKind::Encoder => &self.encoders,
            ObjectKind::Connector => &self.connectors,
            ObjectKind::Llm => &self.llms,
            ObjectKind::Text => &self.texts,
        }
    }
}

impl Plugin {
    /// What this plugin says of itself.
    pub fn identity(&self) -> Identity {
        let names = |kind| self.architectures(kind).into_iter().map(str::to_owned).collect();
        Identity {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            abi: zoo_abi::ABI_REVISION,
            target: zoo_abi::TARGET.to_owned(),
            backend: backend().to_owned(),
            provides: Provides {
                encoders: names(ObjectKind::Encoder),
                connectors: names(ObjectKind::Connector),
                llms: names(ObjectKind::Llm),
                texts: names(ObjectKind::Text),
            },
        }
    }
}

/// The accelerator that this build can use: `cpu`, `cuda` or `metal`.
pub fn backend() -> &'static str {
    if candle_core::utils::cuda_is_available() {
        "cuda"
    } else if candle_core::utils::metal_is_available() {
        "metal"
    } else {
        "cpu"
    }
}
