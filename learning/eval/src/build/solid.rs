//! Boxes in space: Omni3D's files, in the camera's coordinates (x right, y down, z away), metres.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::flat::{Info, read};
use super::{Object, Scene};
use crate::{Error, Result};

#[derive(Deserialize)]
struct Omni {
    #[serde(default)]
    info: Info,
    images: Vec<Image>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Image {
    id: u64,
    width: f64,
    height: f64,
    file_path: String,
    /// Focal lengths and centre.
    #[serde(rename = "K")]
    intrinsics: [[f64; 3]; 3],
}

#[derive(Deserialize)]
struct Annotation {
    image_id: u64,
    category_name: String,
    #[serde(rename = "bbox3D_cam")]
    corners: [[f64; 3]; 8],
    #[serde(rename = "valid3D", default = "yes")]
    valid_3d: bool,
    #[serde(default)]
    behind_camera: bool,
    /// Share that is seen and share that is cut off; negative where it is not known.
    #[serde(default = "unknown")]
    visibility: f64,
    #[serde(default = "unknown")]
    truncation: f64,
}

fn yes() -> bool {
    true
}

fn unknown() -> f64 {
    -1.0
}

/// An object of which less is seen is not asked about.
const SEEN: f64 = 0.5;

/// Scenes of a file in Omni3D's form.
///
/// # Errors
/// [`Error::Input`] for another form, and for objects of pictures that are not there.
pub fn omni3d(path: &Path) -> Result<Vec<Scene>> {
    let Omni { info, images, annotations } = read(path, "Omni3D writes them")?;
    let dataset = info.dataset(|source| match source {
        "" => "Omni3D".to_owned(),
        source => format!("Omni3D_{source}"),
    });
    let mut scenes: BTreeMap<u64, (Scene, [[f64; 3]; 3])> = BTreeMap::new();
    for image in images {
        let scene = Scene {
            file: image.file_path,
            size: (image.width, image.height),
            source: "Omni3D",
            dataset: dataset.clone(),
            objects: Vec::new(),
            absent: Vec::new(),
        };
        scenes.insert(image.id, (scene, image.intrinsics));
    }
    for (number, object) in annotations.into_iter().enumerate() {
        let lost = || {
            Error::Input(format!(
                "{}: annotation {number}: there is no image {}",
                path.display(),
                object.image_id
            ))
        };
        let (scene, intrinsics) = scenes.get_mut(&object.image_id).ok_or_else(lost)?;
        let corners = object.corners;
        let unclear = if !object.valid_3d {
            Some("its box in space is not valid")
        } else if object.behind_camera || corners.iter().any(|corner| corner[2] <= 0.0) {
            Some("part of it is behind the camera")
        } else if (0.0..SEEN).contains(&object.visibility) {
            Some("too little of it is seen")
        } else if object.truncation > 1.0 - SEEN {
            Some("too much of it is cut off")
        } else {
            None
        };
        let bbox = projected(&corners, intrinsics, scene.size);
        scene.objects.push(Object { class: object.category_name, bbox, corners: Some(corners), unclear });
    }
    Ok(scenes.into_values().map(|(scene, _)| scene).collect())
}

/// The box in the picture around the corners of a box in space, within the picture.
fn projected(corners: &[[f64; 3]; 8], intrinsics: &[[f64; 3]; 3], (width, height): (f64, f64)) -> [f64; 4] {
    let mut out = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    for [x, y, z] in corners {
        let z = z.max(1e-3);
        let at = |row: [f64; 3]| (row[0] * x + row[1] * y + row[2] * z) / z;
        let (u, v) = (at(intrinsics[0]).clamp(0.0, width), at(intrinsics[1]).clamp(0.0, height));
        out = [out[0].min(u), out[1].min(v), out[2].max(u), out[3].max(v)];
    }
    out
}
