//! Jinja as transformers runs it: white space around blocks trimmed, Python's methods, `raise_exception`,
//! `strftime_now`, `tojson` with Python's spacing.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::{clock, dialect, json, python};

/// Steps that a template may take: a second's worth, where those of published models take some thousands for each turn. A
/// template is a program of whoever made the folder, and a loop in a loop in a loop would hold up the question for days.
const STEPS: u64 = 20_000_000;

/// MiB of text that a template may write: more than any model reads.
const LONGEST: usize = 16;

/// What `source` makes of `values`.
pub(super) fn render(source: &str, values: Value) -> Result<String, Error> {
    let mut text = Bounded::default();
    let environment = environment();
    let written = environment.template_from_str(source)?.render_captured_to(values, &mut text);
    if text.full {
        let message = format!("it writes more than {LONGEST} MiB of text, which is no prompt");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    written?;
    String::from_utf8(text.bytes).map_err(|e| Error::new(ErrorKind::InvalidOperation, e.to_string()))
}

/// A text that ends at [`LONGEST`].
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
    full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.full |= self.bytes.len() + bytes.len() > LONGEST << 20;
        if self.full {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An environment in which chat templates run.
fn environment<'source>() -> Environment<'source> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.unwrap_or_default());
    environment.set_fuel(Some(STEPS));
    environment.set_unknown_method_callback(python::method);
    environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", |format: String| {
        clock::strftime(clock::now(), &format)
            .map_err(|message| Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_filter("tojson", json::tojson);
    environment.add_function(dialect::PERCENT, |state: &State<'_, '_>, left: Value, right: Value| {
        python::percent(state, &left, &right)
    });
    // In Python a text and a mapping have items by number or key, too.
    environment.add_test("sequence", |value: &Value| {
        value.is_undefined() || matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
    });
    environment
}

#[cfg(test)]
mod tests {
    use minijinja::context;

    use super::*;

    #[track_caller]
    fn check(template: &str, expected: Result<&str, &str>) {
        let values = context! { messages => [context! { role => "user", content => " Hi " }], none => () };
        match (render(&dialect::translate(template), values), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected),
            (Err(got), Err(part)) => assert!(got.to_string().contains(part), "{got}"),
            (got, expected) => panic!("{got:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn templates_run_as_in_python() {
        check(
            "{% for m in messages %}\n  {% if m.role == 'user' %}\n{{ m['content'].strip() }}\n{% endif %}\n{% endfor %}",
            Ok("Hi\n"),
        );
        check("{{ raise_exception('No tools.') }}", Err("No tools."));
        check("{{ 'a<b'.upper() }}{{ 'a,b'.split(',')[-1] }}{{ '<x>'.startswith('<') }}", Ok("A<BbTrue"));
        check("{{ {'a': [1, 'é']} | tojson }}", Ok("{\"a\": [1, \"é\"]}"));
        check("{% set ns = namespace(x=1) %}{% set ns.x = 2 %}{{ ns.x }}{{ missing }}", Ok("2"));
        check(
            "{% for i in [1, 2, 3] %}{% if i == 2 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
            Ok("13"),
        );
        check("{{ strftime_now('%Q') }}", Err("does not know `%Q`"));
        let many = "{% for i in range(30) %}{{ 'a' * 1000000 }}{% endfor %}";
        for endless in ["{{ 'a' * 40000000 }}", many] {
            check(endless, Err("it writes more than 16 MiB of text"));
        }
    }
}
