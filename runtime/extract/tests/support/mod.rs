//! A small encoder, pictures, and the program in a process that can be killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;

use image::{Rgb, RgbImage};
use zoo_extract::{Done, Error, Request, Silent, run};
use zoo_host::{EncoderRequest, EyesRequest, Options, Zoo};

/// The encoder that looks here: as small as its family allows, so that a picture takes a moment.
pub const ENCODER: &str = "mini";

const ROW: &str = r#"
version = 1
[[encoder]]
id = "mini"
description = "As small as can be"
plugin = "clip"
architecture = "clip-vit"
arch = { embed_dim = 8, depth = 1, num_heads = 2, mlp_dim = 16, patch_size = 14, image_size = 28 }
supervision = "language"
licence = "MIT OR Apache-2.0"
resolution = 28
stride = 14
channels = 8
select = { layers = [-1], norm = false, configured = true }
preprocess = { pad = [122, 116, 104], normalise = "clip" }
weights = { seed = 7 }
"#;

/// The host with the small encoder in it.
pub fn zoo(folder: &Path) -> Zoo {
    let registry = folder.join("mini.toml");
    if !registry.exists() {
        std::fs::write(&registry, ROW).unwrap();
    }
    let options = Options { registries: vec![registry], offline: true, ..Options::default() };
    Zoo::open(options).unwrap().with_linked(&[&zoo_clip::PLUGIN])
}

/// Extracts with the small encoder.
pub fn extract(folder: &Path, request: &Request) -> Result<Done, Error> {
    let encoders = vec![EyesRequest::Encoder(EncoderRequest::new(ENCODER))];
    run(&zoo(folder), encoders, request, &Silent, &AtomicBool::new(false))
}

/// A picture that is no other's.
pub fn picture(number: u32) -> RgbImage {
    let (width, height) = (20 + number % 7, 17 + number % 5);
    RgbImage::from_fn(width, height, |x, y| {
        let value = |k: u32| ((x * (k + 3) + y * (2 * k + 5) + number * 31) % 251) as u8;
        Rgb([value(1), value(2), value(3)])
    })
}

/// The picture as the bytes of a PNG.
pub fn png(number: u32) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    picture(number).write_to(&mut out, image::ImageFormat::Png).unwrap();
    out.into_inner()
}

/// Writes pictures `000.png` to `count - 1`, of which those in `broken` are none.
pub fn pictures(folder: &Path, count: u32, broken: &[u32]) {
    std::fs::create_dir_all(folder).unwrap();
    for number in 0..count {
        let bytes = if broken.contains(&number) { b"\x89PNG\r\n\x1a\nno more".to_vec() } else { png(number) };
        std::fs::write(folder.join(format!("{number:03}.png")), bytes).unwrap();
    }
}

/// Every file below a folder, with its bytes, sorted by path; claims are none of them.
pub fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let walk = walkdir::WalkDir::new(folder).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = walk.filter(|entry| entry.file_type().is_file());
    let named =
        files.map(|entry| (entry.path().strip_prefix(folder).unwrap().to_path_buf(), entry.into_path()));
    named.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

const CHILD: &str = "ZOO_EXTRACT_TEST";

/// This test program again, told to extract in a process of its own; it needs a test `child` that calls [`child`].
pub fn spawn(folder: &Path, source: &str, out: &str, claim_ms: u64, environment: &[(&str, &str)]) -> Child {
    let told = [folder.to_str().unwrap(), source, out, &claim_ms.to_string()].join("\n");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture"]).env(CHILD, told);
    command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What the other process does; nothing where this is a test like others.
pub fn child() {
    let Ok(told) = std::env::var(CHILD) else { return };
    let told: Vec<&str> = told.split('\n').collect();
    let &[folder, source, out, claim] = told.as_slice() else { panic!("{told:?}") };
    let lease = std::time::Duration::from_millis(claim.parse().unwrap());
    let mut request = request(source, out);
    if !lease.is_zero() {
        request.share = zoo_extract::Share::Claims { lease };
    }
    if let Err(error) = extract(Path::new(folder), &request) {
        eprintln!("{error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// Small shards, one picture at a time.
pub fn request(source: impl Into<String>, out: impl Into<String>) -> Request {
    let mut request = Request::new(vec![source.into()], out);
    request.reach.rows = 4;
    request.batch = 2;
    request.threads = 2;
    request
}
