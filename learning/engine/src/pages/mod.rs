//! Where pages come from.

mod dump;
mod folder;
mod mediawiki;

use serde::{Deserialize, Serialize};

pub(crate) use dump::Dump;
pub(crate) use folder::Folder;
pub(crate) use mediawiki::MediaWiki;

use crate::Result;
use crate::net::Net;

/// A page that was found for a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub title: String,
    /// Its address; what names it, too.
    pub url: String,
}

/// A page.
pub(crate) struct Page {
    pub html: String,
    /// The licence of its text, where it is known.
    pub licence: Option<String>,
}

/// A picture of a page.
pub(crate) struct Taken {
    pub bytes: Vec<u8>,
    /// Where it is from.
    pub url: String,
    pub licence: Option<String>,
    pub author: Option<String>,
}

/// A source of pages.
pub(crate) trait Source {
    /// The pages about a topic, the best ones first.
    fn find(&mut self, net: &mut Net<'_>, topic: &str, most: usize) -> Result<Vec<Link>>;
    fn page(&mut self, net: &mut Net<'_>, link: &Link) -> Result<Page>;
    /// The picture that a page calls `url`.
    fn picture(&mut self, net: &mut Net<'_>, link: &Link, url: &str) -> Result<Taken>;
}

/// How well a title fits a topic: the share of the topic's words in it; of equal ones the shorter title is better.
pub(crate) fn fit(topic: &str, title: &str) -> Option<(usize, std::cmp::Reverse<usize>)> {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2);
        words.map(str::to_lowercase).collect()
    };
    let (topic, title) = (words(topic), words(title));
    let common = topic.iter().filter(|word| title.contains(word)).count();
    // Half of the words at least.
    (common > 0 && 2 * common >= topic.len()).then_some((common, std::cmp::Reverse(title.len())))
}

/// The address that `reference` means on the page `base`.
pub(crate) fn absolute(base: &str, reference: &str) -> String {
    let scheme = base.split("://").next().unwrap_or("https");
    if reference.contains("://") {
        return reference.to_owned();
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return format!("{scheme}://{rest}");
    }
    let origin: String = base.split('/').take(3).collect::<Vec<_>>().join("/");
    match reference.strip_prefix('/') {
        Some(rest) => format!("{origin}/{rest}"),
        None => {
            let folder = base.rfind('/').filter(|at| *at >= origin.len()).map_or(base, |at| &base[..at]);
            format!("{folder}/{reference}")
        }
    }
}

/// The original behind a thumbnail of Wikimedia: `…/thumb/a/ab/Name.jpg/220px-Name.jpg` is `…/a/ab/Name.jpg`.
pub(crate) fn original(url: &str) -> String {
    let Some((head, tail)) = url.split_once("/thumb/") else { return url.to_owned() };
    match tail.rsplit_once('/') {
        Some((name, size)) if size.split_once("px-").is_some() => format!("{head}/{name}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_completed() {
        for (base, reference, expected) in [
            ("https://a.org/wiki/B", "//c.org/d.png", "https://c.org/d.png"),
            ("https://a.org/wiki/B", "/d.png", "https://a.org/d.png"),
            ("https://a.org/wiki/B", "d.png", "https://a.org/wiki/d.png"),
            ("https://a.org", "d.png", "https://a.org/d.png"),
            ("http://a.org/x", "https://b.org/c", "https://b.org/c"),
        ] {
            assert_eq!(absolute(base, reference), expected);
        }
        let thumb = "https://u.org/w/commons/thumb/a/ab/Bee.jpg/220px-Bee.jpg";
        assert_eq!(original(thumb), "https://u.org/w/commons/a/ab/Bee.jpg");
        assert_eq!(original("https://u.org/thumb/x"), "https://u.org/thumb/x");
    }

    #[test]
    fn titles_fit_by_their_words() {
        assert!(
            fit("Cell membrane transport", "Membrane transport")
                > fit("Cell membrane transport", "Membrane transport of everything else")
        );
        assert_eq!(fit("Cell membrane transport", "Cell"), None);
        assert_eq!(fit("Cell membrane", "Painting"), None);
    }
}
