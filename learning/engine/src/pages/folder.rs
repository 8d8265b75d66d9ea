//! HTML files of a folder. No socket is opened: their pictures are files in the folder, too.

use std::path::{Component, Path, PathBuf};

use walkdir::WalkDir;

use super::{Link, Page, Source, Taken, fit};
use crate::net::Net;
use crate::{Error, Result, sections};

pub(crate) struct Folder {
    root: PathBuf,
    pages: Vec<Link>,
}

impl Folder {
    pub fn open(root: &Path) -> Result<Self> {
        let mut pages = Vec::new();
        for entry in WalkDir::new(root).sort_by_file_name() {
            let entry = entry.map_err(|error| Error::io(root, "cannot read the folder")(error.into()))?;
            let html =
                entry.path().extension().is_some_and(|extension| extension == "html" || extension == "htm");
            if !html || !entry.file_type().is_file() {
                continue;
            }
            let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
            let name = name.to_string_lossy().replace('\\', "/");
            let (title, _, _) = sections::head(&read(entry.path())?);
            pages.push(Link { title: title.unwrap_or_else(|| name.clone()), url: name });
        }
        match pages.is_empty() {
            true => Err(Error::file(root, "there is no .html file in the folder")),
            false => Ok(Self { root: root.to_owned(), pages }),
        }
    }

    /// A file of the folder; what leads out of it is refused.
    fn inside(&self, from: &str, path: &str) -> Result<PathBuf> {
        let path = Path::new(path.split(['?', '#']).next().unwrap_or_default());
        let refused = |why: &str| Error::Refused { url: path.display().to_string(), why: why.to_owned() };
        let mut out: PathBuf = Path::new(from).parent().unwrap_or(Path::new("")).to_owned();
        for part in path.components() {
            match part {
                Component::Normal(part) => out.push(part),
                Component::CurDir => {}
                Component::ParentDir if out.pop() => {}
                _ => return Err(refused("the picture is not in the folder of the pages")),
            }
        }
        let file = self.root.join(out);
        // Links inside the folder must not lead out of it either.
        let real = file.canonicalize().map_err(Error::io(&file, "cannot read a picture"));
        let root = self.root.canonicalize().map_err(Error::io(&self.root, "cannot read the folder"))?;
        match real {
            Ok(real) if real.starts_with(&root) => Ok(real),
            Ok(_) => Err(refused("the picture is not in the folder of the pages")),
            Err(error) => Err(Error::file(&file, error.to_string())),
        }
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).map_err(Error::io(path, "cannot read a page"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Source for Folder {
    fn find(&mut self, _: &mut Net<'_>, topic: &str, most: usize) -> Result<Vec<Link>> {
        let mut fits: Vec<_> =
            self.pages.iter().filter_map(|link| Some((fit(topic, &link.title)?, link))).collect();
        fits.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.title.cmp(&b.1.title)));
        Ok(fits.into_iter().take(most).map(|(_, link)| link.clone()).collect())
    }

    fn page(&mut self, _: &mut Net<'_>, link: &Link) -> Result<Page> {
        let html = read(&self.root.join(&link.url))?;
        let (_, _, licence) = sections::head(&html);
        Ok(Page { html, licence })
    }

    fn picture(&mut self, _: &mut Net<'_>, link: &Link, url: &str) -> Result<Taken> {
        if url.contains("://") || url.starts_with("//") {
            let why = "pages of a folder have their pictures in it; nothing is downloaded for them";
            return Err(Error::Refused { url: url.to_owned(), why: why.to_owned() });
        }
        let path = self.inside(&link.url, url)?;
        let bytes = std::fs::read(&path).map_err(Error::io(&path, "cannot read a picture"))?;
        Ok(Taken { bytes, url: url.to_owned(), licence: None, author: None })
    }
}
