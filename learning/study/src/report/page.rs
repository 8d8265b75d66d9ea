//! A report as a page that stands alone, and as Markdown.

use std::fmt::Write as _;

use zoo_eval::compare::{escaped, page};

use super::{Finding, Report, draw};
use crate::effect::Verdict;

/// What is said of figures once.
const READING: &str = "Every figure is a mean over seeds with the interval of 95 % by Student's distribution. Where there is \
                       one seed there is no interval, and nothing is claimed. A difference is of runs that are alike in all \
                       but what is compared.";

impl Report {
    /// A page of HTML with its pictures inside.
    pub fn html(&self) -> String {
        let mut body = String::new();
        for paragraph in [self.about.as_str(), &self.count(), READING].iter().filter(|text| !text.is_empty())
        {
            let _ = writeln!(body, "<p>{}</p>", escaped(paragraph));
        }
        if !self.findings.is_empty() {
            body += "<h2>The paper's findings</h2>\n<table><tr><th>the paper</th><th>where</th><th>points here</th>\
                     <th>at this size</th></tr>\n";
            for Finding { says, place, difference, verdict } in &self.findings {
                let ink = match verdict {
                    Verdict::Holds => "#00703c",
                    Verdict::DoesNot => "#b3261e",
                    Verdict::CannotBeSaid => "#666",
                };
                let _ = writeln!(
                    body,
                    "<tr><th>{}</th><td>{}</td><td>{}</td><td style=\"color: {ink}\">{}</td></tr>",
                    escaped(says),
                    escaped(place),
                    difference.map_or("no runs".to_owned(), |found| found.text()),
                    verdict.words()
                );
            }
            body += "</table>\n";
        }
        for (heading, charts) in &self.sections {
            let _ = writeln!(body, "<h2>{}</h2>", escaped(heading));
            for chart in charts {
                let _ = writeln!(body, "<h3>{}</h3>", escaped(&chart.title));
                body += &figure(&chart.caption, &draw::chart(chart));
            }
        }
        let (note, pictures) = &self.together;
        let _ = writeln!(body, "<h2>Which tasks go together</h2>\n<p>{}</p>", escaped(note));
        for (caption, svg) in pictures {
            body += &figure(caption, svg);
        }
        page(&escaped(&self.title), &body)
    }

    /// The same in Markdown, figures as tables.
    pub fn markdown(&self) -> String {
        let mut text = format!("# {}\n\n", self.title);
        for paragraph in [self.about.as_str(), &self.count(), READING].iter().filter(|text| !text.is_empty())
        {
            let _ = writeln!(text, "{paragraph}\n");
        }
        if !self.findings.is_empty() {
            text += "## The paper's findings\n\n| the paper | where | points here | at this size |\n| --- | --- | --- | --- |\n";
            for Finding { says, place, difference, verdict } in &self.findings {
                let found = difference.map_or("no runs".to_owned(), |found| found.text());
                let _ =
                    writeln!(text, "| {} | {} | {found} | {} |", cell(says), cell(place), verdict.words());
            }
            text.push('\n');
        }
        for (heading, charts) in &self.sections {
            let _ = writeln!(text, "## {heading}\n");
            for chart in charts {
                let unit = if chart.differences { "points" } else { "percent" };
                let _ = writeln!(
                    text,
                    "### {}\n\n{}\n\n| | {unit} | seeds |\n| --- | --- | --- |",
                    chart.title, chart.caption
                );
                for (name, estimate) in &chart.lines {
                    let _ = writeln!(
                        text,
                        "| {} | {} | {} |",
                        cell(name.trim()),
                        estimate.text(),
                        estimate.seeds
                    );
                }
                text.push('\n');
            }
        }
        let _ = writeln!(text, "## Which tasks go together\n\n{}", self.together.0);
        text
    }

    /// Everything that was measured.
    pub fn csv(&self) -> String {
        self.table.csv()
    }

    fn count(&self) -> String {
        let (all, judged) = self.runs;
        match all - judged {
            0 => format!("{all} runs, all of them judged."),
            left => format!("{judged} of {all} runs are judged; {left} are not done yet."),
        }
    }
}

fn figure(caption: &str, svg: &str) -> String {
    format!("<figure>{svg}<figcaption>{}</figcaption></figure>\n", escaped(caption))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
