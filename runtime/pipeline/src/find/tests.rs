use std::fs;

use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (file, contents) in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }
    folder
}

fn some() -> tempfile::TempDir {
    folder(&[
        ("b.png", b""),
        ("a.JPG", b""),
        ("notes.txt", b"dear diary"),
        (".hidden.png", b""),
        ("sub/c.webp", b""),
        ("sub/deep/d.gif", b""),
        (".git/e.png", b""),
    ])
}

fn of(folder: &tempfile::TempDir, names: &[&str]) -> Found {
    find(&names.iter().map(|name| folder.path().join(name)).collect::<Vec<_>>())
}

#[track_caller]
fn check(folder: &tempfile::TempDir, names: &[&str], expected: &[&str]) {
    let found = of(folder, names);
    assert!(found.failures.is_empty(), "{:?}", found.failures);
    let names: Vec<_> = found.inputs.iter().map(|input| path_text(&input.name)).collect();
    assert_eq!(names, expected);
}

#[test]
fn folders_are_searched_in_order_and_hidden_files_are_not() {
    check(&some(), &[""], &["a.JPG", "b.png", "sub/c.webp", "sub/deep/d.gif"]);
}

#[test]
fn patterns_stay_within_a_folder_unless_told_otherwise() {
    check(&some(), &["*"], &["a.JPG", "b.png", "notes.txt"]);
    check(&some(), &["*.{png,webp}"], &["b.png"]);
    check(&some(), &["**/*.{gif,webp}"], &["sub/c.webp", "sub/deep/d.gif"]);
    check(&some(), &["sub/*.webp"], &["c.webp"]);
}

#[test]
fn names_keep_their_order_and_named_files_are_taken_as_they_are() {
    check(&some(), &["b.png", "notes.txt", "a.JPG"], &["b.png", "notes.txt", "a.JPG"]);
}

#[test]
fn what_leads_to_nothing_says_why() {
    let folder = some();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let found = of(&folder, &["none.png", "empty", "*.bmp", "none/*.png", "b.png"]);
    assert_eq!(found.inputs.len(), 1);
    let errors: Vec<String> = found.failures.iter().map(|f| f.error.to_string()).collect();
    assert_eq!(
        errors[..3],
        ["no such file or folder", "no images in this folder", "no file matches this pattern"]
    );
    assert!(errors[3].starts_with("there is no folder "), "{errors:?}");
}

#[test]
fn contents_decide_and_what_is_passed_over_says_why() {
    let heic: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0";
    let folder = folder(&[
        ("a.JPE", b"\xff\xd8\xff\xe0"),
        ("b", PNG),
        ("c.HEIC", heic),
        ("d.heic", heic),
        ("e.avif", b"\0\0\0\x1cftypavif\0\0\0\0"),
        ("f.txt", b"text"),
        ("g.dat", b""),
        ("h.safetensors", b"\x10\0\0\0\0\0\0\0{\"pixels\""),
        ("i.png", b"this is no image, and decoding will say so"),
        (".j.png", PNG),
        (".k", PNG),
    ]);
    let found = of(&folder, &[""]);
    let names: Vec<_> = found.inputs.iter().map(|input| path_text(&input.name)).collect();
    assert_eq!(names, ["a.JPE", "b", "i.png"]);
    let passed: Vec<(usize, &str)> =
        found.passed.iter().map(|p| (p.paths.len(), p.reason.split(';').next().unwrap())).collect();
    assert_eq!(
        passed,
        [
            (2, "this is a HEIC image"),
            (1, "this is an AVIF image"),
            (1, "this is text, not an image"),
            (1, "the file is empty"),
            (1, "this is a safetensors file"),
            (1, "hidden files are not looked at"),
        ]
    );
    assert!(found.failures.is_empty());
}

#[test]
fn safetensors_hold_pixels_whatever_they_are_called() {
    let folder = folder(&[("a.safetensors", b""), ("b", b"\x10\0\0\0\0\0\0\0{\"pixels\""), ("c.png", b"")]);
    let found = of(&folder, &["a.safetensors", "b", "c.png"]);
    let contents: Vec<Contents> = found.inputs.iter().map(|input| input.contents).collect();
    assert_eq!(contents, [Contents::Pixels, Contents::Pixels, Contents::Image]);
}

#[test]
fn in_a_list_no_letter_is_a_wildcard() {
    let folder = folder(&[("[a].png", PNG), ("a.png", PNG)]);
    let found = find_literal(&[folder.path().join("[a].png"), folder.path().join("*.png")]);
    assert_eq!(found.inputs.len(), 1);
    assert_eq!(found.failures[0].error.to_string(), "no such file or folder");
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_or_round_cost_nothing_else() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("a.png", PNG), ("sub/b.png", PNG)]);
    symlink("none.png", folder.path().join("aa.png")).unwrap();
    symlink("none", folder.path().join(".#lock")).unwrap();
    symlink("..", folder.path().join("sub/again")).unwrap();
    let found = of(&folder, &[""]);
    let names: Vec<_> = found.inputs.iter().map(|input| path_text(&input.name)).collect();
    assert_eq!(names, ["a.png", "sub/b.png"]);
    assert_eq!(found.failures.len(), 1, "{:?}", found.failures);
    assert!(found.failures[0].to_string().ends_with("aa.png: this link leads nowhere"));
    assert_eq!(found.passed[0].reason, "this link leads to a folder that it stands in");
    let found = of(&folder, &["aa.png"]);
    assert_eq!(found.failures[0].error.to_string(), "this link leads nowhere");
}

/// Who may read everything cannot be kept out; then there is nothing to test.
#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_entered_costs_nothing_else() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder(&[("a.png", PNG), ("closed/b.png", PNG), ("z.png", PNG)]);
    let closed = folder.path().join("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let enforced = fs::read_dir(&closed).is_err();
    let found = of(&folder, &[""]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(found.inputs.len(), if enforced { 2 } else { 3 });
    assert_eq!(found.failures.len(), usize::from(enforced));
    assert!(found.failures.iter().all(|f| f.to_string().contains("closed: cannot look into it")));
}

#[cfg(unix)]
#[test]
fn names_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    // Some file systems refuse such names.
    if fs::write(folder.path().join(name), PNG).is_err() {
        return;
    }
    for named in [folder.path().to_path_buf(), folder.path().join(name), folder.path().join("*.png")] {
        let found = find(&[&named]);
        assert_eq!(found.inputs.len(), 1, "{named:?}: {:?}", found.failures);
        assert_eq!(found.inputs[0].path, folder.path().join(name));
        assert_eq!(found.inputs[0].name, Path::new(name));
    }
}
