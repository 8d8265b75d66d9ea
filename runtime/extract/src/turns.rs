//! Whose turn it is: the thread that fetches shards and hands them over.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::claim::{Attempt, Claim, Claims};
use crate::error::{Error, Result};
use crate::fetch::{Fetched, fetch};
use crate::plan::Shard;
use crate::receipt::{Receipt, State};
use crate::request::{Existing, Request, Share};
use crate::store::Store;

/// A shard that is ready to be computed.
pub(crate) struct Ready<'p> {
    pub shard: &'p Shard,
    pub fetched: Result<Fetched>,
    /// Kept alive until the shard is done.
    pub _claim: Option<Claim>,
}

/// What the thread that fetches has to say.
pub(crate) enum Next<'p> {
    Ready(Box<Ready<'p>>),
    Waiting(usize),
    Failed(Error),
}

/// Whose turn it is, seen from the thread that fetches.
#[derive(Clone, Copy)]
pub(crate) struct Shards<'r> {
    pub out: &'r Store,
    pub fingerprint: &'r str,
    pub request: &'r Request,
    pub cancel: &'r AtomicBool,
}

impl<'r> Shards<'r> {
    pub fn is_mine(&self, shard: &Shard) -> bool {
        self.request.share.has(shard)
    }

    pub fn is_open(&self, shard: &Shard) -> Result<bool> {
        if self.request.existing == Existing::Replace {
            return Ok(true);
        }
        Ok(matches!(Receipt::read(self.out, shard, self.fingerprint)?, State::Open))
    }

    fn is_over(&self, over: &AtomicBool) -> bool {
        over.load(Ordering::Relaxed) || self.cancel.load(Ordering::Relaxed)
    }

    /// Hands over shard after shard, until all are done or nobody takes them any more.
    pub fn fetch_all<'p>(&'p self, open: Vec<&'p Shard>, over: &AtomicBool, hand: &dyn Fn(Next<'p>) -> bool) {
        let ready = |shard, claim| {
            let fetched = fetch(shard, &self.request.columns);
            hand(Next::Ready(Box::new(Ready { shard, fetched, _claim: claim })))
        };
        let Share::Claims { lease } = self.request.share else {
            let _ = open.into_iter().all(|shard| !self.is_over(over) && ready(shard, None));
            return;
        };
        let (mut claims, mut left) = (Claims::new(self.out.clone(), lease), open);
        while !left.is_empty() && !self.is_over(over) {
            let (mut theirs, mut taken) = (Vec::new(), false);
            for shard in std::mem::take(&mut left) {
                if self.is_over(over) {
                    return;
                }
                match self.claim(&mut claims, shard) {
                    Ok(Some(Attempt::Ours(claim))) => {
                        taken = true;
                        if !ready(shard, Some(claim)) {
                            return;
                        }
                    }
                    Ok(Some(Attempt::Theirs)) => theirs.push(shard),
                    Ok(None) => {
                        // Its owner may have died between the receipt and giving the claim back.
                        claims.forget(shard);
                        taken = true;
                    }
                    Err(error) => {
                        hand(Next::Failed(error));
                        return;
                    }
                }
            }
            left = theirs;
            if !left.is_empty() && !taken {
                if !hand(Next::Waiting(left.len())) {
                    return;
                }
                std::thread::sleep(claims.pause().min(Duration::from_secs(5)));
            }
        }
    }

    /// Tries to take a shard; nothing if it is done by now.
    fn claim(&self, claims: &mut Claims, shard: &Shard) -> Result<Option<Attempt>> {
        let replace = self.request.existing == Existing::Replace;
        if !replace && !self.is_open(shard)? {
            return Ok(None);
        }
        let attempt = claims.attempt(shard)?;
        // Its owner may have ended between the two looks.
        if matches!(attempt, Attempt::Ours(_)) && !replace && !self.is_open(shard)? {
            return Ok(None);
        }
        Ok(Some(attempt))
    }
}
