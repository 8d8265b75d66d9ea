//! What has one right repair.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use walkdir::WalkDir;
use zoo_language::template::IMAGE_PLACEHOLDER;
use zoo_records::{Row, Value};

use crate::record::is_image;

/// Repairs a record: `image` where there is none goes, `<image>` stands once, at the front of the first question, and a
/// path whose letters have another case, or whose folder is another one, is that of the only file that it can mean. What
/// was changed, in words.
pub(crate) fn repair(row: &mut Row, files: &Files) -> Vec<String> {
    let mut changes = Vec::new();
    let image = match row.get("image") {
        Some(Value::Text(image)) if is_image(image) => Some(image.clone()),
        Some(Value::Text(_) | Value::Null) => {
            row.fields_mut().retain(|(name, _)| name != "image");
            changes.push("`image`, which names none, was taken away".to_owned());
            None
        }
        _ => None,
    };
    let Some(image) = image else { return changes };
    if !files.root.join(&image).is_file()
        && let Some(found) = files.meant(&image)
    {
        changes.push(format!("the image `{image}` is `{found}`"));
        row.set("image", Value::Text(found));
    }
    if let Some((_, Value::List(turns))) =
        row.fields_mut().iter_mut().find(|(name, _)| name == "conversations")
    {
        changes.extend(tags(turns));
    }
    changes
}

/// Puts `<image>` where it belongs, if that is wanting.
fn tags(turns: &mut [Value]) -> Option<String> {
    let mut questions: Vec<&mut String> = turns.iter_mut().filter_map(question).collect();
    let tagged = questions.iter().filter(|text| text.contains(IMAGE_PLACEHOLDER)).count();
    let change = match tagged {
        1 => return None,
        0 => format!("`{IMAGE_PLACEHOLDER}` was put before the first question"),
        _ => format!("`{IMAGE_PLACEHOLDER}` stood in {tagged} turns and stands in the first"),
    };
    for text in &mut questions {
        if text.contains(IMAGE_PLACEHOLDER) {
            **text = text.replace(IMAGE_PLACEHOLDER, "").trim().to_owned();
        }
    }
    let first = questions.first_mut()?;
    **first = format!("{IMAGE_PLACEHOLDER}\n{first}");
    Some(change)
}

/// The text of a turn of the user.
fn question(turn: &mut Value) -> Option<&mut String> {
    let Value::Map(fields) = turn else { return None };
    let user = fields
        .iter()
        .any(|(name, value)| name == "from" && matches!(value.as_text(), Some("human" | "user")));
    match fields.iter_mut().find(|(name, _)| name == "value") {
        Some((_, Value::Text(text))) if user => Some(text),
        _ => None,
    }
}

/// The files of a folder of images, looked at only when a path leads nowhere.
pub(crate) struct Files {
    root: PathBuf,
    names: OnceLock<Option<HashMap<String, Option<String>>>>,
}

/// Files of a folder that are kept by name; a larger folder is not looked through.
const MOST: usize = 2_000_000;

impl Files {
    pub fn of(root: &Path) -> Self {
        Self { root: root.to_owned(), names: OnceLock::new() }
    }

    /// The only file that a path can mean.
    fn meant(&self, path: &str) -> Option<String> {
        self.other_case(path).or_else(|| {
            let name = Path::new(path).file_name()?.to_str()?.to_lowercase();
            let names = self.names.get_or_init(|| self.names());
            names.as_ref()?.get(&name)?.clone()
        })
    }

    /// Part by part, the only entry that differs in the case of letters alone.
    fn other_case(&self, path: &str) -> Option<String> {
        let mut out = PathBuf::new();
        for part in Path::new(path).components() {
            let Component::Normal(part) = part else { return None };
            if self.root.join(&out).join(part).exists() {
                out.push(part);
                continue;
            }
            let wanted = part.to_str()?.to_lowercase();
            let mut like = std::fs::read_dir(self.root.join(&out))
                .ok()?
                .flatten()
                .filter(|entry| entry.file_name().to_str().is_some_and(|name| name.to_lowercase() == wanted));
            let only = like.next()?;
            if like.next().is_some() {
                return None;
            }
            out.push(only.file_name());
        }
        self.root.join(&out).is_file().then(|| out.to_str().map(|path| path.replace('\\', "/")))?
    }

    /// Where each name is, if it is in one place only.
    fn names(&self) -> Option<HashMap<String, Option<String>>> {
        let mut out: HashMap<String, Option<String>> = HashMap::new();
        for entry in
            WalkDir::new(&self.root).into_iter().flatten().filter(|entry| entry.file_type().is_file())
        {
            if out.len() >= MOST {
                return None;
            }
            let path = entry.path().strip_prefix(&self.root).ok()?;
            let Some(text) = path.to_str() else { continue };
            let name = entry.file_name().to_string_lossy().to_lowercase();
            out.entry(name)
                .and_modify(|other| *other = None)
                .or_insert_with(|| Some(text.replace('\\', "/")));
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zoo_records::{Place, Spot};

    #[track_caller]
    fn check(before: &str, after: &str, changes: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["Coco/a.JPG", "deep/er/b.png", "twice/c.png", "other/c.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let Value::Map(fields) = Value::parse(before.as_bytes()).unwrap() else { panic!("{before}") };
        let place = Place { path: Path::new("x").into(), spot: Spot::Line(1) };
        let mut row = Row::new(place, folder.path(), fields);
        let got = repair(&mut row, &Files::of(folder.path()));
        assert_eq!(row.json(), after);
        assert_eq!(got.len(), changes.len(), "{got:?}");
        for (got, expected) in got.iter().zip(changes) {
            assert!(got.contains(expected), "{got}");
        }
        // What is repaired needs no repair.
        assert_eq!(repair(&mut row, &Files::of(folder.path())), Vec::<String>::new());
    }

    #[test]
    fn each_defect_with_one_right_repair() {
        let said = |image: &str, turns: &[(&str, &str)]| {
            let turns: Vec<_> = turns
                .iter()
                .map(|(from, value)| format!(r#"{{"from":"{from}","value":"{value}"}}"#))
                .collect();
            format!(r#"{{{image}"conversations":[{}]}}"#, turns.join(","))
        };
        let plain = [("human", "q"), ("gpt", "a")];
        let shown = [("human", r"<image>\nq"), ("gpt", "a")];
        for none in [r#""image":"","#, r#""image":null,"#, r#""image":"nan","#] {
            check(&said(none, &plain), &said("", &plain), &["taken away"]);
        }
        let image = r#""image":"Coco/a.JPG","#;
        check(&said(image, &plain), &said(image, &shown), &["before the first question"]);
        check(&said(image, &shown), &said(image, &shown), &[]);
        check(
            &said(image, &[("human", "<image>q"), ("gpt", "a"), ("human", "more<image>"), ("gpt", "b")]),
            &said(image, &[("human", r"<image>\nq"), ("gpt", "a"), ("human", "more"), ("gpt", "b")]),
            &["in 2 turns"],
        );
        check(&said(r#""image":"coco/A.jpg","#, &shown), &said(image, &shown), &["is `Coco/a.JPG`"]);
        let deep = r#""image":"deep/er/b.png","#;
        check(&said(r#""image":"lost/b.png","#, &shown), &said(deep, &shown), &["is `deep/er/b.png`"]);
        // Two files of that name: nobody can tell.
        let twice = r#""image":"lost/c.png","#;
        check(&said(twice, &shown), &said(twice, &shown), &[]);
    }
}
