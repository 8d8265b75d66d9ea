//! Pictures as clients write them.

use serde_json::Value;

use crate::Failure;
use crate::picture::Written;

/// What each picture of `value` is written as, with its place in the request. A picture is a `data:` URL, an object
/// `{"image": "…"}` with one or the base64 alone, or a part of a chat `{"image_url": {"url": "data:…"}}`.
///
/// # Errors
/// [`Failure::request`]: text where a picture is meant, something else, and nothing at all.
pub(super) fn pictures<'v>(value: &'v Value, name: &str) -> Result<Vec<Written<'v>>, Failure> {
    match value {
        Value::Array(items) if items.is_empty() => {
            Err(Failure::request(name, format!("{name} holds no picture")))
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(i, item)| picture(item, format!("{name}[{i}]"))).collect()
        }
        one => Ok(vec![picture(one, name.to_owned())?]),
    }
}

fn picture(item: &Value, place: String) -> Result<Written<'_>, Failure> {
    const FORMS: &str = "a picture reads `data:image/png;base64,…` or {\"image\": \"…base64…\"}";
    let wrong = |what: &str| Err(Failure::request(&place, format!("{place}: {what}; {FORMS}")));
    match item {
        Value::String(text) if text.starts_with("data:") || text.contains("://") => Ok((place, text)),
        Value::String(_) => wrong("text, for which encoders of pictures have no vector"),
        Value::Object(_) => match item["image"].as_str().or_else(|| url(item)) {
            Some(text) => Ok((place, text)),
            None => wrong("an object without `image` and `image_url`"),
        },
        _ => wrong("neither text nor an object"),
    }
}

/// The address in `{"image_url": {"url": "…"}}`, or in `{"image_url": "…"}`, which some clients write.
pub(super) fn url(part: &Value) -> Option<&str> {
    let address = &part["image_url"];
    address["url"].as_str().or_else(|| address.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: &Value, expected: Result<&[(&str, &str)], &str>) {
        match (pictures(value, "input"), expected) {
            (Ok(found), Ok(expected)) => {
                let found: Vec<(&str, &str)> =
                    found.iter().map(|(place, text)| (place.as_str(), *text)).collect();
                assert_eq!(found, expected);
            }
            (Err(failure), Err(part)) => assert!(failure.message.contains(part), "{failure}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn pictures_come_in_the_ways_of_all_clients() {
        check(&json!("data:a"), Ok(&[("input", "data:a")]));
        check(&json!([{ "image": "AAAA" }, "data:b"]), Ok(&[("input[0]", "AAAA"), ("input[1]", "data:b")]));
        let part = json!([{ "type": "image_url", "image_url": { "url": "data:c" } }]);
        check(&part, Ok(&[("input[0]", "data:c")]));
        check(&json!([]), Err("input holds no picture"));
        check(&json!(["data:a", "a cat"]), Err("input[1]: text, for which"));
        check(&json!({ "picture": 1 }), Err("without `image`"));
        check(&json!(7), Err("input: neither"));
    }
}
