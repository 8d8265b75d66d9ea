//! Methods of Python's strings that templates call and `minijinja_contrib` does not have.

use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value, context};

/// A method that minijinja does not know.
///
/// # Errors
/// Of kind [`ErrorKind::UnknownMethod`] where nobody knows it.
pub(super) fn method(
    state: &mut State<'_, '_>,
    value: &Value,
    name: &str,
    args: &[Value],
) -> Result<Value, Error> {
    if let (ValueKind::String, Some(text)) = (value.kind(), value.as_str())
        && let Some(result) = string_method(text, name, args)
    {
        return result;
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

fn string_method(text: &str, name: &str, args: &[Value]) -> Option<Result<Value, Error>> {
    Some(match name {
        "partition" => part(args, |by| text.split_once(by)).map(|(by, cut)| match cut {
            Some((before, after)) => three(before, &by, after),
            None => three(text, "", ""),
        }),
        "rpartition" => part(args, |by| text.rsplit_once(by)).map(|(by, cut)| match cut {
            Some((before, after)) => three(before, &by, after),
            None => three("", "", text),
        }),
        "removeprefix" => {
            from_args(args).map(|(prefix,): (&str,)| text.strip_prefix(prefix).unwrap_or(text).into())
        }
        "removesuffix" => {
            from_args(args).map(|(suffix,): (&str,)| text.strip_suffix(suffix).unwrap_or(text).into())
        }
        "rsplit" => rsplit(text, args),
        "index" => find(args, |part| text.find(part)).and_then(|at| index(text, at)),
        "rindex" => find(args, |part| text.rfind(part)).and_then(|at| index(text, at)),
        "casefold" => from_args(args).map(|()| text.to_lowercase().into()),
        "swapcase" => from_args(args).map(|()| text.chars().map(swap).collect::<String>().into()),
        "isdecimal" => {
            from_args(args).map(|()| (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())).into())
        }
        "ljust" | "rjust" | "center" => pad(text, name, args),
        "zfill" => from_args(args).map(|(width,): (usize,)| {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            let zeros = bounded(width).saturating_sub(text.chars().count());
            format!("{sign}{}{digits}", "0".repeat(zeros)).into()
        }),
        _ => return None,
    })
}

/// A text in two.
type Cut<'t> = Option<(&'t str, &'t str)>;

/// The only argument, and a text cut at it.
fn part<'t>(args: &[Value], cut: impl Fn(&str) -> Cut<'t>) -> Result<(String, Cut<'t>), Error> {
    let (by,): (&str,) = from_args(args)?;
    if by.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "empty separator"));
    }
    Ok((by.to_owned(), cut(by)))
}

fn three(before: &str, by: &str, after: &str) -> Value {
    Tuple::from([before.into(), by.into(), after.into()] as [Value; 3]).into()
}

fn rsplit(text: &str, args: &[Value]) -> Result<Value, Error> {
    let (by, most, named): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let by = match by {
        Some(by) => Some(by),
        None => named.get("sep")?,
    };
    let most = match most {
        Some(most) => Some(most),
        None => named.get("maxsplit")?,
    };
    named.assert_all_used()?;
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX - 1);
    let mut parts: Vec<Value> =
        match by.as_ref().filter(|by| !by.is_none()).map(|by| by.as_str().unwrap_or("")) {
            Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
            Some(by) => text.rsplitn(most + 1, by).map(Value::from).collect(),
            None => {
                let (mut rest, mut parts) = (text.trim_end(), Vec::new());
                while !rest.is_empty() {
                    let cut = rest.rfind(char::is_whitespace).filter(|_| parts.len() < most);
                    let from = cut.map_or(0, |at| at + rest[at..].chars().next().map_or(0, char::len_utf8));
                    parts.push(Value::from(&rest[from..]));
                    rest = cut.map_or("", |at| rest[..at].trim_end());
                }
                parts
            }
        };
    parts.reverse();
    Ok(parts.into())
}

fn find(args: &[Value], find: impl Fn(&str) -> Option<usize>) -> Result<Option<usize>, Error> {
    let (part,): (&str,) = from_args(args)?;
    Ok(find(part))
}

/// A byte's position as Python counts.
fn index(text: &str, at: Option<usize>) -> Result<Value, Error> {
    let at = at.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
    Ok(text[..at].chars().count().into())
}

fn swap(c: char) -> char {
    let swapped = if c.is_lowercase() { c.to_uppercase().next() } else { c.to_lowercase().next() };
    swapped.unwrap_or(c)
}

/// Templates come from strangers: no width that fills the memory.
fn bounded(width: usize) -> usize {
    width.min(1 << 16)
}

fn pad(text: &str, name: &str, args: &[Value]) -> Result<Value, Error> {
    let (width, fill): (usize, Option<&str>) = from_args(args)?;
    let fill = fill.unwrap_or(" ");
    if fill.chars().count() != 1 {
        let message = "the fill character must be exactly one character long";
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    let (width, length) = (bounded(width), text.chars().count());
    let spare = width.saturating_sub(length);
    let before = match name {
        "ljust" => 0,
        "rjust" => spare,
        // As CPython: an odd one goes to the left where the width is odd.
        _ => spare / 2 + (spare & width & 1),
    };
    Ok(format!("{}{text}{}", fill.repeat(before), fill.repeat(spare - before)).into())
}

/// `left % right`: Python's formatting where `left` is a string, otherwise the remainder.
pub(super) fn percent(state: &State<'_, '_>, left: &Value, right: &Value) -> Result<Value, Error> {
    let Some(text) = left.as_str() else {
        return state.env().compile_expression("a % b")?.eval(context! { a => left, b => right });
    };
    let args: Vec<Value> = match right.is_tuple() {
        true => right.try_iter()?.collect(),
        false => vec![right.clone()],
    };
    format(FormatStyle::Printf, text, &args).map(Value::from)
}
