use candle_core::Tensor;
use zoo_core::sdk::wire::EMBEDDING;
use zoo_core::{Error, Result, TextDescriptor, TextTower};

use super::Foreign;

pub(in super::super) struct ForeignText {
    foreign: Foreign,
    descriptor: TextDescriptor,
}

impl ForeignText {
    pub fn new(foreign: Foreign) -> Result<Self> {
        let descriptor = foreign.describe(TextDescriptor::faults)?;
        Ok(Self { foreign, descriptor })
    }
}

impl TextTower for ForeignText {
    fn descriptor(&self) -> &TextDescriptor {
        &self.descriptor
    }

    fn embed(&self, ids: &Tensor) -> Result<Tensor> {
        let TextDescriptor { id, context, width, .. } = &self.descriptor;
        let batch = match *ids.dims() {
            [batch, length] if (1..=*context).contains(&length) => batch,
            ref dims => {
                let message = format!("{id}: texts are ids [B, T] of at most {context} tokens, got {dims:?}");
                return Err(Error::invalid(message));
            }
        };
        let (mut tensors, _) = self.foreign.operate(&[("ids", ids)], "")?;
        let vectors = tensors.take(EMBEDDING).map_err(|e| self.foreign.broken(e))?;
        self.foreign.expect(EMBEDDING, &vectors, &[batch, *width])?;
        Ok(vectors)
    }
}
