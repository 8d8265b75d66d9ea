//! What must hold beyond the types.

mod links;
mod row;
mod unique;

pub(crate) use links::{Links, links};
pub(crate) use unique::{duplicates, taken};

use crate::problem::Problem;
use crate::table::Rows;

/// What is wrong with the rows of one file, each by itself.
pub(crate) fn rows(rows: &Rows) -> Vec<Problem> {
    let mut problems = Vec::new();
    rows.encoders.iter().for_each(|entry| row::encoder(entry, &mut problems));
    rows.connectors.iter().for_each(|entry| row::connector(entry, &mut problems));
    rows.ensembles.iter().for_each(|entry| row::ensemble(entry, &mut problems));
    rows.llms.iter().for_each(|entry| row::llm(entry, &mut problems));
    rows.models.iter().for_each(|entry| row::model(entry, &mut problems));
    rows.decoders.iter().for_each(|entry| row::decoder(entry, &mut problems));
    rows.projectors.iter().for_each(|entry| row::projector(entry, &mut problems));
    problems
}
