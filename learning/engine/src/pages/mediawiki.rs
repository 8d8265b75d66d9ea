//! Wikis that run MediaWiki, by their API.

use serde_json::Value;

use super::{Link, Page, Source, Taken, absolute, original};
use crate::net::{Net, Trust};
use crate::{Error, Result};

pub(crate) struct MediaWiki {
    api: String,
    /// Where articles are, and the licence of their texts; asked once.
    site: Option<(String, Option<String>)>,
}

impl MediaWiki {
    pub fn new(api: &str) -> Self {
        Self { api: api.to_owned(), site: None }
    }

    fn call(&self, net: &mut Net<'_>, parameters: &[(&str, &str)]) -> Result<Value> {
        let mut url = format!("{}?format=json&formatversion=2", self.api);
        for (key, value) in parameters {
            url.push_str(&format!("&{key}={}", escape(value)));
        }
        let answer = net.get(&url, Trust::Named)?;
        let wrong = |why: String| Error::Remote { url: url.clone(), why };
        let json: Value = serde_json::from_slice(&answer.bytes)
            .map_err(|error| wrong(format!("this is no answer of MediaWiki: {error}")))?;
        match json.get("error") {
            Some(error) => Err(wrong(error["info"].as_str().unwrap_or("an error without words").to_owned())),
            None => Ok(json),
        }
    }

    fn site(&mut self, net: &mut Net<'_>) -> Result<(String, Option<String>)> {
        if let Some(site) = &self.site {
            return Ok(site.clone());
        }
        let json =
            self.call(net, &[("action", "query"), ("meta", "siteinfo"), ("siprop", "general|rightsinfo")])?;
        let general = &json["query"]["general"];
        let server = absolute(&self.api, general["server"].as_str().unwrap_or_default());
        let path = general["articlepath"].as_str().unwrap_or("/wiki/$1");
        let licence = json["query"]["rightsinfo"]["text"].as_str().filter(|text| !text.is_empty());
        let site = (format!("{}{path}", server.trim_end_matches('/')), licence.map(str::to_owned));
        self.site = Some(site.clone());
        Ok(site)
    }
}

impl Source for MediaWiki {
    fn find(&mut self, net: &mut Net<'_>, topic: &str, most: usize) -> Result<Vec<Link>> {
        let (articles, _) = self.site(net)?;
        let most = most.to_string();
        let json = self
            .call(net, &[("action", "query"), ("list", "search"), ("srsearch", topic), ("srlimit", &most)])?;
        let found = json["query"]["search"].as_array().ok_or_else(|| Error::Remote {
            url: self.api.clone(),
            why: "the answer of a search has no list `search`".to_owned(),
        })?;
        let link = |title: &str| {
            let url = articles.replace("$1", &escape(&title.replace(' ', "_")));
            Link { title: title.to_owned(), url }
        };
        Ok(found.iter().filter_map(|entry| entry["title"].as_str()).map(link).collect())
    }

    fn page(&mut self, net: &mut Net<'_>, link: &Link) -> Result<Page> {
        let (_, licence) = self.site(net)?;
        let json = self
            .call(net, &[("action", "parse"), ("page", &link.title), ("prop", "text"), ("redirects", "1")])?;
        let html = json["parse"]["text"].as_str().ok_or_else(|| Error::Remote {
            url: link.url.clone(),
            why: "the answer has no text of a page".to_owned(),
        })?;
        Ok(Page { html: html.to_owned(), licence })
    }

    fn picture(&mut self, net: &mut Net<'_>, link: &Link, url: &str) -> Result<Taken> {
        let url = original(&absolute(&link.url, url));
        let name = url.rsplit('/').next().unwrap_or_default();
        let title = format!("File:{}", unescape(name));
        let json = self.call(
            net,
            &[("action", "query"), ("titles", &title), ("prop", "imageinfo"), ("iiprop", "extmetadata")],
        )?;
        let about = &json["query"]["pages"][0]["imageinfo"][0]["extmetadata"];
        let said = |key: &str| about[key]["value"].as_str().map(str::to_owned);
        let bytes = net.get(&url, Trust::Found)?.bytes;
        Ok(Taken { bytes, licence: said("LicenseShortName"), author: said("Artist"), url })
    }
}

/// Percent-encodes everything but what RFC 3986 leaves unreserved.
fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The text behind percent signs.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        let code = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.filter(|_| byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_addresses() {
        for name in ["Bee (insect).jpg", "é&=%+#", "%4", "100%", ""] {
            assert_eq!(unescape(&escape(name)), name);
        }
    }
}
