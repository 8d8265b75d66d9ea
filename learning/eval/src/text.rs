//! What Python's strings do, where a rule that was written in Python depends on it.

/// Code points of the zeros of Unicode's decimal digits, beside ASCII's; the nine others follow each.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50,
    0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140,
    0x1e2f0, 0x1e950, 0x1fbf0,
];

/// Whether Python's `str.isspace` holds: the separators U+001C to U+001F are space to it and not to Rust.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// `str.strip()`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// `str.split()`.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// `" ".join(str.split())`.
pub fn collapsed(text: &str) -> String {
    words(text).collect::<Vec<_>>().join(" ")
}

/// Without what `string.punctuation` lists.
pub fn without_punctuation(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_punctuation()).collect()
}

/// The value of a decimal digit of any script.
pub fn digit(c: char) -> Option<u32> {
    c.to_digit(10).or_else(|| {
        let code = u32::from(c);
        let zero = *ZEROS.get(ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?)?;
        (code - zero < 10).then(|| code - zero)
    })
}

/// `float(text)`: outer space, `_` between digits, digits of any script, `inf` and `nan` are numbers; `1,000`, `5%` and a
/// minus sign that is not ASCII are not.
pub fn float(text: &str) -> Option<f64> {
    let mut plain = String::with_capacity(text.len());
    for c in strip(text).chars() {
        match digit(c) {
            Some(value) => plain.extend(char::from_digit(value, 10)),
            None => plain.push(c),
        }
    }
    let bytes = plain.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    for (at, _) in plain.match_indices('_') {
        if !is_digit(at.checked_sub(1)) || !is_digit(Some(at + 1)) {
            return None;
        }
    }
    plain.replace('_', "").parse().ok()
}

/// Number of single-character changes between two texts, by Unicode scalar values.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// The strings of a Python list literal such as `['a', "b's"]`; none where it is not one. Numbers are read as they
/// are written.
pub fn list(text: &str) -> Option<Vec<String>> {
    let inner = strip(text).strip_prefix('[')?.strip_suffix(']')?;
    let mut out = Vec::new();
    let mut rest = inner.chars().peekable();
    loop {
        while rest.next_if(|c| is_space(*c)).is_some() {}
        let Some(first) = rest.peek().copied() else { return Some(out) };
        let mut item = String::new();
        if first == '\'' || first == '"' {
            rest.next();
            loop {
                match rest.next()? {
                    c if c == first => break,
                    '\\' => item.push(escaped(rest.next()?, &mut rest)?),
                    c => item.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != ',') {
                item.push(c);
            }
            item = strip(&item).to_owned();
            if item.is_empty() {
                return None;
            }
        }
        out.push(item);
        while rest.next_if(|c| is_space(*c)).is_some() {}
        match rest.next() {
            None => return Some(out),
            Some(',') => {}
            Some(_) => return None,
        }
    }
}

/// What stands for a backslash and `c`.
fn escaped(c: char, rest: &mut impl Iterator<Item = char>) -> Option<char> {
    let mut hex = |digits: usize| {
        let code: String = rest.by_ref().take(digits).collect();
        char::from_u32(u32::from_str_radix(&code, 16).ok().filter(|_| code.len() == digits)?)
    };
    match c {
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_pythons() {
        let numbers: [(&str, Option<f64>); 14] = [
            (" 1_000.5 ", Some(1000.5)),
            ("\u{ff11}\u{ff12}", Some(12.0)),
            ("\u{661}\u{662}", Some(12.0)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("1.", Some(1.0)),
            (".5", Some(0.5)),
            ("1e3", Some(1000.0)),
            ("1,000", None),
            ("5%", None),
            ("\u{2212}5", None),
            ("_1", None),
            ("1__0", None),
            ("", None),
            (".", None),
        ];
        for (text, value) in numbers {
            assert_eq!(float(text), value, "{text:?}");
        }
        assert!(float("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn distances() {
        for (a, b, d) in
            [("", "", 0), ("kitten", "sitting", 3), ("", "ab", 2), ("äb", "ab", 1), ("abc", "abc", 0)]
        {
            assert_eq!((distance(a, b), distance(b, a)), (d, d), "{a} {b}");
        }
    }

    #[test]
    fn lists_are_read_as_python_writes_them() {
        let read = |text: &str| list(text).map(|items| items.join("|"));
        assert_eq!(read("['a', \"b's\", 'c\\'d']").as_deref(), Some("a|b's|c'd"));
        assert_eq!(read("[1, 2.5]").as_deref(), Some("1|2.5"));
        assert_eq!(read("['\\u00e9\\n']").as_deref(), Some("é\n"));
        assert_eq!(read("[]").as_deref(), Some(""));
        for wrong in ["a", "['a'", "['a' 'b']", "[, ]"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn space_is_pythons() {
        assert_eq!(strip("\u{1c}\u{3000}a \u{a0}"), "a");
        assert_eq!(collapsed(" a\u{1f}b\tc "), "a b c");
    }
}
