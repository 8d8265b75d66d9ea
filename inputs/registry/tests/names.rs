//! Ids, aliases and tower names.

use zoo_registry::{Kind, LookupError, Registry, Tower};

fn shipped() -> Registry {
    Registry::shipped().unwrap_or_else(|error| panic!("{error}"))
}

/// Name, id, pixels, tokens asked for, grid side, channels.
type Known = (&'static str, &'static str, usize, Option<usize>, usize, usize);

#[test]
fn tower_names_of_published_configurations() {
    const KNOWN: [Known; 40] = [
        ("siglip/CLIP-ViT-SO400M-14-384", "siglip-so400m-14-384", 384, None, 27, 1152),
        ("siglip/CLIP-ViT-SO400M-14-384-interp576", "siglip-so400m-14-384", 384, Some(576), 24, 1152),
        ("siglip/CLIP-ViT-SO400M-14", "siglip-so400m-14-224", 224, None, 16, 1152),
        ("timm/ViT-SO400M-14-SigLIP-384", "siglip-so400m-14-384", 384, None, 27, 1152),
        ("timm/ViT-SO400M-14-SigLIP", "siglip-so400m-14-224", 224, None, 16, 1152),
        ("openai/clip-vit-large-patch14-336", "clip-vit-l-14-336", 336, None, 24, 1024),
        ("OpenAI/CLIP-ViT-large-patch14-336-interp144", "clip-vit-l-14-336", 336, Some(144), 12, 1024),
        ("facebook/dinov2-large", "dinov2-vit-l-14", 518, None, 37, 1024),
        ("facebook/dinov2-large-res336", "dinov2-vit-l-14", 336, None, 24, 1024),
        ("facebook/dinov2-giant-res378", "dinov2-vit-g-14", 378, None, 27, 1536),
        ("facebook/dinov2-giant-res378-interp576", "dinov2-vit-g-14", 378, Some(576), 24, 1536),
        ("facebook/dinov2-giant-interp576-res378", "dinov2-vit-g-14", 378, Some(576), 24, 1536),
        ("facebook/dinov2-small", "dinov2-vit-s-14", 518, None, 37, 384),
        ("clip-convnext-L-res512", "openclip-convnext-l", 512, None, 16, 1536),
        ("clip-convnext-L-res1024", "openclip-convnext-l", 1024, None, 32, 1536),
        ("clip-convnext-XXL", "openclip-convnext-xxl", 1024, None, 32, 3072),
        ("clip-convnext-XXL-multi-stage-interp9216", "openclip-convnext-xxl", 1024, Some(9216), 96, 5760),
        ("clip-convnext-XXL-res512-multi-stage", "openclip-convnext-xxl", 512, None, 16, 5760),
        ("clip-convnext-L-multi-stage-res768-interp576", "openclip-convnext-l", 768, Some(576), 24, 2880),
        ("apple/DFN2B-CLIP-ViT-L-14-interp576", "dfn-clip-vit-l-14-224", 224, Some(576), 24, 1024),
        ("apple/DFN5B-CLIP-ViT-H-14-378", "dfn-clip-vit-h-14-378", 378, None, 27, 1280),
        // The released code asks for a repository by a name that it no longer has.
        ("apple/DFN5B-CLIP-ViT-H-14-384-interp576", "dfn-clip-vit-h-14-378", 378, Some(576), 24, 1280),
        ("eva/CLIP-ViT-L-336", "eva02-clip-vit-l-14-336", 336, None, 24, 1024),
        ("eva/CLIP-ViT-L-224-res336-interp144", "eva02-clip-vit-l-14-224", 336, Some(144), 12, 1024),
        ("mae-vit-l-16-interp144", "mae-vit-l-16", 224, Some(144), 12, 1024),
        ("mae-vit-h-14-res448", "mae-vit-h-14", 448, None, 32, 1280),
        ("moco-vit-b-16-interp576", "moco-v3-vit-b-16", 224, Some(576), 24, 768),
        ("ijepa-vit-h-14-res280-interp576", "ijepa-vit-h-14", 280, Some(576), 24, 1280),
        ("supervised-vit-l-16-in21k-interp576", "supvit-l-16-in21k", 224, Some(576), 24, 1024),
        ("supervised-vit-h-14-in21k-res448", "supvit-h-14-in21k", 448, None, 32, 1280),
        ("maws-mae-l-16-interp576", "maws-mae-l-16", 224, Some(576), 24, 1024),
        ("maws-maws-h-14", "maws-maws-h-14", 224, None, 16, 1280),
        ("google/siglip2-so400m-patch14-384-interp576", "siglip2-so400m-14-384", 384, Some(576), 24, 1152),
        ("facebook/dinov3-vitl16-pretrain-lvd1689m-res512", "dinov3-vit-l-16", 512, None, 32, 1024),
        ("apple/aimv2-large-patch14-336", "aimv2-l-14-336", 336, None, 24, 1024),
        ("facebook/PE-Core-L14-336-interp576", "pe-core-l-14-336", 336, Some(576), 24, 1024),
        ("nvidia/C-RADIOv3-H-res768", "c-radio-v3-h", 768, None, 48, 1280),
        ("dinov2-vit-l-14@336", "dinov2-vit-l-14", 336, None, 24, 1024),
        ("openclip-convnext-l@512", "openclip-convnext-l", 512, None, 16, 1536),
        ("timm/vit_large_patch14_dinov2.lvd142m-res378", "dinov2-vit-l-14", 378, None, 27, 1024),
    ];
    let registry = shipped();
    for (name, id, pixels, tokens, side, channels) in KNOWN {
        let found = registry.select(name).unwrap_or_else(|error| panic!("{error}"));
        let got = (found.row.id.as_str(), found.resolution, found.tokens, found.grid().h, found.channels());
        assert_eq!(got, (id, pixels, tokens, side, channels), "{name}");
        assert_eq!(found.preprocess().size as usize, pixels, "{name}");
    }
}

#[test]
fn an_encoder_in_the_place_of_a_tower_keeps_the_suffixes_that_it_does_not_have() {
    let registry = shipped();
    let stages: &[i32] = &[0, 1, 2, 3];
    for (name, tower, pixels, tokens, layers) in [
        ("openclip-convnext-xxl", "clip-convnext-XXL-multi-stage", 1024, None, stages),
        ("openclip-convnext-xxl@512", "clip-convnext-XXL-multi-stage", 512, None, stages),
        ("clip-convnext-L-res768", "clip-convnext-XXL-multi-stage-res1024-interp576", 768, Some(576), stages),
        ("clip-convnext-L-interp144", "clip-convnext-XXL-res512-interp576", 512, Some(144), &[-1]),
        ("clip-convnext-L-multi-stage", "nobody/knows-res512", 512, None, stages),
        ("dinov2-vit-l-14", "facebook/dinov2-giant-res378", 378, None, &[-1]),
        ("dinov2-vit-l-14", "clip-vit-l-14-336", 518, None, &[-1]),
    ] {
        let found = registry.select_for(name, tower).unwrap_or_else(|error| panic!("{error}"));
        let got = (found.resolution, found.tokens, found.layers.as_slice());
        assert_eq!(got, (pixels, tokens, layers), "{name} for {tower}");
    }
    let error = registry.select_for("dinov2-vit-l-14", "clip-convnext-XXL-multi-stage").unwrap_err();
    let expected = "`dinov2-vit-l-14` in the place of `clip-convnext-XXL-multi-stage`: has no stages";
    assert!(error.to_string().starts_with(expected), "{error}");
}

#[test]
fn only_the_clip_tower_leaves_its_last_block_out() {
    let registry = shipped();
    assert_eq!(registry.select("clip-vit-l-14-336").unwrap().layers, [-2]);
    assert_eq!(registry.select("clip-convnext-XXL-multi-stage").unwrap().layers, [0, 1, 2, 3]);
    assert_eq!(registry.select("facebook/dinov2-giant").unwrap().layers, [-1]);
}

#[test]
fn a_composite_name_gives_all_its_towers_on_one_grid() {
    let name = "hybridmodel-siglip/CLIP-ViT-SO400M-14-384-&&&-facebook/dinov2-large-res336";
    let registry = shipped();
    let found = registry.select_all(name).unwrap();
    let got: Vec<_> = found.iter().map(|s| (s.row.id.as_str(), s.resolution, s.tokens)).collect();
    assert_eq!(got, [("siglip-so400m-14-384", 384, Some(576)), ("dinov2-vit-l-14", 336, Some(576))]);
    assert_eq!(registry.select_all("dinov2-vit-s-14").unwrap().len(), 1);
    assert!(registry.select_all("hybridmodel-").is_err());
}

#[test]
fn names_that_cannot_be() {
    let registry = shipped();
    for (name, message) in [
        ("clip-vit-l-14-335", "there is no encoder `clip-vit-l-14-335`; did you mean `clip-vit-l-14-336`"),
        ("cambrian-1", "there is no encoder `cambrian-1`; `cambrian-1` stands among the ensembles"),
        ("", "there is no encoder ``"),
        (
            "facebook/dinov2-large-res13",
            "`facebook/dinov2-large-res13`: 13 pixels are less than one cell of 14",
        ),
        (
            "clip-convnext-XXL-res1000",
            "`clip-convnext-XXL-res1000`: 1000 pixels are no multiple of 32; the nearest are 992 and 1024",
        ),
        (
            "clip-convnext-L@100",
            "`clip-convnext-L@100`: 100 pixels are no multiple of 32; the nearest are 96 and 128",
        ),
        (
            "facebook/dinov2-large-interp577",
            "`facebook/dinov2-large-interp577`: 577 tokens are no square grid; the nearest are 576 and 625",
        ),
        (
            "facebook/dinov2-large-multi-stage",
            "`facebook/dinov2-large-multi-stage`: has no stages that `-multi-stage` could join",
        ),
        ("facebook/dinov2-large-res336-res378", "`facebook/dinov2-large-res336-res378`: `-res` stands twice"),
        (
            "facebook/dinov2-large-res99999999999999999999",
            "`facebook/dinov2-large-res99999999999999999999`: `-res99999999999999999999` is too large a number",
        ),
        ("facebook/dinov2-large-res0", "`facebook/dinov2-large-res0`: an image has at least one pixel"),
    ] {
        let error = registry.select(name).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(message), "{name}: {text}");
    }
    assert!(matches!(
        registry.connector("cambrian-8b-sav"),
        Err(LookupError::Unknown { kind: Kind::Connector, .. })
    ));
    assert_eq!(registry.ensemble("cambrian").unwrap_err().nearest()[0], "cambrian-1");
}

#[test]
fn suffixes_that_are_none_stay_in_the_base() {
    for name in [
        "a-res",
        "a-interp",
        "a-resx",
        "a-multi-stages",
        "resnet-res50d",
        "siglip/CLIP-ViT-SO400M-14-384",
        "",
    ] {
        assert_eq!(Tower::parse(name).unwrap().base, name);
    }
}
