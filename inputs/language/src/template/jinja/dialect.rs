//! What templates for Jinja2 may write and minijinja does not read, rewritten into what it does: `{% generation %}`
//! (transformers marks answers with it, and it changes nothing of the text), `%` on strings, and line ends of Windows.

/// The function that `a % b` becomes a call of.
pub(super) const PERCENT: &str = "__percent";

/// Words that end an operand, as operators do.
const WORDS: [&str; 9] = ["and", "or", "not", "in", "is", "if", "else", "recursive", "as"];

/// `source` for minijinja. Lines stay where they are, so that messages name the right one.
pub(super) fn translate(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut out = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(start) = find_tag(rest) {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let taken = match &rest[..2] {
            "{#" => copy_until(rest, "#}", &mut out),
            "{{" => tag(rest, "}}", &mut out),
            _ => tag(rest, "%}", &mut out),
        };
        rest = &rest[taken..];
    }
    out.push_str(rest);
    out
}

fn find_tag(text: &str) -> Option<usize> {
    text.match_indices('{').map(|(at, _)| at).find(|&at| {
        let next = text[at..].get(..2);
        matches!(next, Some("{#" | "{{" | "{%"))
    })
}

fn copy_until(text: &str, end: &str, out: &mut String) -> usize {
    let length = text.find(end).map_or(text.len(), |at| at + end.len());
    out.push_str(&text[..length]);
    length
}

/// Copies a tag and what it stands for; returns its length in `text`.
fn tag(text: &str, close: &str, out: &mut String) -> usize {
    let (mut tokens, length) = tokens(text, close);
    let block = close == "%}";
    if let Some(name) = tokens.first_mut().filter(|_| block) {
        match name.text {
            "raw" => return raw(text, length, out),
            // Both keep to themselves what is set inside.
            "generation" => name.text = "with",
            "endgeneration" => name.text = "endwith",
            _ => {}
        }
        name.kind = Kind::Operator;
    }
    let before = tokens.first().map_or(length, |token| token.at);
    let after = tokens.last().map_or(length, |token| token.end);
    out.push_str(&text[..before]);
    expression(text, &tokens, out);
    out.push_str(&text[after..length]);
    length
}

/// Copies everything up to the end of `{% raw %}`, whose own tag has `length` bytes.
fn raw(text: &str, length: usize, out: &mut String) -> usize {
    let inside = &text[length..];
    let ends = |at: &usize| {
        let word = inside[at + 2..].trim_start_matches(['-', '+']).trim_start();
        word.starts_with("endraw")
    };
    let end = inside.match_indices("{%").map(|(at, _)| at).find(ends);
    let end = end.map_or(text.len(), |at| length + at + inside[at..].find("%}").map_or(0, |n| n + 2));
    out.push_str(&text[..end]);
    end
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, a number or a string.
    Operand,
    Opener,
    Closer,
    /// Anything that stands between operands.
    Operator,
}

#[derive(Clone, Copy)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    at: usize,
    end: usize,
}

/// The tokens inside the tag with which `text` begins, and the length of that tag.
fn tokens<'a>(text: &'a str, close: &str) -> (Vec<Token<'a>>, usize) {
    let mut tokens: Vec<Token<'a>> = Vec::new();
    let (mut at, mut depth) = (2, 0_usize);
    if text[at..].starts_with(['-', '+']) {
        at += 1;
    }
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let signed = rest.strip_prefix(['-', '+']).is_some_and(|r| r.starts_with(close));
        if depth == 0 && (rest.starts_with(close) || signed) {
            return (tokens, at + close.len() + usize::from(signed));
        }
        let after_dot = tokens.last().is_some_and(|token| token.text == ".");
        let (kind, length) = match first {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '"' | '\'' => (Kind::Operand, string(rest, first)),
            '(' | '[' | '{' => {
                depth += 1;
                (Kind::Opener, 1)
            }
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                (Kind::Closer, 1)
            }
            c if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                let operator = WORDS.contains(&&rest[..length]) && !after_dot;
                (if operator { Kind::Operator } else { Kind::Operand }, length)
            }
            _ => {
                let double = ["**", "//", "==", "!=", "<=", ">="].iter().any(|op| rest.starts_with(op));
                (Kind::Operator, if double { 2 } else { first.len_utf8() })
            }
        };
        tokens.push(Token { kind, text: &rest[..length], at, end: at + length });
        at += length;
    }
    (tokens, text.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Length of the string that begins with `quote`.
fn string(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Copies `tokens` of `text` with the white space between them, `%` as calls of [`PERCENT`].
fn expression(text: &str, tokens: &[Token<'_>], out: &mut String) {
    // Where in `out` the operand begins that a `%` would take, for each open bracket.
    let mut operands = vec![out.len()];
    let mut last = tokens.first().map_or(0, |token| token.at);
    let mut index = 0;
    let mut fresh = true;
    while let Some(&token) = tokens.get(index) {
        out.push_str(&text[last..token.at]);
        last = token.end;
        index += 1;
        if fresh && let Some(operand) = operands.last_mut() {
            *operand = out.len();
        }
        let binary = !fresh;
        fresh = false;
        match (token.kind, token.text) {
            (Kind::Operator, "%") if binary => {
                let begin = operands.last().copied().unwrap_or(0);
                let left = out.split_off(begin);
                let length = operand(&tokens[index..]);
                let right = &tokens[index..index + length];
                out.push_str(&format!("{PERCENT}({}, ", left.trim_end()));
                expression(text, right, out);
                out.push(')');
                last = right.last().map_or(last, |token| token.end);
                index += length;
                continue;
            }
            (Kind::Opener, _) => {
                out.push_str(token.text);
                operands.push(out.len());
                fresh = true;
                continue;
            }
            (Kind::Closer, _) => {
                operands.truncate(operands.len().saturating_sub(1).max(1));
            }
            // A sign before an operand is part of it.
            (Kind::Operator, "+" | "-") if !binary => {}
            (Kind::Operator, "*" | "/" | "//" | "**" | "." | "|") => {}
            (Kind::Operator, _) => fresh = true,
            (Kind::Operand, _) => {}
        }
        out.push_str(token.text);
    }
}

/// How many of `tokens` are the right side of a `%`: a value with signs, attributes, calls, filters and powers.
fn operand(tokens: &[Token<'_>]) -> usize {
    let (mut depth, mut count, mut expects) = (0_usize, 0, true);
    for token in tokens {
        match token.kind {
            Kind::Opener => {
                depth += 1;
                expects = true;
            }
            Kind::Closer if depth == 0 => break,
            Kind::Closer => {
                depth -= 1;
                expects = false;
            }
            Kind::Operand => expects = false,
            Kind::Operator if depth > 0 => {}
            Kind::Operator => match token.text {
                "+" | "-" if expects => {}
                "." | "|" | "**" => expects = true,
                _ => break,
            },
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_minijinja_reads_stays_as_it_is() {
        for source in [
            "",
            "{",
            "100 % sure {% if a == '5 % 3' %}{{- \"%s\" -}}{%- endif +%}",
            "{# generation % #}{% raw %}{{ a % b }}{% generation %}{%- endraw %}%",
            "{{ {'a': {'b': 1}}.a }}}{{ x[1:2]|join(', ') }}",
            "{{ unclosed % ",
            "{% set s %}{% endset %}ö{{ 'ö' }}",
        ] {
            if !source.contains("unclosed") {
                assert_eq!(translate(source), source);
            }
        }
    }

    #[track_caller]
    fn check(source: &str, expected: &str) {
        assert_eq!(translate(source), expected.replace('P', PERCENT));
    }

    #[test]
    fn generation_is_a_block_of_its_own() {
        check("{%- generation -%}a\r\n{% endgeneration %}", "{%- with -%}a\n{% endwith %}");
        check("{{ generation }}{% if generation %}", "{{ generation }}{% if generation %}");
    }

    #[test]
    fn percent_is_a_call_with_the_operands_of_jinja() {
        check("{{ a % b }}", "{{ P(a, b) }}");
        check("{{ 'x' ~ '%s' % b ~ c }}", "{{ 'x' ~ P('%s', b) ~ c }}");
        check("{{ 7 * 5 % 3 + 1 }}", "{{ P(7 * 5, 3) + 1 }}");
        check("{{ -a.b[0] % -c.d(1)|f('x') * 2 }}", "{{ P(-a.b[0], -c.d(1)|f('x')) * 2 }}");
        check("{{ a % b % c }}", "{{ P(P(a, b), c) }}");
        check("{{ f('%s' % (x, y % z)) }}", "{{ f(P('%s', (x, P(y, z)))) }}");
        check(
            "{% if loop.index0 % 2 == 0 and not n % 3 %}",
            "{% if P(loop.index0, 2) == 0 and not P(n, 3) %}",
        );
        check("{%- set x = [a % 2, {'k': '%d' % 3}] -%}", "{%- set x = [P(a, 2), {'k': P('%d', 3)}] -%}");
        check("{{ a\n% b if c\nelse d %2}}", "{{ P(a, b) if c\nelse P(d, 2)}}");
        check("{{ m.in % 2 ** 3 }}", "{{ P(m.in, 2 ** 3) }}");
    }
}
