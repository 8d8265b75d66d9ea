//! Machines that share work without a coordinator: whoever writes a claim first makes the shard.
//!
//! A claim is a small file beside the outputs, which its owner rewrites every third of the lease. Others watch it by
//! their own clock: one that has not changed for a whole lease, as they see it, belongs to nobody any more and is taken
//! over. So clocks need not agree, only run at about the same speed. Should two machines make a shard at the same time
//! after all, because one slept long, both write the same bytes: claims save work, they are not needed to be right.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::plan::Shard;
use crate::store::Store;

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    owner: String,
    beat: u64,
}

impl Written {
    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|_| Error::Internal("a claim is no JSON"))
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours, until it is dropped.
    Ours(Claim),
    /// Somebody else is at it, as far as can be seen.
    Theirs,
}

/// One worker's view of the claims.
#[derive(Debug)]
pub struct Claims {
    out: Store,
    owner: String,
    lease: Duration,
    /// Contents of others' claims, and since when they are as they are.
    seen: HashMap<usize, (Vec<u8>, Instant)>,
}

impl Claims {
    /// A worker with a name that no other has.
    pub fn new(out: Store, lease: Duration) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let owner = format!("{:x}-{}-{count}", time.as_nanos(), std::process::id());
        Self { out, owner, lease, seen: HashMap::new() }
    }

    /// How long to wait before looking again at what others have.
    pub fn pause(&self) -> Duration {
        self.lease / 4
    }

    /// Takes away the claim to a shard that is done, if its owner left it. Nothing depends on it.
    pub fn forget(&self, shard: &Shard) {
        let _ = self.out.remove(&format!("claims/{}.json", shard.name));
    }

    /// Tries to take a shard.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn attempt(&mut self, shard: &Shard) -> Result<Attempt> {
        let name = format!("claims/{}.json", shard.name);
        let mine = Written { owner: self.owner.clone(), beat: 0 }.bytes()?;
        let taken = match self.out.get(&name)? {
            None => self.out.create(&name, mine)?,
            Some((bytes, version)) => {
                let now = Instant::now();
                let (known, since) = self.seen.entry(shard.number).or_insert_with(|| (bytes.clone(), now));
                if *known != bytes {
                    (*known, *since) = (bytes, now);
                    false
                } else if since.elapsed() >= self.lease {
                    self.seen.remove(&shard.number);
                    self.out.replace(&name, mine, version)?
                } else {
                    false
                }
            }
        };
        if !taken {
            return Ok(Attempt::Theirs);
        }
        Ok(Attempt::Ours(Claim::keep(self.out.clone(), name, self.owner.clone(), self.lease / 3)))
    }
}

/// A claim that is kept alive.
#[derive(Debug)]
pub struct Claim {
    stop: Option<Sender<()>>,
    beating: Option<JoinHandle<()>>,
}

impl Claim {
    fn keep(out: Store, name: String, owner: String, every: Duration) -> Self {
        let (stop, stopped) = channel();
        let beating = std::thread::spawn(move || {
            let mut beat = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(every) {
                let read = out.get(&name).ok().flatten();
                let read = read.and_then(|(bytes, _)| serde_json::from_slice::<Written>(&bytes).ok());
                if read.is_none_or(|written| written.owner != owner) {
                    // Taken over by somebody who thought that nobody was there.
                    return;
                }
                beat += 1;
                // A store that does not answer now may answer before the lease is over.
                let _ =
                    Written { owner: owner.clone(), beat }.bytes().and_then(|bytes| out.put(&name, bytes));
            }
            let _ = out.remove(&name);
        });
        Self { stop: Some(stop), beating: Some(beating) }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(beating) = self.beating.take() {
            let _ = beating.join();
        }
    }
}
