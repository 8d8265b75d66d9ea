//! SentencePiece's `tokenizer.model` as a tokenizer of the `tokenizers` crate, for folders without
//! `tokenizer.json`: the models of Llama 2's time.
//!
//! SentencePiece merges the pair whose piece has the best score; here every way of cutting a piece in two is a
//! merge rule, in the order of the scores. Unknown characters fall back to bytes where the model has them. The
//! dummy space goes before every stretch of text between special tokens, as the slow tokenizers of transformers
//! with `legacy` behaviour do; with `"legacy": false` only before a text that begins neither with a
//! special token nor with a space, as their fast tokenizers do.

mod proto;

use std::collections::BTreeMap;

use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip as StripDecoder;
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::{
    NormalizerWrapper, Precompiled, Prepend, Replace, Sequence as Normalisers, Strip,
};
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};

use super::config::Added;
use proto::{Algorithm, Kind, Model, Piece};

/// SentencePiece's visible space.
const SPACE: &str = "\u{2581}";

/// What a `tokenizer.model` amounts to.
pub(super) struct Converted {
    pub tokenizer: Tokenizer,
    /// Begin-of-text, where the model has one.
    pub bos: Option<u32>,
}

/// Converts the bytes of a `tokenizer.model`, with tokens that other files add to it.
///
/// # Errors
/// What is wrong, as the end of a sentence about the file.
pub(super) fn convert(bytes: &[u8], added: &[Added], legacy: bool) -> Result<Converted, String> {
    let model = Model::read(bytes)?;
    let taken =
        |(id, token): &&Added| model.pieces.get(*id as usize).is_some_and(|p| p.text != token.content);
    if let Some((id, token)) = added.iter().find(taken) {
        return Err(format!(
            "the added token `{}` should have the id {id}, but that is not free",
            token.content
        ));
    }
    let fail = |error: tokenizers::Error| error.to_string();
    let inner: ModelWrapper = match model.algorithm {
        Algorithm::Bpe => bpe(&model, added)?.into(),
        Algorithm::Unigram => unigram(&model, added)?.into(),
    };
    let mut tokenizer = Tokenizer::new(inner);
    tokenizer.with_normalizer(Some(normaliser(&model, legacy)?)).map_err(fail)?;
    if model.dummy_prefix && !legacy {
        let once = Metaspace::new('\u{2581}', PrependScheme::First, false);
        tokenizer.with_pre_tokenizer(Some(once));
    }
    tokenizer.with_decoder(Some(decoder(&model)?));
    tokenizer.add_tokens(whole(&model)).map_err(fail)?;
    tokenizer.add_tokens(added.iter().map(|(_, token)| token.clone())).map_err(fail)?;
    let bos = u32::try_from(model.bos).ok().filter(|id| (*id as usize) < model.pieces.len());
    Ok(Converted { tokenizer, bos })
}

/// Pieces that text is never merged into but that stand in it as they are.
fn whole(model: &Model) -> Vec<AddedToken> {
    let token = |piece: &Piece| match piece.kind {
        Kind::Unknown | Kind::Control => Some(AddedToken::from(&piece.text, true).normalized(false)),
        // Found after spaces have become visible, but not where the dummy space would be taken for a part of it.
        Kind::UserDefined => Some(AddedToken::from(&piece.text, false).normalized(!model.dummy_prefix)),
        Kind::Normal | Kind::Unused | Kind::Byte => None,
    };
    model.pieces.iter().filter_map(token).collect()
}

fn unknown(model: &Model) -> Result<(usize, &Piece), String> {
    let found = model.pieces.iter().enumerate().find(|(_, piece)| piece.kind == Kind::Unknown);
    found.ok_or_else(|| "it has no piece for what is unknown".into())
}

/// One way of making a piece out of two.
struct Merge<'a> {
    score: f32,
    ids: (u32, u32),
    left: &'a str,
    right: &'a str,
}

fn bpe(model: &Model, added: &[Added]) -> Result<BPE, String> {
    // Added tokens stand in the vocabulary so that they keep their ids; no merge leads to them.
    let mut vocabulary: BTreeMap<&str, u32> = added.iter().map(|(id, t)| (t.content.as_str(), *id)).collect();
    vocabulary.extend((0..).zip(&model.pieces).map(|(id, piece)| (piece.text.as_str(), id)));
    let merged = |piece: &&Piece| matches!(piece.kind, Kind::Normal | Kind::UserDefined | Kind::Unused);
    let parts: BTreeMap<&str, u32> =
        (0..).zip(&model.pieces).filter(|(_, p)| merged(p)).map(|(id, p)| (p.text.as_str(), id)).collect();
    let mut merges: Vec<Merge> = Vec::new();
    for piece in model.pieces.iter().filter(|p| p.kind == Kind::Normal) {
        for (at, _) in piece.text.char_indices().skip(1) {
            let (left, right) = piece.text.split_at(at);
            if let (Some(&l), Some(&r)) = (parts.get(left), parts.get(right)) {
                merges.push(Merge { score: piece.score, ids: (l, r), left, right });
            }
        }
    }
    // Best score first; of the ways to one piece the one with the longest left part.
    merges.sort_by(|a, b| {
        b.score.total_cmp(&a.score).then(b.left.len().cmp(&a.left.len())).then(a.ids.cmp(&b.ids))
    });
    let (_, unknown) = unknown(model)?;
    BPE::builder()
        .vocab_and_merges(
            vocabulary.into_iter().map(|(text, id)| (text.to_owned(), id)).collect::<Vocab>(),
            merges.into_iter().map(|merge| (merge.left.to_owned(), merge.right.to_owned())).collect(),
        )
        .unk_token(unknown.text.clone())
        .fuse_unk(true)
        .byte_fallback(model.byte_fallback)
        .build()
        .map_err(|error| error.to_string())
}

fn unigram(model: &Model, added: &[Added]) -> Result<Unigram, String> {
    let mut pieces: Vec<_> = model.pieces.iter().map(|p| (p.text.clone(), f64::from(p.score))).collect();
    let beyond = added.iter().filter(|(id, _)| *id as usize >= model.pieces.len());
    for (id, token) in beyond {
        if *id as usize != pieces.len() {
            return Err(format!(
                "the added token `{}` has the id {id} while {} is still free",
                token.content,
                pieces.len()
            ));
        }
        pieces.push((token.content.clone(), 0.0));
    }
    Unigram::from(pieces, Some(unknown(model)?.0), model.byte_fallback).map_err(|error| error.to_string())
}

fn normaliser(model: &Model, legacy: bool) -> Result<Normalisers, String> {
    let fail = |error: tokenizers::Error| error.to_string();
    let mut steps: Vec<NormalizerWrapper> = Vec::new();
    if !model.rules.is_empty() {
        let rules = Precompiled::from(&model.rules);
        steps.push(rules.map_err(|e| format!("its normalisation rules are damaged: {e}"))?.into());
    }
    if model.squeeze {
        steps.push(Strip::new(true, true).into());
        let runs = tokenizers::normalizers::replace::ReplacePattern::Regex(" {2,}".into());
        steps.push(Replace::new(runs, " ").map_err(fail)?.into());
    }
    if model.dummy_prefix && legacy {
        steps.push(Prepend::new(SPACE.into()).into());
    }
    steps.push(Replace::new(" ".to_owned(), SPACE).map_err(fail)?.into());
    Ok(Normalisers::new(steps))
}

fn decoder(model: &Model) -> Result<Decoders, String> {
    let spaces = Replace::new(SPACE.to_owned(), " ").map_err(|error| error.to_string())?;
    let mut steps: Vec<DecoderWrapper> =
        vec![DecoderWrapper::Replace(spaces), ByteFallback::new().into(), Fuse::new().into()];
    if model.dummy_prefix {
        steps.push(StripDecoder::new(' ', 1, 0).into());
    }
    Ok(Decoders::new(steps))
}
