//! What says that a shard is done: `NAME.json` beside its output, written after it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::Shard;
use crate::store::Store;

/// The form of receipts; another number is another form.
const FORM: u32 = 1;

/// One file of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Below `--out`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Of its contents.
    pub sha256: String,
}

/// That a shard is done, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The form of this file.
    pub form: u32,
    /// The shard.
    pub shard: String,
    /// [`Shard::digest`] of what went in.
    pub input: String,
    /// What decides the numbers, in sixteen letters.
    pub fingerprint: String,
    /// Rows, those of failures among them.
    pub rows: usize,
    /// Rows that hold an error in place of numbers.
    pub failures: usize,
    /// The files.
    pub outputs: Vec<Output>,
}

/// What an output folder says of a shard.
#[derive(Debug)]
pub enum State {
    /// Nothing, or something that cannot be relied on.
    Open,
    /// It is done.
    Done(Receipt),
}

impl Receipt {
    /// Of a shard that is written.
    pub fn new(shard: &Shard, fingerprint: &str, rows: usize, failures: usize, outputs: Vec<Output>) -> Self {
        let (name, input) = (shard.name.clone(), shard.digest());
        Self { form: FORM, shard: name, input, fingerprint: fingerprint.to_owned(), rows, failures, outputs }
    }

    /// The file's name.
    pub fn name(shard: &Shard) -> String {
        format!("{}.json", shard.name)
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn write(&self, out: &Store, shard: &Shard) -> Result<()> {
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|_| Error::Internal("a receipt is no JSON"))?;
        text.push(b'\n');
        out.put(&Self::name(shard), text)
    }

    /// What `out` says of `shard`. A receipt that is damaged, or whose outputs are gone or of another length, is none.
    ///
    /// # Errors
    /// [`Error::Other`] for one of another setting, [`Error::Changed`] for one of other pictures: neither may be
    /// replaced unasked. [`Error::Store`].
    pub fn read(out: &Store, shard: &Shard, fingerprint: &str) -> Result<State> {
        let name = Self::name(shard);
        let Some((bytes, _)) = out.get(&name)? else { return Ok(State::Open) };
        let Ok(receipt) = serde_json::from_slice::<Self>(&bytes) else { return Ok(State::Open) };
        let address = out.address(&name);
        if receipt.form != FORM || receipt.fingerprint != fingerprint {
            let what = format!("fingerprint {}, now {fingerprint}", receipt.fingerprint);
            return Err(Error::Other { address, what });
        }
        if receipt.shard != shard.name || receipt.input != shard.digest() {
            let what = "names, lengths or times of change differ".to_owned();
            return Err(Error::Changed { address, what });
        }
        for output in &receipt.outputs {
            if out.size(&output.name)? != Some(output.bytes) {
                return Ok(State::Open);
            }
        }
        Ok(State::Done(receipt))
    }
}
