//! `tojson` as transformers has it: Python's `json.dumps(x, ensure_ascii, indent, separators, sort_keys)`.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// Lists in lists; deeper ones are refused, as Python refuses them.
const DEEPEST: usize = 128;

/// The filter.
///
/// # Errors
/// For what JSON cannot say, in Python's words.
pub(super) fn tojson(
    value: &Value,
    ensure_ascii: Option<Value>,
    indent: Option<Value>,
    separators: Option<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let given = |positional: Option<Value>, name: &str| -> Result<Option<Value>, Error> {
        let value = match positional {
            Some(value) => Some(value),
            None => named.get::<Option<Value>>(name)?,
        };
        Ok(value.filter(|value| !value.is_none() && !value.is_undefined()))
    };
    let is_set = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let ensure_ascii = is_set(given(ensure_ascii, "ensure_ascii")?);
    let sort_keys = is_set(given(None, "sort_keys")?);
    let indent = given(indent, "indent")?.map(|value| match value.as_str() {
        Some(text) => text.to_owned(),
        // `true` is 1 in Python.
        None => " ".repeat(i64::try_from(value).unwrap_or(1).clamp(0, 64) as usize),
    });
    let mut between = [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()];
    if let Some(pair) = given(separators, "separators")? {
        let pair: Vec<Value> = pair.try_iter()?.collect();
        let [item, key] = pair.as_slice() else { return Err(fault("separators are a pair".into())) };
        between = [item, key].map(|value| value.as_str().unwrap_or_default().to_owned());
    }
    named.assert_all_used()?;
    let mut writer = Writer { out: String::new(), ensure_ascii, indent, between, sort_keys };
    writer.value(value, 0)?;
    Ok(Value::from_safe_string(writer.out))
}

fn fault(message: String) -> Error {
    Error::new(ErrorKind::BadSerialization, message)
}

struct Writer {
    out: String,
    ensure_ascii: bool,
    indent: Option<String>,
    /// Between items, and between key and value.
    between: [String; 2],
    sort_keys: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(fault(format!("more than {DEEPEST} lists inside one another")));
        }
        match value.kind() {
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                let word = plain(value).ok_or_else(|| unknown(value))?;
                self.out.push_str(&word);
            }
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list('[', ']', &items, depth, |writer, item| writer.value(item, depth + 1))?;
            }
            ValueKind::Map => {
                let mut pairs = Vec::new();
                for key in value.try_iter()? {
                    let word = match key.as_str() {
                        Some(text) => text.to_owned(),
                        None => plain(&key).ok_or_else(|| unknown(&key))?,
                    };
                    pairs.push((word, value.get_item(&key)?));
                }
                if self.sort_keys {
                    pairs.sort_by(|a, b| a.0.cmp(&b.0));
                }
                self.list('{', '}', &pairs, depth, |writer, (key, item)| {
                    writer.string(key);
                    let between = writer.between[1].clone();
                    writer.out.push_str(&between);
                    writer.value(item, depth + 1)
                })?;
            }
            _ => return Err(unknown(value)),
        }
        Ok(())
    }

    fn list<T>(
        &mut self,
        open: char,
        close: char,
        items: &[T],
        depth: usize,
        each: impl Fn(&mut Self, &T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.out.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                let between = self.between[0].clone();
                self.out.push_str(&between);
            }
            self.line(depth + 1);
            each(self, item)?;
        }
        if !items.is_empty() {
            self.line(depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                c if c < ' ' || self.ensure_ascii && !(' '..='~').contains(&c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a string does not fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

fn unknown(value: &Value) -> Error {
    fault(format!("a value of type {} is not JSON serializable", value.kind()))
}

/// Whatever needs no quotes.
fn plain(value: &Value) -> Option<String> {
    match value.kind() {
        ValueKind::None => Some("null".into()),
        ValueKind::Bool => Some(if value.is_true() { "true" } else { "false" }.into()),
        ValueKind::Number if value.is_integer() => Some(value.to_string()),
        ValueKind::Number => f64::try_from(value.clone()).ok().map(float),
        _ => None,
    }
}

/// `repr` of a float, with the names that `json.dumps` gives to what is no number.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "NaN".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "Infinity" } else { "-Infinity" }.into();
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>().unwrap_or(0) {
        -4..16 => format!("{x:?}"),
        e => format!("{digits}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_are_written_as_by_python() {
        for (x, expected) in [
            (1.0, "1.0"),
            (-0.5, "-0.5"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e-5, "1.5e-05"),
            (0.0001, "0.0001"),
            (1e300, "1e+300"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(float(x), expected);
        }
    }
}
