//! An analysis as one page, the numbers beside the pictures.

use std::fmt::Write as _;

use super::{
    Blind, Table, bars, cluster, components, correlations, cut, heatmap, ranking, ranking_chart, scatter,
};
use crate::Result;
use crate::compare::{escaped, page};
use crate::suite::Group;

/// How many clusters are named: as many as the paper has groups.
const CLUSTERS: usize = 4;

/// The page, and each of its pictures with a name for a file.
///
/// # Errors
/// Those of [`Table::numbers`].
pub fn html(table: &Table, blind: &[Blind]) -> Result<(String, Vec<(String, String)>)> {
    let complete = table.complete();
    let r = correlations(&complete.numbers()?);
    let merges = cluster(&r);
    let parts = components(&r, 2);
    let names = &complete.columns;
    let mut pictures = vec![
        ("correlations".to_owned(), heatmap(names, &r, &merges)),
        ("components".to_owned(), scatter(names, &parts)),
    ];
    let mut body = format!(
        "<p>{} models, {} benchmarks. Rows that lack a benchmark are left out of correlations.</p>\n",
        complete.rows.len(),
        names.len()
    );
    let figure = |caption: &str, svg: &str| {
        format!("<figure>{svg}<figcaption>{}</figcaption></figure>\n", escaped(caption))
    };
    body += "<h2>Which benchmarks go together</h2>\n";
    body += &figure(
        "Correlation of scores over models, in the order of average-linkage clustering; names in the colours of the paper's groups.",
        &pictures[0].1,
    );
    body += "<ol>";
    for members in cut(&merges, CLUSTERS) {
        let list: Vec<&str> = members.iter().map(|at| names[*at].as_str()).collect();
        let _ = write!(body, "<li>{}</li>", escaped(&list.join(", ")));
    }
    body += "</ol>\n";
    body +=
        &figure("Loadings on the first two principal components of the standardised scores.", &pictures[1].1);
    body += "<table><tr><th>benchmark</th><th>first</th><th>second</th></tr>\n";
    if let [first, second] = parts.as_slice() {
        for (name, (a, b)) in names.iter().zip(first.loadings.iter().zip(&second.loadings)) {
            let _ = writeln!(body, "<tr><th>{}</th><td>{a:.3}</td><td>{b:.3}</td></tr>", escaped(name));
        }
    }
    body += "</table>\n";
    if !blind.is_empty() {
        let svg = bars(blind);
        body += "<h2>Which benchmarks need the picture</h2>\n";
        body += &figure("The same model and prompts with pictures and without; the line is guessing.", &svg);
        pictures.push(("blind".to_owned(), svg));
    }
    for group in Group::ALL {
        let places = ranking(table, group);
        if places.len() < 2 {
            continue;
        }
        let svg = ranking_chart(group.name(), &places);
        let _ = writeln!(body, "<h2>{}</h2>", escaped(group.name()));
        body += &figure(
            "Mean over the group's benchmarks, with how much they agree about each model (95 %).",
            &svg,
        );
        body += "<table><tr><th>model</th><th>mean</th><th>from</th><th>to</th></tr>\n";
        for place in &places {
            let (low, high) = place.interval;
            let _ = writeln!(
                body,
                "<tr><th>{}</th><td>{:.2}</td><td>{low:.2}</td><td>{high:.2}</td></tr>",
                escaped(&place.name),
                place.mean
            );
        }
        body += "</table>\n";
        pictures.push((format!("ranking-{}", group.name().to_lowercase().replace([' ', '&'], "")), svg));
    }
    Ok((page("Benchmarks", &body), pictures))
}
