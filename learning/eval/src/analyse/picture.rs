//! Which benchmarks go together: correlations with their tree, and two principal components.

use super::svg::{INK, LETTER, PALE, Svg, colour, group_of, short, ticks};
use super::{Component, Merge, order};

/// From blue at -1 over white to red at 1.
fn heat(value: f64) -> String {
    let fade = |share: f64| (255.0 * (1.0 - share)).round() as u8;
    let part = value.abs().min(1.0);
    match value < 0.0 {
        true => format!("rgb({},{},255)", fade(part), fade(0.6 * part)),
        false => format!("rgb(255,{},{})", fade(0.8 * part), fade(part)),
    }
}

/// The correlation of every two benchmarks, in the order of the tree of clusters that stands beside it.
pub fn heatmap(names: &[String], correlations: &[Vec<f64>], merges: &[Merge]) -> String {
    const CELL: f64 = 34.0;
    const LEFT: f64 = 90.0;
    const TOP: f64 = 100.0;
    const TREE: f64 = 130.0;
    let order = order(merges);
    let side = CELL * order.len() as f64;
    let mut svg = Svg::new(LEFT + side + TREE + 30.0, TOP + side + 40.0);
    svg.groups((LEFT, 18.0));
    for (row, i) in order.iter().enumerate() {
        let y = TOP + CELL * row as f64;
        let ink = colour(group_of(&names[*i]));
        svg.text((LEFT - 6.0, y + CELL / 2.0 + 4.0), "end", ink, &names[*i]);
        let above = (LEFT + CELL * row as f64 + CELL / 2.0 + 2.0, TOP - 6.0);
        svg.turned(above, -60, "start", ink, &names[*i]);
        for (column, j) in order.iter().enumerate() {
            let x = LEFT + CELL * column as f64;
            let value = correlations[*i][*j];
            svg.rect((x, y, CELL - 1.0, CELL - 1.0), &heat(value));
            let ink = if value > 0.85 { "white" } else { INK };
            let text = format!("{value:.2}").replace("0.", ".");
            svg.text((x + CELL / 2.0 - 0.5, y + CELL / 2.0 + 4.0), "middle", ink, &text);
        }
    }
    let place = |row: usize| TOP + CELL * row as f64 + CELL / 2.0;
    tree(
        &mut svg,
        merges,
        &order,
        Room { left: LEFT + side + 6.0, width: TREE, bottom: TOP + side, place: &place },
    );
    svg.end()
}

/// Where a tree is drawn: its leaves stand at `place` of their row, `left` is distance 0.
struct Room<'a> {
    left: f64,
    width: f64,
    bottom: f64,
    place: &'a dyn Fn(usize) -> f64,
}

/// Each merge as a bracket at its distance.
fn tree(svg: &mut Svg, merges: &[Merge], order: &[usize], room: Room<'_>) {
    let most = merges.iter().map(|merge| merge.distance).fold(0.0, f64::max).max(1e-9);
    let at = |distance: f64| room.left + room.width * distance / most;
    let row = |leaf: usize| order.iter().position(|i| *i == leaf).unwrap_or_default();
    // Of every cluster the height of its middle, and how far its members are from each other.
    let mut clusters: Vec<(f64, f64)> = (0..order.len()).map(|leaf| ((room.place)(row(leaf)), 0.0)).collect();
    for merge in merges {
        let [a, b] = [merge.a, merge.b].map(|part| clusters[part]);
        let x = at(merge.distance);
        for (y, distance) in [a, b] {
            svg.line((at(distance), y), (x, y), "#555");
        }
        svg.line((x, a.0), (x, b.0), "#555");
        clusters.push((f64::midpoint(a.0, b.0), merge.distance));
    }
    for tick in ticks(0.0, most, 3) {
        svg.line((at(tick), room.bottom + 4.0), (at(tick), room.bottom + 8.0), "#555");
        svg.text((at(tick), room.bottom + 21.0), "middle", INK, &short(tick));
    }
    svg.text((room.left + room.width / 2.0, room.bottom + 35.0), "middle", INK, "1 − mean correlation");
}

/// Benchmarks on two principal components.
pub fn scatter(names: &[String], components: &[Component]) -> String {
    const WIDTH: f64 = 640.0;
    const HEIGHT: f64 = 460.0;
    const LEFT: f64 = 70.0;
    const TOP: f64 = 40.0;
    let mut svg = Svg::new(LEFT + WIDTH + 30.0, TOP + HEIGHT + 60.0);
    let [first, second] = components else { return svg.end() };
    svg.groups((LEFT, 18.0));
    let range = |loadings: &[f64]| {
        let low = loadings.iter().copied().fold(0.0, f64::min);
        let high = loadings.iter().copied().fold(0.0, f64::max);
        let pad = 0.08 * (high - low).max(1e-9);
        (low - pad, high + pad)
    };
    let ((left, right), (bottom, top)) = (range(&first.loadings), range(&second.loadings));
    let x = |value: f64| LEFT + WIDTH * (value - left) / (right - left);
    let y = |value: f64| TOP + HEIGHT * (top - value) / (top - bottom);
    for tick in ticks(left, right, 6) {
        svg.line((x(tick), TOP), (x(tick), TOP + HEIGHT), if tick == 0.0 { "#999" } else { PALE });
        svg.text((x(tick), TOP + HEIGHT + 16.0), "middle", INK, &short(tick));
    }
    for tick in ticks(bottom, top, 6) {
        svg.line((LEFT, y(tick)), (LEFT + WIDTH, y(tick)), if tick == 0.0 { "#999" } else { PALE });
        svg.text((LEFT - 6.0, y(tick) + 4.0), "end", INK, &short(tick));
    }
    let share =
        |component: &Component| format!("component ({:.0} % of the variance)", 100.0 * component.share);
    svg.text(
        (LEFT + WIDTH / 2.0, TOP + HEIGHT + 40.0),
        "middle",
        INK,
        &format!("loading on the first {}", share(first)),
    );
    svg.turned(
        (20.0, TOP + HEIGHT / 2.0),
        -90,
        "middle",
        INK,
        &format!("loading on the second {}", share(second)),
    );
    let points: Vec<(f64, f64)> =
        first.loadings.iter().zip(&second.loadings).map(|(a, b)| (x(*a), y(*b))).collect();
    let labels = labels(names, &points);
    for ((name, point), label) in names.iter().zip(&points).zip(labels) {
        let ink = colour(group_of(name));
        let far = (label.0 + 3.0 - point.0).hypot(label.1 - 4.0 - point.1) > 24.0;
        if far {
            let end = if label.0 > point.0 { label.0 - 2.0 } else { label.0 + LETTER * name.len() as f64 };
            svg.line(*point, (end, label.1 - 4.0), "#999");
        }
        svg.circle(*point, 4.5, ink);
        svg.text(label, "start", ink, name);
    }
    svg.end()
}

/// Where the names of points begin, so that none stands on another or on a point: beside its point where there is room,
/// else farther away.
fn labels(names: &[String], points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    const HIGH: f64 = 13.0;
    let mut taken: Vec<[f64; 4]> = points.iter().map(|(x, y)| [x - 5.0, y - 5.0, x + 5.0, y + 5.0]).collect();
    let mut out = vec![(0.0, 0.0); points.len()];
    let mut byheight: Vec<usize> = (0..points.len()).collect();
    byheight.sort_by(|a, b| points[*a].1.total_cmp(&points[*b].1));
    for index in byheight {
        let (x, y) = points[index];
        let wide = LETTER * names[index].chars().count() as f64;
        let beside = [
            (x + 8.0, y + 4.0),
            (x - 8.0 - wide, y + 4.0),
            (x - wide / 2.0, y - 8.0),
            (x - wide / 2.0, y + 17.0),
        ];
        let farther = (1..=14).flat_map(|step| {
            let (out, high) = (20.0 + 4.0 * f64::from(step), HIGH * f64::from(step));
            [
                (x - out - wide, y + 4.0 + high),
                (x - out - wide, y + 4.0 - high),
                (x + out, y + 4.0 + high),
                (x + out, y + 4.0 - high),
            ]
        });
        let around = |(x, y): (f64, f64)| [x - 2.0, y - HIGH + 2.0, x + wide, y + 3.0];
        let free = |at: &(f64, f64)| {
            let [a, b, c, d] = around(*at);
            taken.iter().all(|[e, f, g, h]| c <= *e || *g <= a || d <= *f || *h <= b)
        };
        let at = beside.into_iter().chain(farther).find(free).unwrap_or(beside[0]);
        taken.push(around(at));
        out[index] = at;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Table, components, correlations};
    use super::*;

    /// The benchmarks of the paper lie close together, and every name can be read.
    #[test]
    fn no_name_stands_on_another() {
        let Ok(numbers) = Table::paper().numbers() else { panic!("the paper's tables are complete") };
        let parts = components(&correlations(&numbers), 2);
        let names = Table::paper().columns;
        let points: Vec<(f64, f64)> =
            parts[0].loadings.iter().zip(&parts[1].loadings).map(|(x, y)| (600.0 * x, -400.0 * y)).collect();
        let at = labels(&names, &points);
        let wide = |index: usize| LETTER * names[index].chars().count() as f64;
        for i in 0..names.len() {
            for j in 0..i {
                let apart = (at[i].1 - at[j].1).abs() >= 12.0
                    || at[i].0 + wide(i) <= at[j].0
                    || at[j].0 + wide(j) <= at[i].0;
                assert!(apart, "{} at {:?} and {} at {:?}", names[i], at[i], names[j], at[j]);
            }
        }
    }
}
