//! From what was typed as inputs to a list of files: files, folders and globs, in an order that is the same on
//! every machine.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use walkdir::{DirEntry, WalkDir};

/// Extensions that are looked for in folders. A file that is named itself may have any: its contents decide.
const IMAGES: [&str; 9] = ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "jfif"];

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// An image.
    Image,
    /// Normalised pixels in a `.safetensors` file.
    Pixels,
}

/// One input file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Its name in outputs: as below the folder or the glob's fixed part that it was found in, with `/`.
    pub name: String,
    /// What it holds.
    pub contents: Contents,
}

/// An argument that led to nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInput {
    /// As typed.
    pub input: String,
    /// What is wrong with it.
    pub error: String,
}

/// Every file that `arguments` stand for: in the order of the arguments, sorted by path within a folder or glob.
pub fn expand(arguments: &[String]) -> (Vec<Input>, Vec<BadInput>) {
    let (mut files, mut bad) = (Vec::new(), Vec::new());
    for argument in arguments {
        match one(argument) {
            Ok(found) => files.extend(found),
            Err(error) => bad.push(BadInput { input: argument.clone(), error }),
        }
    }
    (files, bad)
}

fn one(argument: &str) -> Result<Vec<Input>, String> {
    let path = Path::new(argument);
    if path.is_file() {
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        return Ok(vec![Input { path: path.to_path_buf(), name, contents: contents(path) }]);
    }
    if path.is_dir() {
        let found = walk(path, &|below| IMAGES.contains(&extension(below).as_str()))?;
        return some(found, || format!("no images in this folder (looked for {})", IMAGES.join(", ")));
    }
    if !argument.contains(['*', '?', '[', '{']) {
        return Err("no such file or folder".into());
    }
    let root = fixed_part(path);
    let pattern = path.strip_prefix(&root).unwrap_or(path).to_string_lossy().into_owned();
    let matcher = matcher(&pattern)?;
    let start = if root.as_os_str().is_empty() { Path::new(".") } else { &root };
    if !start.is_dir() {
        return Err(format!("there is no folder {}", start.display()));
    }
    some(walk(start, &|below| matcher.is_match(below))?, || "no file matches this pattern".into())
}

fn some(found: Vec<Input>, otherwise: impl FnOnce() -> String) -> Result<Vec<Input>, String> {
    if found.is_empty() { Err(otherwise()) } else { Ok(found) }
}

/// Files below `root` whose path below it is `wanted`; hidden files and folders are passed over.
fn walk(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<Input>, String> {
    let visible =
        |entry: &DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    let mut found = Vec::new();
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(visible) {
        let entry = entry.map_err(|e| e.to_string())?;
        let below = entry.path().strip_prefix(root).unwrap_or(entry.path());
        if entry.file_type().is_file() && wanted(below) {
            let name =
                below.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/");
            let path = if root == Path::new(".") { below.to_path_buf() } else { entry.path().to_path_buf() };
            found.push(Input { contents: contents(&path), path, name });
        }
    }
    Ok(found)
}

fn matcher(pattern: &str) -> Result<GlobMatcher, String> {
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    Ok(glob.map_err(|e| format!("this is no glob: {}", e.kind()))?.compile_matcher())
}

/// The leading folders of a glob that hold no wildcard.
fn fixed_part(path: &Path) -> PathBuf {
    let plain = |c: &Component<'_>| !c.as_os_str().to_string_lossy().contains(['*', '?', '[', '{']);
    path.components().take_while(plain).collect()
}

fn contents(path: &Path) -> Contents {
    if extension(path) == "safetensors" { Contents::Pixels } else { Contents::Image }
}

fn extension(path: &Path) -> String {
    path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.webp", "sub/deep/d.gif", ".git/e.png"]
        {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(folder: &tempfile::TempDir, arguments: &[&str]) -> Vec<String> {
        let arguments: Vec<String> =
            arguments.iter().map(|a| folder.path().join(a).display().to_string()).collect();
        let (files, bad) = expand(&arguments);
        assert_eq!(bad, []);
        files.into_iter().map(|f| f.name).collect()
    }

    #[test]
    fn folders_are_searched_in_order_and_hidden_files_are_not() {
        assert_eq!(names(&folder(), &[""]), ["a.JPG", "b.png", "sub/c.webp", "sub/deep/d.gif"]);
    }

    #[test]
    fn globs_stay_within_a_folder_unless_told_otherwise() {
        assert_eq!(names(&folder(), &["*"]), ["a.JPG", "b.png", "notes.txt"]);
        assert_eq!(names(&folder(), &["*.{png,webp}"]), ["b.png"]);
        assert_eq!(names(&folder(), &["**/*.{gif,webp}"]), ["sub/c.webp", "sub/deep/d.gif"]);
        assert_eq!(names(&folder(), &["sub/*.webp"]), ["c.webp"]);
    }

    #[test]
    fn arguments_keep_their_order_and_named_files_are_taken_as_they_are() {
        assert_eq!(names(&folder(), &["b.png", "notes.txt", "a.JPG"]), ["b.png", "notes.txt", "a.JPG"]);
    }

    #[test]
    fn what_leads_to_nothing_says_why() {
        let folder = folder();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir(path("empty")).unwrap();
        let (files, bad) = expand(&[path("none.png"), path("empty"), path("*.bmp"), path("b.png")]);
        assert_eq!(files.len(), 1);
        let errors: Vec<&str> = bad.iter().map(|b| b.error.as_str()).collect();
        assert!(errors[0].contains("no such file"), "{errors:?}");
        assert!(errors[1].contains("no images"), "{errors:?}");
        assert!(errors[2].contains("no file matches"), "{errors:?}");
    }

    #[test]
    fn safetensors_hold_pixels() {
        assert_eq!(contents(Path::new("x.safetensors")), Contents::Pixels);
        assert_eq!(contents(Path::new("x.png")), Contents::Image);
    }
}
