//! From topics to pages, and from pages to sections.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::topics::{self, Topics};
use super::{Kept, Subject};
use crate::fields::Field;
use crate::pages::Link;
use crate::run::Run;
use crate::sections::sections;
use crate::{Result, files};

/// Pages of each topic of a subfield.
type Links = BTreeMap<String, Vec<Link>>;

fn file(run: &Run<'_>, field: &str, subfield: &str) -> PathBuf {
    run.out().join("links").join(files::named(field)).join(format!("{}.json", files::named(subfield)))
}

/// Field, subfield and topics of everything that the stage before made.
fn subfields(run: &Run<'_>, fields: &[Field]) -> Result<Vec<(String, String, Vec<String>)>> {
    let mut out = Vec::new();
    for field in fields {
        let path = topics::file(run, field);
        if path.exists() {
            let topics: Topics = files::read(&path)?;
            out.extend(topics.into_iter().map(|(subfield, topics)| (field.name.clone(), subfield, topics)));
        }
    }
    Ok(out)
}

/// Looks for pages about every topic.
pub(crate) fn links(run: &mut Run<'_>, fields: &[Field]) -> Result<()> {
    let work = subfields(run, fields)?;
    run.each("links", &work, |run, (field, subfield, topics)| {
        let path = file(run, field, subfield);
        let mut links: Links = if path.exists() { files::read(&path)? } else { Links::new() };
        for topic in topics {
            if links.contains_key(topic) {
                continue;
            }
            let found = run.find(topic)?;
            links.insert(topic.clone(), found);
            // After each topic: what was searched for is not searched for again.
            files::write_json(&path, &links)?;
        }
        Ok(())
    })
}

/// Reads the pages, each once: the first topic that leads to it has it.
pub(crate) fn pages(run: &mut Run<'_>, fields: &[Field]) -> Result<()> {
    let mut work: Vec<(Subject, Link)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (field, subfield, topics) in subfields(run, fields)? {
        let path = file(run, &field, &subfield);
        if !path.exists() {
            continue;
        }
        let mut links: Links = files::read(&path)?;
        for topic in topics {
            for link in links.remove(&topic).unwrap_or_default() {
                if seen.insert(link.url.clone()) {
                    let subject =
                        Subject { field: field.clone(), subfield: subfield.clone(), topic: topic.clone() };
                    work.push((subject, link));
                }
            }
        }
    }
    run.each("pages", &work, |run, (subject, link)| {
        let path = run.out().join("pages").join(format!("{}.json", files::id(&[link.url.as_bytes()])));
        if path.exists() {
            return Ok(());
        }
        let page = run.page(link)?;
        let mut kept = sections(&page.html);
        kept.retain(|section| section.text.split_whitespace().count() >= run.plan.words);
        let (link, subject) = (link.clone(), subject.clone());
        files::write_json(&path, &Kept { link, subject, licence: page.licence, sections: kept, failed: None })
    })
}
