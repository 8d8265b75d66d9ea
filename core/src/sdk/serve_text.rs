//! A text tower behind the table: input `ids`, result `embedding`.

use candle_core::Device;

use super::served::{Call, Reply, Served};
use super::wire::{EMBEDDING, to_json};
use crate::{Result, TextTower};

pub(super) struct ServedText {
    pub plugin: &'static str,
    pub tower: Box<dyn TextTower>,
    pub device: Device,
}

impl Served for ServedText {
    fn plugin(&self) -> &'static str {
        self.plugin
    }

    fn id(&self) -> &str {
        &self.tower.descriptor().id
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn describe(&self) -> Result<String> {
        to_json(self.tower.descriptor())
    }

    fn call(&self, mut call: Call<'_>) -> Result<Reply> {
        Ok(Reply::one(EMBEDDING, self.tower.embed(&call.inputs.take("ids")?)?))
    }
}
