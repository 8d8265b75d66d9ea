//! The pictures of sections.

use std::path::Path;

use zoo_records::Picture;

use super::{Kept, Shown};
use crate::pages::Link;
use crate::run::Run;
use crate::sections::{Figure, Section};
use crate::{Error, Result, files};

/// Gets every picture of every section, and keeps what is said about it beside it.
pub(crate) fn pictures(run: &mut Run<'_>) -> Result<()> {
    let pages = run.made("pages")?;
    run.each("pictures", &pages, |run, path| {
        let page: Kept = files::read(path)?;
        let mut failed = None;
        for section in &page.sections {
            for figure in &section.images {
                match picture(run, &page, section, figure) {
                    // The others of the page are still wanted; this one is told of at the end.
                    Err(error) if error.is_of_one() => failed = Some(error),
                    other => other?,
                }
            }
        }
        failed.map_or(Ok(()), Err)
    })
}

fn picture(run: &mut Run<'_>, page: &Kept, section: &Section, figure: &Figure) -> Result<()> {
    // By what is known before it is taken: so that a picture which was taken, or refused, is not asked for again.
    let parts =
        [&page.link.url, &section.title, &section.text, &figure.url, &figure.caption].map(String::as_bytes);
    let id = files::id(&parts);
    let path = run.out().join("shown").join(format!("{id}.json"));
    if path.exists() {
        return Ok(());
    }
    let mut shown = Shown {
        id,
        page: page.link.url.clone(),
        title: page.link.title.clone(),
        subject: page.subject.clone(),
        section: section.title.clone(),
        text: section.text.clone(),
        caption: figure.caption.clone(),
        image: None,
        image_url: figure.url.clone(),
        image_licence: None,
        image_author: None,
        licence: page.licence.clone(),
        failed: None,
    };
    match take(run, &page.link, figure) {
        Ok((name, taken)) => {
            shown.image = Some(name);
            shown.image_url = taken.url;
            shown.image_licence = taken.licence;
            shown.image_author = taken.author;
        }
        // What is refused stays refused. What a server did not manage is tried again by the next run.
        Err(error @ Error::Refused { .. }) => shown.failed = Some(error.to_string()),
        Err(error) => return Err(error),
    }
    files::write_json(&path, &shown)
}

/// Takes a picture and keeps it under the name of its content.
fn take(run: &mut Run<'_>, link: &Link, figure: &Figure) -> Result<(String, crate::pages::Taken)> {
    let taken = run.picture(link, &figure.url)?;
    let extension = Picture::extension(&taken.bytes);
    if extension == "bin" {
        let why = "this is no JPEG, PNG, GIF, WebP, TIFF or BMP (drawings in SVG are not taken)";
        return Err(Error::Refused { url: taken.url, why: why.to_owned() });
    }
    let name = format!("images/{}.{extension}", files::id(&[&taken.bytes]));
    let path = run.out().join(Path::new(&name));
    if !path.exists() {
        files::write(&path, &taken.bytes)?;
    }
    Ok((name, taken))
}
