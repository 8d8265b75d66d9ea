//! Every kind of mistake in a registry file, with the whole message that it gives.

use zoo_registry::{Layer, Registry};

/// An encoder, a connector and an ensemble that are right.
const GOOD: &str = r#"version = 1

[[encoder]]
id = "eye"
description = "An eye"
plugin = "optics"
architecture = "lens"
supervision = "language"
licence = "MIT"
aliases = ["oculus"]
towers = ["study/eye"]
resolution = 56
stride = 14
channels = 32
select = { layers = [-1], norm = true }
preprocess = { pad = [0, 0, 0], normalise = "half" }
weights = { seed = 1 }

[[encoder]]
id = "fly"
description = "A compound eye"
plugin = "optics"
architecture = "facets"
supervision = "depth"
licence = "MIT"
resolution = 64
stride = [4, 8]
channels = [8, 16]
select = { layers = [-1], norm = false }
preprocess = { pad = [0, 0, 0], normalise = { mean = [0, 0, 0], std = [1, 1, 1] } }
weights = { path = "fly.safetensors" }

[[connector]]
id = "nerve"
description = "A nerve"
plugin = "optics"
architecture = "nerve"
arch = { inputs = [32, 24], token_lens = [16, 64], output = 8, image_token_len = 16, query_num_list = [16] }

[[ensemble]]
id = "face"
description = "Both"
members = [{ encoder = "eye" }, { encoder = "fly", layers = [0, 1], tokens = 64 }]
connector = "nerve"

[[llm]]
id = "brain"
description = "A brain"
plugin = "cortex"
architecture = "grey"
hidden = 8
licence = "MIT"
weights = { repo = "anatomy/brain", file = "model.safetensors" }

[[model]]
id = "animal"
description = "All of it"
ensemble = "face"
connector = "nerve"
llm = "brain"
template = "plain"
licence = "MIT"
"#;

/// The message for [`GOOD`] with `from` replaced by `to`.
#[track_caller]
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "`{from}` is not in the good file");
    let text = GOOD.replacen(from, to, 1);
    let error = Registry::parse(&text, "my.toml").expect_err("this file should be refused");
    let got = error.to_string();
    assert!(got == expected.trim_start_matches('\n'), "got:\n{got}\n\nexpected:\n{expected}");
}

#[test]
fn the_good_file_is_good() {
    Registry::parse(GOOD, "my.toml").unwrap_or_else(|error| panic!("{error}"));
}
