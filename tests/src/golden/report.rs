//! What the parity tests found, for `docs/parity.md`: files in `target/parity/`, from which `cargo xtask parity` makes
//! the page. A test never writes a file that git tracks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, io};

use zoo_core::Precision;

use super::half::Shares;
use super::{BOUND, HALF_ALL, HALF_MAX, HALF_RMS, Outcome};

/// Leaves `<plugin>.<kind>.md`, and the words above all tables. A test does not fail where that is impossible: what is
/// under test is the plugin.
pub(super) fn write(plugin: &str, kind: &str, text: &str) {
    let written = folder().and_then(|folder| {
        fs::create_dir_all(&folder)?;
        replace(&folder.join("head.md"), &head())?;
        replace(&folder.join(format!("{plugin}.{kind}.md")), text)
    });
    if let Err(e) = written {
        eprintln!("nothing was left for docs/parity.md: {e}");
    }
}

/// `parity` in the folder that cargo builds in, which it marks as a cache.
fn folder() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let target =
        target.ok_or_else(|| io::Error::other(format!("{} is in no target folder", program.display())))?;
    Ok(target.join("parity"))
}

/// Whole or not at all, as other tests write beside us, in this process and in others.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let temporary = path.with_extension(format!("{}-{count}.part", std::process::id()));
    fs::write(&temporary, text)?;
    fs::rename(&temporary, path)
}

fn head() -> String {
    format!(
        "# Parity\n\n\
         Every encoder, connector and language model is compared with an independent Python implementation, on \
         random weights in the public checkpoint layout: class token, positions, layer scale, norms and biases \
         are all random, so that nothing cancels. The last column is `max|Δ| / rms(expected)` in f32 on the CPU; \
         the tests fail above {BOUND:e}.\n\n\
         In half precision each implementation is compared with what its reference loses there itself, with the same \
         weights and inputs cast. The root mean square of the differences from f32 may be {HALF_RMS} times the \
         reference's in one tensor and {HALF_ALL} times over the elements of all tensors of a plugin, the largest \
         difference {HALF_MAX} times. The cases named `leaning` work where the forms of GELU differ most, so that even \
         bf16 tells them apart.\n\n\
         The page is written by `cargo xtask parity`, from what the parity tests leave in `target/parity/`; figures \
         differ a little between processors. The weights, inputs and expected tensors come from the `golden/make.py` \
         of each plugin and from `tests/reference/released.py`.\n"
    )
}

/// The table of what was compared in f32.
pub(super) fn exact(outcomes: &[Outcome]) -> String {
    let mut text =
        String::from("| case | reference | tensor | shape | max\\|Δ\\| / rms |\n|---|---|---|---|---|\n");
    for o in outcomes {
        let shape: Vec<_> = o.shape.iter().map(usize::to_string).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | {} | {:.0e} |",
            o.case,
            o.reference,
            o.tensor,
            shape.join("×"),
            o.difference.relative()
        );
    }
    text
}

/// The table of what was lost in half precision, in units of what the reference loses.
pub(super) fn half(lines: &[(Precision, Shares)]) -> String {
    let mut text = String::from(
        "| precision | rms / the reference's | in the worst tensor | max\\|Δ\\| / the reference's |\n|---|---|---|---|\n",
    );
    for (precision, shares) in lines {
        let name = format!("{precision:?}").to_lowercase();
        let Shares { max, rms, .. } = shares;
        let _ = writeln!(text, "| {name} | {:.2} | {rms:.2} | {max:.2} |", shares.together());
    }
    text
}
