//! Annotations as others write them: COCO, ADE20K, Omni3D.

use serde_json::{Value, json};

use super::rle;
use crate::render::Rendering;
use crate::scene::Scene;
use crate::scene::words::Class;
use crate::truth::Truth;

/// More things than any scene has: numbers of annotations are made of it.
const THINGS: u64 = 64;

/// All classes that are things, as COCO lists them.
pub(super) fn coco_categories() -> Value {
    let things = Class::ALL.iter().filter(|class| class.thing());
    things
        .map(|class| json!({"id": class.id(), "name": class.word(), "supercategory": above(*class)}))
        .collect()
}

fn above(class: Class) -> &'static str {
    match class {
        Class::Word | Class::Number => "text",
        Class::Bar | Class::Point | Class::Slice => "chart",
        c if c <= Class::Sign => "body",
        _ => "figure",
    }
}

/// The picture and its things, of COCO.
pub(super) fn coco(scene: &Scene, truth: &Truth, seen: &Rendering, image: &str) -> (Value, Vec<Value>) {
    let picture = json!({"id": scene.index, "file_name": image, "width": truth.width, "height": truth.height, "license": 1});
    let mut annotations = Vec::new();
    for (i, thing) in truth.things.iter().enumerate().filter(|(_, thing)| thing.pixels > 0) {
        let id = i as u16 + 1;
        let runs = rle::runs(|at| seen.instance[at] == id, (seen.width, seen.height));
        annotations.push(json!({
            "id": scene.index * THINGS + i as u64 + 1,
            "image_id": scene.index,
            "category_id": thing.class.id(),
            "bbox": thing.seen,
            "area": thing.pixels,
            "iscrowd": 0,
            "segmentation": {"size": [truth.height, truth.width], "counts": rle::compress(&runs)},
        }));
    }
    (picture, annotations)
}

/// Per pixel class and number within the class, as ADE20K's instances are drawn: red, green, and nothing in blue.
pub(super) fn ade_instances(truth: &Truth, seen: &Rendering) -> Vec<u8> {
    let mut numbers = Vec::new();
    for (i, thing) in truth.things.iter().enumerate() {
        numbers.push(1 + truth.things[..i].iter().filter(|other| other.class == thing.class).count() as u8);
    }
    let mut out = Vec::with_capacity(seen.instance.len() * 3);
    for (id, class) in seen.instance.iter().zip(&seen.class) {
        let number = usize::from(*id).checked_sub(1).and_then(|thing| numbers.get(thing)).copied();
        out.extend([*class, number.unwrap_or(0), 0]);
    }
    out
}

/// The table of classes beside it: number, share is unknown, name.
pub(super) fn ade_classes() -> String {
    let mut out = String::from("Idx\tStuff\tName\n");
    for class in Class::ALL {
        out += &format!("{}\t{}\t{}\n", class.id(), u8::from(!class.thing()), class.word());
    }
    out
}

/// Bodies, as Omni3D lists them.
pub(super) fn omni_categories() -> Value {
    let bodies = Class::ALL.iter().filter(|class| **class <= Class::Sign);
    bodies.map(|class| json!({"id": class.id(), "name": class.word(), "supercategory": "body"})).collect()
}

/// Number of the world among Omni3D's sources.
const DATASET: u32 = 100;

/// The picture and its bodies, of Omni3D. `None` where there is no space.
pub(super) fn omni(scene: &Scene, truth: &Truth, image: &str) -> Option<(Value, Vec<Value>)> {
    let picture = json!({
        "id": scene.index,
        "dataset_id": DATASET,
        "file_path": image,
        "width": truth.width,
        "height": truth.height,
        "K": truth.intrinsics?,
        "src_90_rotate": 0,
        "src_flagged": false,
    });
    let corners = |[x, y, w, h]: [u32; 4]| [x, y, x + w, y + h];
    let mut annotations = Vec::new();
    for (i, thing) in truth.things.iter().enumerate() {
        let Some(space) = &thing.space else { continue };
        annotations.push(json!({
            "id": scene.index * THINGS + i as u64 + 1,
            "image_id": scene.index,
            "dataset_id": DATASET,
            "category_id": thing.class.id(),
            "category_name": thing.class.word(),
            "valid3D": true,
            "bbox2D_tight": corners(thing.seen),
            "bbox2D_proj": corners(thing.whole),
            "bbox2D_trunc": corners(thing.whole),
            "bbox3D_cam": space.corners,
            "center_cam": space.centre,
            "dimensions": space.dimensions,
            "R_cam": space.rotation,
            "behind_camera": false,
            "visibility": thing.visible,
            "truncation": 0.0,
            "segmentation_pts": -1,
            "lidar_pts": -1,
            "depth_error": 0.0,
        }));
    }
    Some((picture, annotations))
}
