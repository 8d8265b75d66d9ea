//! Sections of a page: what stands between two headings, text and pictures.
//!
//! As in the paper's scripts: headings from `h2` on; nothing under a heading with "history" in it until the next `h2`;
//! paragraphs are text; a picture is a `figure` or an element of class `thumb` with its caption. Unlike there, what
//! follows the last heading is read, too.

use scraper::{ElementRef, Html, Node, Selector};
use serde::{Deserialize, Serialize};

/// A picture of a section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// Its address, as the page has it.
    pub url: String,
    /// Its caption; empty where it has none.
    pub caption: String,
}

/// What stands under a heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The text of its paragraphs, one a line.
    pub text: String,
    /// Its pictures.
    pub images: Vec<Figure>,
}

/// The sections of a page that have both text and pictures.
pub fn sections(html: &str) -> Vec<Section> {
    let page = Html::parse_document(html);
    let mut out: Vec<Section> = Vec::new();
    let mut open: Option<Section> = None;
    let mut skipping = false;
    for element in page.tree.root().descendants().filter_map(ElementRef::wrap) {
        let name = element.value().name();
        match name {
            "h2" | "h3" | "h4" | "h5" | "h6" => {
                out.extend(open.take());
                let title = text(element).trim_end_matches("[edit]").trim().to_owned();
                skipping &= name != "h2";
                skipping |= title.to_lowercase().contains("history");
                open = (!skipping).then(|| Section { title, text: String::new(), images: Vec::new() });
            }
            "p" if !within(element, is_picture) => {
                let said = text(element);
                if let Some(section) = open.as_mut().filter(|_| !said.is_empty()) {
                    if !section.text.is_empty() {
                        section.text.push('\n');
                    }
                    section.text.push_str(&said);
                }
            }
            _ if is_picture(element) && !within(element, is_picture) => {
                if let (Some(section), Some(figure)) = (&mut open, figure(element)) {
                    section.images.push(figure);
                }
            }
            _ => {}
        }
    }
    out.extend(open);
    out.retain(|section| !section.text.is_empty() && !section.images.is_empty());
    out
}

/// What a page says of itself in its head: title, address, licence.
pub(crate) fn head(html: &str) -> (Option<String>, Option<String>, Option<String>) {
    let page = Html::parse_document(html);
    let first = |selector: &str, attribute: Option<&str>| {
        let selector = Selector::parse(selector).ok()?;
        let element = page.select(&selector).next()?;
        let said = match attribute {
            Some(attribute) => element.value().attr(attribute)?.trim().to_owned(),
            None => text(element),
        };
        (!said.is_empty()).then_some(said)
    };
    (
        first("title", None).or_else(|| first("h1", None)),
        first("link[rel=canonical]", Some("href")),
        first("link[rel=license], a[rel=license]", Some("href")),
    )
}

fn is_picture(element: ElementRef<'_>) -> bool {
    element.value().name() == "figure" || element.value().classes().any(|class| class == "thumb")
}

fn within(element: ElementRef<'_>, of: fn(ElementRef<'_>) -> bool) -> bool {
    element.ancestors().filter_map(ElementRef::wrap).any(of)
}

fn figure(element: ElementRef<'_>) -> Option<Figure> {
    let inside = || element.descendants().filter_map(ElementRef::wrap);
    let image = inside().find(|inner| inner.value().name() == "img")?;
    let url = image.value().attr("src").filter(|src| !src.trim().is_empty())?;
    let caption = inside().find(|inner| inner.value().name() == "figcaption").or_else(|| {
        inside().find(|inner| inner.value().attr("class").is_some_and(|class| class.contains("thumbcaption")))
    });
    Some(Figure { url: url.trim().to_owned(), caption: caption.map(text).unwrap_or_default() })
}

/// The words of an element, without scripts, styles and marks of references.
fn text(element: ElementRef<'_>) -> String {
    let mut out = String::new();
    for node in element.descendants() {
        let Node::Text(part) = node.value() else { continue };
        let hidden = node
            .ancestors()
            .filter_map(ElementRef::wrap)
            .take_while(|outer| outer.id() != element.id())
            .any(|outer| {
                matches!(outer.value().name(), "style" | "script")
                    || outer.value().classes().any(|class| matches!(class, "reference" | "mw-editsection"))
            });
        if !hidden {
            out.push_str(part);
        }
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Title, text, and address and caption of each picture.
    type Expected<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

    #[track_caller]
    fn check(html: &str, expected: &[Expected<'_>]) {
        let got = sections(html);
        let expected: Vec<Section> = expected
            .iter()
            .map(|(title, text, images)| Section {
                title: (*title).into(),
                text: (*text).into(),
                images: images
                    .iter()
                    .map(|(url, caption)| Figure { url: (*url).into(), caption: (*caption).into() })
                    .collect(),
            })
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn sections_have_text_and_pictures() {
        check(
            "<p>before</p><h2>One<span class=mw-editsection>[edit]</span></h2><p>Text <b>here</b><sup class=reference>[1]\
             </sup>.</p><figure><img src='//a/b.png'><figcaption>A <i>bee</i></figcaption></figure><p>More</p>\
             <h3>Without a picture</h3><p>text</p><h3>Without text</h3><figure><img src=x></figure>\
             <h2>Two</h2><div class='thumb tright'><div><img src=c.jpg><div class=thumbcaption>Cap</div></div></div><p>End</p>",
            &[("One", "Text here.\nMore", &[("//a/b.png", "A bee")]), ("Two", "End", &[("c.jpg", "Cap")])],
        );
        check(
            "<h2>History of it</h2><p>a</p><figure><img src=x></figure><h3>Deep</h3><p>b</p><figure><img src=y></figure>\
             <h2>After</h2><p>c</p><figure><img src=z><p>inside</p></figure>",
            &[("After", "c", &[("z", "")])],
        );
        check("", &[]);
        check("<h2>x</h2><p>y<figure><img></figure>", &[]);
        check(&format!("{}<h2>x", "<div>".repeat(3000)), &[]);
    }

    #[test]
    fn a_page_says_what_it_is() {
        let html =
            "<title> T </title><link rel=canonical href='https://a/b'><a rel=license href='https://l'>x</a>";
        assert_eq!(head(html), (Some("T".into()), Some("https://a/b".into()), Some("https://l".into())));
        assert_eq!(head("<h1>H</h1>"), (Some("H".into()), None, None));
    }
}
