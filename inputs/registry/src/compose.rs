//! Shapes of an ensemble, as far as the rows know them; parameters and costs come from the plugins.

use serde::Serialize;
use zoo_core::Grid;

use crate::registry::Registry;
use crate::rows::{ConnectorRow, EnsembleRow};
use crate::{LookupError, Selection};

/// A chosen layer of an encoder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerShape {
    /// Its index, as it was asked for.
    pub layer: i32,
    /// Its own grid.
    pub grid: Grid,
    /// Its channels.
    pub channels: usize,
}

/// A member of an ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberShape {
    /// Id of the encoder.
    pub encoder: String,
    /// Side of its image in pixels.
    pub resolution: usize,
    /// The chosen layers.
    pub layers: Vec<LayerShape>,
    /// Grid after resampling.
    pub grid: Grid,
    /// Channels of all chosen layers together.
    pub channels: usize,
    /// Side of the window of cells that each query of a group sees, one per group; empty where the connector has
    /// no queries.
    pub windows: Vec<usize>,
}

impl MemberShape {
    fn of(selection: &Selection<'_>, connector: Option<&ConnectorRow>) -> Self {
        let grid = selection.grid();
        let queries = connector.map(ConnectorRow::queries).unwrap_or_default();
        Self {
            encoder: selection.row.id.clone(),
            resolution: selection.resolution,
            layers: selection.layer_shapes(),
            grid,
            channels: selection.channels(),
            windows: queries.iter().filter_map(|q| grid.h.checked_div(q.isqrt())).collect(),
        }
    }

    /// Tokens after resampling.
    pub fn tokens(&self) -> usize {
        self.grid.cells()
    }
}

/// An ensemble.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EnsembleShape {
    /// Its id.
    pub ensemble: String,
    /// In order.
    pub members: Vec<MemberShape>,
    /// Id of the connector.
    pub connector: Option<String>,
    /// Tokens that come out of the connector, where its row fixes them.
    pub tokens: Option<usize>,
    /// Width of these tokens.
    pub width: Option<usize>,
}

impl Registry {
    /// The shapes of `ensemble` from pixels to fused tokens.
    ///
    /// # Errors
    /// [`LookupError`] when the row is not one of this registry and names what is not in it.
    pub fn compose(&self, ensemble: &EnsembleRow) -> Result<EnsembleShape, LookupError> {
        let connector = ensemble.connector.as_deref().map(|id| self.connector(id)).transpose()?;
        let members = ensemble
            .members
            .iter()
            .map(|member| Ok(MemberShape::of(&self.member(member)?, connector)))
            .collect::<Result<_, LookupError>>()?;
        Ok(EnsembleShape {
            ensemble: ensemble.id.clone(),
            members,
            connector: connector.map(|c| c.id.clone()),
            tokens: connector.and_then(ConnectorRow::tokens),
            width: connector.map(ConnectorRow::output),
        })
    }
}
