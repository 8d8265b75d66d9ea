//! The page: one file, without anything from elsewhere.

use std::fmt::Write as _;

use super::{Frequent, Histogram, Inspected};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#222;\
background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2rem 0 .3rem}p{margin:.2rem 0;color:#555}\
table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0}td.n{text-align:right;font-variant-numeric:tabular-nums}\
svg{display:block;max-width:100%}text{font:12px system-ui,sans-serif;fill:#222}.bar{fill:#4878a8}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}text{fill:#ddd}p{color:#aaa}}";

/// The page of an inspection.
pub fn page(found: &Inspected) -> String {
    let mut out = String::new();
    let files: Vec<String> = found.files.iter().map(|file| escape(&file.display().to_string())).collect();
    let title = files.join(", ");
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><table>"
    );
    let share = |part: u64| format!("{part} ({:.1} %)", 100.0 * part as f64 / found.records.max(1) as f64);
    for (name, value) in [
        ("records", found.records.to_string()),
        ("to learn from", share(found.sound)),
        ("with an image", share(found.with_image)),
        ("images that cannot be read", share(found.images_broken)),
        ("empty answers", found.empty_answers.to_string()),
    ] {
        let _ = write!(out, "<tr><td>{name}<td class=n>{value}");
    }
    out.push_str("</table>");
    if !found.flaws.is_empty() {
        out.push_str("<h2>What is wrong</h2><table>");
        for (kind, count) in &found.flaws {
            let example = found.examples.get(kind).map_or("", String::as_str);
            let _ = write!(out, "<tr><td class=n>{count}<td>{kind}<td>{}", escape(example));
        }
        out.push_str("</table>");
    }
    histogram(&mut out, "Turns of a record", &found.turns);
    histogram(&mut out, "Words of a question", &found.question_words);
    histogram(&mut out, "Words of an answer", &found.answer_words);
    if let Some(tokens) = &found.tokens {
        histogram(&mut out, "Tokens of a record, without those of its image", tokens);
    }
    histogram(&mut out, "Longer side of an image, in pixels", &found.image_sides);
    frequent(&mut out, "Sizes of images", &found.image_sizes);
    frequent(&mut out, "Sources", &found.sources);
    frequent(&mut out, "Categories", &found.categories);
    frequent(&mut out, "Folders of images", &found.folders);
    frequent(&mut out, "Most frequent short answers", &found.answers);
    out.push_str("</html>\n");
    out
}

fn histogram(out: &mut String, title: &str, of: &Histogram) {
    if of.count() == 0 {
        return;
    }
    let first = of.bins().iter().position(|bin| bin.2 > 0).unwrap_or(0);
    let rows: Vec<(String, u64)> = of
        .bins()
        .into_iter()
        .skip(first)
        .map(|(from, to, count)| (if from == to { from.to_string() } else { format!("{from}–{to}") }, count))
        .collect();
    let _ = write!(
        out,
        "<h2>{title}</h2><p>median {}, 95 % up to {}, mean {:.1}</p>",
        of.quantile(0.5),
        of.quantile(0.95),
        of.mean()
    );
    bars(out, &rows);
}

fn frequent(out: &mut String, title: &str, of: &Frequent) {
    let rows: Vec<(String, u64)> = of.first(25).into_iter().map(|(text, n)| (text.to_owned(), n)).collect();
    // One value that everything has says nothing.
    if rows.len() < 2 && rows.iter().all(|(text, _)| text.is_empty()) {
        return;
    }
    let note = if of.exact() { "" } else { "; counts of rare ones are rough" };
    let _ = write!(out, "<h2>{title}</h2><p>{} in all{note}</p>", of.total());
    bars(out, &rows);
}

fn bars(out: &mut String, rows: &[(String, u64)]) {
    const ROW: usize = 20;
    const LABEL: usize = 240;
    const WIDTH: usize = 480;
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let height = ROW * rows.len();
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {} {height}\" width=\"{0}\" height=\"{height}\" role=\"img\">",
        LABEL + WIDTH + 110
    );
    for (at, (label, count)) in rows.iter().enumerate() {
        let width = WIDTH as f64 * *count as f64 / most as f64;
        let (top, base) = (ROW * at + 3, ROW * at + 15);
        let short: String = label.chars().take(36).collect();
        let label = if short.is_empty() { "(none)".to_owned() } else { escape(&short) };
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{label}</text><rect class=\"bar\" x=\"{LABEL}\" y=\"{top}\" \
             width=\"{width:.1}\" height=\"14\"/><text x=\"{:.1}\" y=\"{base}\">{count}</text>",
            LABEL - 8,
            LABEL as f64 + width + 6.0
        );
    }
    out.push_str("</svg>");
}

/// What a data set says is text and nothing else.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No character of XML.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
