//! One value of a row.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value as Json};

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing; also the empty values of CSV.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A whole number, at least of the range of `i64` and `u64`.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes, most often a picture.
    Bytes(Vec<u8>),
    /// Values in order.
    List(Vec<Value>),
    /// Values with names, in their order.
    Map(Vec<(String, Value)>),
}

/// How bytes are written in JSON, which has none.
pub(crate) const BYTES: &str = "$bytes";

/// How numbers are written that JSON has not, or that its usual readers round.
pub(crate) const NUMBER: &str = "$number";

impl Value {
    /// What messages call its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// Bytes of memory that it takes, roughly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.iter().map(Self::bytes).sum(),
            Self::Map(fields) => fields.iter().map(|(name, value)| name.len() + value.bytes()).sum(),
            _ => 8,
        }
    }

    /// The text, where it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The list, where it is one.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// A value of an object, by name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(fields) => fields.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// As JSON, from which [`Value::from`] makes the same value again. Bytes become `{"$bytes": "<base64>"}`; infinities,
    /// NaN and whole numbers of more than 64 bits `{"$number": "<digits>"}`.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(b) => Json::Bool(*b),
            Self::Int(i) => match (i64::try_from(*i), u64::try_from(*i)) {
                (Ok(i), _) => Json::Number(i.into()),
                (_, Ok(u)) => Json::Number(u.into()),
                _ => tagged(NUMBER, i.to_string()),
            },
            Self::Float(f) => {
                Number::from_f64(*f).map_or_else(|| tagged(NUMBER, f.to_string()), Json::Number)
            }
            Self::Text(text) => Json::String(text.clone()),
            Self::Bytes(bytes) => tagged(BYTES, STANDARD.encode(bytes)),
            Self::List(list) => Json::Array(list.iter().map(Self::to_json).collect()),
            Self::Map(fields) => Json::Object(object(fields)),
        }
    }

    /// Reads JSON as people publish it: numbers are exact to the last bit, and the words that Python writes for what is
    /// no number (`NaN`, `Infinity`, `-Infinity`) are numbers too.
    ///
    /// # Errors
    /// What is wrong, with its place in `text`.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        match serde_json::from_slice::<Json>(&numbers(text)) {
            Ok(json) => Ok(Self::from(json)),
            // Said of the text as it stands, not of what was made of it.
            Err(error) => serde_json::from_slice::<Json>(text).map(Self::from).and(Err(error)),
        }
    }
}

/// Named values as a JSON object.
pub(crate) fn object(fields: &[(String, Value)]) -> Map<String, Json> {
    fields.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

fn tagged(tag: &str, text: String) -> Json {
    Json::Object(Map::from_iter([(tag.to_owned(), Json::String(text))]))
}

/// Puts numbers that a JSON reader rounds or refuses into `{"$number": "…"}`; most texts have none.
fn numbers(text: &[u8]) -> Cow<'_, [u8]> {
    // Any number of so few characters is read exactly.
    const SHORT: usize = 15;
    let (mut out, mut kept, mut at) = (Vec::new(), 0, 0);
    while let Some(&byte) = text.get(at) {
        let start = at;
        match byte {
            b'"' => {
                at += 1;
                while let Some(&byte) = text.get(at) {
                    at += 1 + usize::from(byte == b'\\');
                    if byte == b'"' {
                        break;
                    }
                }
                continue;
            }
            b'-' | b'0'..=b'9' | b'N' | b'I' => {
                let part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'-' | b'+' | b'.');
                at += text[at..].iter().take_while(part).count();
            }
            _ => {
                at += 1;
                continue;
            }
        }
        let token = &text[start..at];
        let exponent = token.iter().any(|b| matches!(b, b'e' | b'E'));
        if (token.len() > SHORT || exponent || token.ends_with(b"y") || token == b"NaN")
            && std::str::from_utf8(token).is_ok_and(|token| number(token).is_some())
        {
            out.extend_from_slice(&text[kept..start]);
            out.extend_from_slice(format!("{{\"{NUMBER}\":\"").as_bytes());
            out.extend_from_slice(token);
            out.extend_from_slice(b"\"}");
            kept = at;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[kept..]);
    Cow::Owned(out)
}

/// A number as JSON, Python or [`f64`] writes it.
fn number(token: &str) -> Option<Value> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    match digits {
        "NaN" => return Some(Value::Float(f64::NAN)),
        "Infinity" | "inf" => {
            return Some(Value::Float(if token.starts_with('-') {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            }));
        }
        _ => {}
    }
    // As JSON has them: a digit first, no zero before others.
    let first = digits.bytes().next()?;
    let other = |b: u8| !(b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.' | b'e' | b'E'));
    if !first.is_ascii_digit() || digits.bytes().any(other) || digits.ends_with('.') {
        return None;
    }
    if first == b'0' && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) && token != "-0" {
        return token.parse().map(Value::Int).or_else(|_| token.parse().map(Value::Float)).ok();
    }
    token.parse().ok().map(Value::Float)
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(b),
            Json::Number(n) => match n.as_i128() {
                Some(i) => Self::Int(i),
                None => Self::Float(n.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Json::Object(fields) => {
                let tag = |tag: &str| match fields.get(tag) {
                    Some(Json::String(text)) if fields.len() == 1 => Some(text),
                    _ => None,
                };
                if let Some(bytes) = tag(BYTES).and_then(|text| STANDARD.decode(text).ok()) {
                    return Self::Bytes(bytes);
                }
                if let Some(number) = tag(NUMBER).and_then(|text| number(text)) {
                    return number;
                }
                Self::Map(fields.into_iter().map(|(k, v)| (k, Self::from(v))).collect())
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_exact_to_the_last_bit() {
        for (text, expected) in [
            ("0.1", Value::Float(0.1)),
            ("1", Value::Int(1)),
            ("-9223372036854775808", Value::Int(i64::MIN.into())),
            ("18446744073709551615", Value::Int(u64::MAX.into())),
            ("123456789012345678901234567890", Value::Int(123456789012345678901234567890)),
            ("1e3", Value::Float(1000.0)),
            ("51.24817837550540_4".replace('_', "").as_str(), Value::Float(51.248178375505404)),
            ("2.2250738585072011e-308", Value::Float(2.225_073_858_507_201e-308)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
            (r#"["NaN", "1e400", 2]"#, Value::List(vec!["NaN".into(), "1e400".into(), Value::Int(2)])),
            (r#"{"1e5\\": "\" 1e6"}"#, Value::Map(vec![("1e5\\".into(), "\" 1e6".into())])),
        ] {
            let got = Value::parse(text.as_bytes()).unwrap();
            assert_eq!(got, expected, "{text}");
            assert_eq!(Value::parse(got.to_json().to_string().as_bytes()).unwrap(), expected, "{text}");
        }
        assert!(matches!(Value::parse(b"NaN").unwrap(), Value::Float(f) if f.is_nan()));
    }

    #[test]
    fn what_is_no_json_is_told_in_its_place() {
        for (text, expected) in [
            ("[1e5, 00000000000000001]", "line 1 column 8"),
            ("[12345678901234567890.]", "column"),
            ("[0.12345678901234567, nope]", "line 1 column 24"),
            ("[Nothing]", "expected value"),
            ("{\"a\": 1e5", "EOF"),
        ] {
            let message = Value::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn bytes_survive_json() {
        let value = Value::Map(vec![("a".into(), Value::List(vec![Value::Bytes(vec![0, 255])]))]);
        let text = value.to_json().to_string();
        assert_eq!(text, r#"{"a":[{"$bytes":"AP8="}]}"#);
        assert_eq!(Value::parse(text.as_bytes()).unwrap(), value);
    }
}
