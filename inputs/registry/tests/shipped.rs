//! The registry that is compiled in.

use zoo_core::{Filter, Grid, ResizeCrop};
use zoo_registry::{Registry, Row, Weights};

fn shipped() -> Registry {
    Registry::shipped().unwrap_or_else(|error| panic!("{error}"))
}

/// Published: tokens, channels and window of each member.
#[test]
fn the_released_ensemble_has_its_published_shapes() {
    let registry = shipped();
    let shape = registry.compose(registry.ensemble("cambrian-1").unwrap()).unwrap();
    let members: Vec<_> = shape
        .members
        .iter()
        .map(|m| (m.encoder.as_str(), m.resolution, m.tokens(), m.channels, m.windows.as_slice()))
        .collect();
    assert_eq!(
        members,
        [
            ("siglip-so400m-14-384", 384, 576, 1152, &[1][..]),
            ("clip-vit-l-14-336", 336, 576, 1024, &[1]),
            ("dinov2-vit-g-14", 378, 576, 1536, &[1]),
            ("openclip-convnext-xxl", 1024, 9216, 5760, &[4]),
        ]
    );
    let raw: Vec<_> = shape.members[3].layers.iter().map(|l| (l.grid, l.channels)).collect();
    let stage = |side, channels| (Grid::square(side), channels);
    assert_eq!(raw, [stage(256, 384), stage(128, 768), stage(64, 1536), stage(32, 3072)]);
    assert_eq!(shape.members[0].layers[0].grid, Grid::square(27));
    assert_eq!((shape.tokens, shape.width), (Some(576), Some(4096)));
}

/// What the released models pad with: the mean of the tower's wrapper, truncated to bytes. It is CLIP's even for
/// towers that normalise with other statistics.
#[test]
fn the_released_ensemble_pads_with_its_published_colours() {
    let registry = shipped();
    let ensemble = registry.ensemble("cambrian-1").unwrap();
    let colour = |m| registry.member(m).unwrap().preprocess().pad;
    let colours: Vec<_> = ensemble.members.iter().map(colour).collect();
    assert_eq!(colours, [[122, 116, 104], [122, 116, 104], [123, 116, 103], [122, 116, 104]]);
}

/// Pad colour, second resize and its filter, and first mean of each tower of Cambrian-1's catalogue, at its native size.
/// Most pad with CLIP's mean though they normalise with other statistics, and those of 224 px resize twice: so were the
/// models of the study trained.
#[test]
fn towers_of_the_study_prepare_pixels_as_published() {
    let registry = shipped();
    let (clip, imagenet) = ([122, 116, 104], [123, 116, 103]);
    let twice = |resize, filter| Some(ResizeCrop { resize, filter });
    for (ids, pad, then, mean) in [
        (
            &["clip-vit-l-14-336", "eva02-clip-vit-l-14-336", "openclip-convnext-l"][..],
            clip,
            None,
            0.481_454_66,
        ),
        (
            &["dfn-clip-vit-l-14-224", "dfn-clip-vit-h-14-378", "openclip-convnext-xxl"],
            clip,
            None,
            0.481_454_66,
        ),
        (&["siglip-so400m-14-384", "siglip-vit-l-16-384"], clip, None, 0.5),
        (&["dinov2-vit-l-14", "dinov2-vit-g-14"], imagenet, None, 0.485),
        (&["mae-vit-l-16", "mae-vit-h-14"], clip, twice(248, Filter::Bicubic), 0.485),
        (&["supvit-l-16-in21k", "supvit-h-14-in21k"], clip, twice(248, Filter::Bicubic), 0.5),
        (&["moco-v3-vit-b-16", "moco-v3-vit-l-16"], clip, twice(256, Filter::Bilinear), 0.485),
        (&["ijepa-vit-h-14", "maws-mae-l-16", "maws-maws-h-14"], clip, twice(256, Filter::Bilinear), 0.485),
    ] {
        for id in ids {
            let row = registry.encoder(id).unwrap_or_else(|error| panic!("{error}"));
            let pixels = row.preprocess_at(row.resolution);
            assert_eq!((pixels.pad, &pixels.then, pixels.mean[0]), (pad, &then, mean), "{id}");
            assert_eq!((pixels.filter, pixels.raw), (Filter::Bicubic, false), "{id}");
        }
    }
}

/// Widths of the joined channels in the study of ensembles.
#[test]
fn the_studied_ensembles_have_their_widths() {
    let registry = shipped();
    for (id, width) in [
        ("concat-siglip-dinov2", 2176),
        ("concat-siglip-dinov2-convnext", 5248),
        ("concat-siglip-dinov2-convnext-clip", 6272),
        ("concat-siglip-convnext", 4224),
        ("concat-clip-convnext", 4096),
        ("concat-siglip-dinov2-convnext-l", 3712),
        ("concat-siglip-clip-convnext-l", 3712),
    ] {
        let shape = registry.compose(registry.ensemble(id).unwrap()).unwrap();
        assert_eq!(shape.members.iter().map(|m| m.channels).sum::<usize>(), width, "{id}");
        assert!(shape.members.iter().all(|m| m.tokens() == 576), "{id}");
    }
}

/// What must run offline asks for nothing that is elsewhere.
#[test]
fn the_tiny_ensemble_needs_no_download() {
    let registry = shipped();
    let ensemble = registry.ensemble("trilobite-four").unwrap();
    for member in &ensemble.members {
        let selection = registry.member(member).unwrap();
        assert!(matches!(selection.row.weights, Weights::Seed(_)), "{}", selection.row.id);
    }
    let connector = registry.connector(ensemble.connector.as_deref().unwrap()).unwrap();
    assert!(matches!(connector.weights, Some(Weights::Seed(_))));
    let shape = registry.compose(ensemble).unwrap();
    assert_eq!(shape.members.iter().map(|m| m.windows[0]).collect::<Vec<_>>(), [1, 1, 1, 4]);
}

#[test]
fn every_ensemble_has_a_connector_and_every_connector_a_use() {
    let registry = shipped();
    let used: Vec<_> = registry
        .ensembles()
        .map(|e| e.connector.as_deref().unwrap_or_else(|| panic!("{} has no connector", e.id)))
        .chain(registry.models().map(|m| m.connector.as_str()))
        .collect();
    for connector in registry.connectors() {
        assert!(used.contains(&connector.id()), "nothing uses {}", connector.id);
    }
}
