//! A comparison as a page: Markdown, CSV, HTML.

use std::fmt::Write as _;

use super::{Cell, Comparison};
use crate::suite::{COLUMNS, Group};

/// The heading and the rows of all figures: tasks, then the paper's groups and average.
fn rows(comparison: &Comparison) -> Vec<(String, Vec<String>)> {
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for line in &comparison.tasks {
        rows.push((
            line.title.clone(),
            line.cells.iter().map(|cell| cell.as_ref().map_or("–".into(), told)).collect(),
        ));
    }
    for (place, group) in Group::ALL.into_iter().enumerate() {
        let values: Vec<Option<f64>> = comparison.averages.iter().map(|row| row.groups[place]).collect();
        if values.iter().any(Option::is_some) {
            let cell = |(run, value): (usize, Option<f64>)| match (value, &comparison.groups[run][place]) {
                (Some(value), Some(paired)) => {
                    format!("{value:.1} ({:+.1}, p {})", paired.difference, p(paired.p))
                }
                (Some(value), None) => format!("{value:.1}"),
                _ => "–".into(),
            };
            rows.push((
                format!("Mean: {}", group.name()),
                values.into_iter().enumerate().map(cell).collect(),
            ));
        }
    }
    if comparison.averages.iter().any(|row| row.overall.is_some()) {
        let cell = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.1}"));
        let all = comparison.averages.iter().map(|row| cell(row.overall)).collect();
        rows.push((format!("Mean of all {}", COLUMNS.len()), all));
    }
    rows
}

/// A cell for people: the score, its interval, and what the paired test says.
pub(crate) fn told(cell: &Cell) -> String {
    let mut out = format!("{:.1}", cell.value);
    if let Some((low, high)) = cell.interval {
        let _ = write!(out, " [{low:.1}, {high:.1}]");
    }
    if let Some(paired) = &cell.against {
        let _ = write!(out, " ({:+.1}, p {})", paired.difference, p(paired.p));
    }
    if cell.parsed < 99.95 {
        let _ = write!(out, ", {:.0} % parsed", cell.parsed);
    }
    out
}

/// A probability to two digits.
fn p(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.2}") }
}

const CAPTION: &str = "In brackets the interval of 95 %; in parentheses the difference from the first run and the paired \
                       test's p, not corrected for the number of tasks.";

/// A table in Markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let escape = |text: &str| text.replace('|', "\\|");
    let mut out = format!("| rules: {} |", comparison.scorer.name());
    for run in &comparison.runs {
        let _ = write!(out, " {} |", escape(run));
    }
    let _ = write!(out, "\n| --- |{}\n", " --- |".repeat(comparison.runs.len()));
    for (name, cells) in rows(comparison) {
        let _ = write!(out, "| {} |", escape(&name));
        for cell in cells {
            let _ = write!(out, " {} |", escape(&cell));
        }
        out.push('\n');
    }
    let _ = write!(out, "\n{CAPTION}\n");
    out
}

/// One line per task and run.
pub fn csv(comparison: &Comparison) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut out = String::from(
        "task,run,scorer,score,low,high,parsed,items,difference,difference_low,difference_high,p,better,worse\n",
    );
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value}"));
    for line in &comparison.tasks {
        for (run, cell) in comparison.runs.iter().zip(&line.cells) {
            let Some(cell) = cell else { continue };
            let against = cell.against.as_ref();
            let fields = [
                quote(&line.task),
                quote(run),
                comparison.scorer.name().to_owned(),
                number(Some(cell.value)),
                number(cell.interval.map(|i| i.0)),
                number(cell.interval.map(|i| i.1)),
                number(Some(cell.parsed)),
                cell.items.to_string(),
                number(against.map(|a| a.difference)),
                number(against.map(|a| a.interval.0)),
                number(against.map(|a| a.interval.1)),
                number(against.map(|a| a.p)),
                against.map_or_else(String::new, |a| a.better.to_string()),
                against.map_or_else(String::new, |a| a.worse.to_string()),
            ];
            out.push_str(&fields.join(","));
            out.push('\n');
        }
    }
    out
}

/// A page that needs nothing else.
pub fn html(comparison: &Comparison) -> String {
    let mut body = String::from("<table><thead><tr><th></th>");
    for run in &comparison.runs {
        let _ = write!(body, "<th>{}</th>", escaped(run));
    }
    body.push_str("</tr></thead><tbody>\n");
    for (name, cells) in rows(comparison) {
        let _ = write!(body, "<tr><th>{}</th>", escaped(&name));
        for cell in cells {
            let _ = write!(body, "<td>{}</td>", escaped(&cell));
        }
        body.push_str("</tr>\n");
    }
    body.push_str("</tbody></table>");
    let lead = format!("Rules: {}. {CAPTION}", comparison.scorer.name());
    page("Comparison", &format!("<p>{}</p>\n{body}", escaped(&lead)))
}

/// Text as HTML shows it.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page around `body`, which is HTML already.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n<style>\n\
         body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #222 }}\n\
         table {{ border-collapse: collapse; margin: 1rem 0 }} th, td {{ padding: .3rem .8rem; text-align: right; \
         border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }} th:first-child {{ text-align: left }}\n\
         figure {{ margin: 1.5rem 0 }} figcaption {{ color: #555 }} svg, img {{ max-width: 100%; height: auto }}\n\
         </style></head><body>\n<h1>{title}</h1>\n{body}\n</body></html>\n"
    )
}
