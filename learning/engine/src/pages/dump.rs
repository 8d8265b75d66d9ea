//! Dumps on a disk: tables of pages. Pictures are not in them, and are asked for where the page says.

use std::path::PathBuf;

use zoo_records::{Indexed, Options, Row, Table, Value};

use super::{Link, Page, Source, Taken, absolute, fit, original};
use crate::net::{Net, Trust};
use crate::{Error, Result};

pub(crate) struct Dump {
    pages: Indexed,
    /// Title and address of each row; nothing where it has none.
    titles: Vec<Option<Link>>,
}

impl Dump {
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let pages = Table::open(paths, Options::default())?.index()?;
        let mut titles = Vec::with_capacity(pages.len());
        for row in 0..pages.len() {
            titles.push(pages.get(row).ok().and_then(|row| link(&row)));
        }
        match titles.iter().any(Option::is_some) {
            true => Ok(Self { pages, titles }),
            false => {
                let path = paths.first().cloned().unwrap_or_default();
                Err(Error::file(&path, "no row has `title` (or `name`) and `url`; is this a dump of pages?"))
            }
        }
    }
}

fn link(row: &Row) -> Option<Link> {
    let text = |name: &str| row.maybe_text(name).ok().flatten();
    Some(Link { title: text("title").or_else(|| text("name"))?, url: text("url")? })
}

impl Source for Dump {
    fn find(&mut self, _: &mut Net<'_>, topic: &str, most: usize) -> Result<Vec<Link>> {
        let fits = self.titles.iter().flatten().filter_map(|link| Some((fit(topic, &link.title)?, link)));
        let mut fits: Vec<_> = fits.collect();
        fits.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.title.cmp(&b.1.title)));
        Ok(fits.into_iter().take(most).map(|(_, link)| link.clone()).collect())
    }

    fn page(&mut self, _: &mut Net<'_>, link: &Link) -> Result<Page> {
        let row = self.titles.iter().position(|other| other.as_ref() == Some(link));
        let gone = || Error::Remote { url: link.url.clone(), why: "the dump has no such page".to_owned() };
        let row = self.pages.get(row.ok_or_else(gone)?)?;
        let html = match row.get("article_body").and_then(|body| body.get("html")).and_then(Value::as_text) {
            Some(html) => html.to_owned(),
            None => row.text("html")?,
        };
        let licence = match row.get("license") {
            Some(Value::List(list)) => {
                list.first().and_then(|licence| licence.get("name")).and_then(Value::as_text)
            }
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        Ok(Page { html, licence: licence.map(str::to_owned) })
    }

    fn picture(&mut self, net: &mut Net<'_>, link: &Link, url: &str) -> Result<Taken> {
        let url = original(&absolute(&link.url, url));
        Ok(Taken { bytes: net.get(&url, Trust::Found)?.bytes, url, licence: None, author: None })
    }
}
