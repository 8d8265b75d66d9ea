//! The parts of a model: ready to be opened, and asked what they are beforehand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use zoo_core::sdk::Inspection;
use zoo_core::{ConnectorDescriptor, Spec};
use zoo_release::Release;

use super::ModelRequest;
use crate::encoder::{EncoderRequest, EncoderSession};
use crate::eyes::Eyes;
use crate::inspect::EncoderInspection;
use crate::opening::Opening;
use crate::plugins::ObjectKind;
use crate::{HostError, Zoo, judge};

/// A model folder whose parts were asked for what they are. No weights are read yet.
pub(crate) struct ModelParts {
    pub release: Release,
    /// Whether it is put together from rows, and not read from a folder.
    pub composed: bool,
    pub encoders: Vec<(EncoderRequest, EncoderInspection)>,
    pub connector: Option<(Opening, Inspection)>,
    pub llm: (Opening, Inspection),
}

impl Zoo {
    /// Reads the folder of `request` and asks the plugins what its parts are.
    pub(crate) fn parts(&self, request: &ModelRequest) -> Result<ModelParts, HostError> {
        let (release, composed) = self.release(&request.model)?;
        let mut encoders = Vec::with_capacity(release.encoders.len());
        for choice in &release.encoders {
            let request = EncoderRequest {
                id: choice.id.clone(),
                weights: choice.weights.clone(),
                arch_override: choice.arch_override.clone(),
                layers: Some(choice.layers.clone()),
                norm: Some(choice.norm),
                prefix: false,
                tokens: choice.tokens,
                resolution: choice.resolution,
                options: BTreeMap::new(),
                vectors: false,
            };
            let inspection = self.inspect_encoder(&request)?;
            encoders.push((request, inspection));
        }
        let connector = match (&release.connector, composed) {
            (None, _) => None,
            (Some(_), Some(row)) => {
                let row = self.registry().connector(&row.connector)?;
                let opening = self.opening(&self.connector_part(row), None)?;
                let inspection = opening.inspect()?;
                let said: ConnectorDescriptor = inspection.descriptor()?;
                judge::refuse(self.registry(), row, judge::connector_shapes(row, &said))?;
                Some((opening, inspection))
            }
            (Some(choice), None) => {
                let inputs: Vec<_> = encoders.iter().map(|(_, e)| (e.channels, e.grid.cells())).collect();
                let spec = Spec {
                    id: format!("{}-connector", release.name),
                    architecture: choice.architecture.clone(),
                    arch: choice.arch(&inputs),
                    precision: self.precision(),
                };
                let weights = choice.weights.clone();
                let opening =
                    self.opening_of_files(&choice.plugin, ObjectKind::Connector, spec, weights, None)?;
                let inspection = opening.inspect()?;
                Some((opening, inspection))
            }
        };
        let decoder = &release.decoder;
        let spec = Spec {
            id: release.name.clone(),
            architecture: decoder.architecture.clone(),
            arch: decoder.arch.clone(),
            precision: self.precision(),
        };
        let weights = decoder.weights.clone();
        let opening =
            self.opening_of_files(&decoder.plugin, ObjectKind::Llm, spec, weights, request.quantise)?;
        let inspection = opening.inspect()?;
        let llm = (opening, inspection);
        Ok(ModelParts { release, composed: composed.is_some(), encoders, connector, llm })
    }

    /// The encoders of a model, with their files: what is missing is found before anything is loaded. None is open; one at a
    /// time is while it looks.
    pub(super) fn closed_eyes(&self, parts: &ModelParts) -> Result<Eyes, HostError> {
        let turn = Arc::new(Mutex::new(()));
        let one = |(request, inspection): &(EncoderRequest, EncoderInspection)| {
            let selection = self.registry().select(&request.id)?;
            let (plan, opening) = self.encoder_opening(&selection, request)?;
            let said = inspection.descriptor.clone();
            Ok(EncoderSession::closed(plan, opening, said, self.setting(), turn.clone()))
        };
        let members = parts.encoders.iter().map(one).collect::<Result<_, HostError>>()?;
        Ok(Eyes::new(parts.release.name.clone(), members, self))
    }
}
