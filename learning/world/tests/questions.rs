//! Every stored answer follows from the picture and its masks, looked up by other means than those that made it.

#![allow(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::BTreeMap;

use zoo_world::ask::{Ask, Length, Question, caption, questions};
use zoo_world::draw::Mix;
use zoo_world::scene::words::{Class, Colour};
use zoo_world::scene::{Body, ChartKind, Kind, Scene, Split};
use zoo_world::truth::{Thing, Truth};
use zoo_world::{Rendering, render, scene};

const SIDE: u32 = 160;

/// A picture and all about it.
struct Case {
    scene: Scene,
    seen: Rendering,
    truth: Truth,
    asked: Vec<Question>,
}

fn cases(kind: Kind, count: u64) -> Vec<Case> {
    let make = |index| {
        let scene = scene(11, Mix::only(kind), Split::Val, index);
        let seen = render(&scene, SIDE);
        let truth = Truth::of(&scene, &seen);
        let asked = questions(&scene, &truth, 11);
        Case { scene, seen, truth, asked }
    };
    (0..count).map(make).collect()
}

/// Mean place and mean depth of the pixels of a thing, and how many they are.
fn place(seen: &Rendering, thing: usize) -> (f64, f64, f64, usize) {
    let (mut x, mut y, mut z, mut n) = (0.0, 0.0, 0.0, 0);
    for (at, id) in seen.instance.iter().enumerate() {
        if usize::from(*id) == thing {
            x += (at % seen.width) as f64 + 0.5;
            y += (at / seen.width) as f64 + 0.5;
            z += seen.depth.get(at).map_or(0.0, |depth| f64::from(*depth));
            n += 1;
        }
    }
    let count = n.max(1) as f64;
    (x / count, y / count, z / count, n)
}

/// What the scene itself calls its thing: class, colour, size, material.
fn written(body: &Body, thing: usize) -> (String, Option<Colour>, String, String) {
    match body {
        Body::Room(room) => {
            let o = &room.objects[thing - 1];
            (o.solid.word().into(), Some(o.colour), o.size.word().into(), o.material.word().into())
        }
        Body::Flat(flat) => {
            let d = &flat.figures[thing - 1];
            (d.figure.word().into(), Some(d.colour), d.size.word().into(), String::new())
        }
        Body::Page(page) => {
            (String::new(), Some(page.texts[thing - 1].printed.colour), String::new(), String::new())
        }
        Body::Chart(_) => (String::new(), None, String::new(), String::new()),
    }
}

fn things(body: &Body) -> usize {
    match body {
        Body::Room(room) => room.objects.len(),
        Body::Flat(flat) => flat.figures.len(),
        Body::Page(page) => page.texts.len(),
        Body::Chart(chart) => chart.values.len(),
    }
}

/// How many things of the scene that are seen hold to class and colour.
fn matching(case: &Case, class: Option<Class>, colour: Option<Colour>) -> usize {
    let count = things(&case.scene.body);
    let all = (1..=count).filter(|thing| place(&case.seen, *thing).3 > 0);
    all.filter(|thing| {
        let (word, own, ..) = written(&case.scene.body, *thing);
        word != "sign"
            && class.is_none_or(|class| class.word() == word)
            && colour.is_none_or(|c| own == Some(c))
    })
    .count()
}

/// Corners of a thing's box seen from a point, nearest and farthest.
fn reach(thing: &Thing, from: (f64, f64, f64)) -> (f64, f64) {
    let corners = thing.space.as_ref().unwrap().corners;
    let far =
        |c: &zoo_world::V3| ((c.0 - from.0).powi(2) + (c.1 - from.1).powi(2) + (c.2 - from.2).powi(2)).sqrt();
    let all: Vec<f64> = corners.iter().map(far).collect();
    (all.iter().copied().fold(f64::INFINITY, f64::min), all.iter().copied().fold(0.0, f64::max))
}

/// What the answer must be.
fn expected(case: &Case, ask: &Ask) -> String {
    let Case { scene, seen, truth, .. } = case;
    let thing = |number: usize| &truth.things[number - 1];
    let either = |first: bool, a: &str, b: &str| if first { a.to_owned() } else { b.to_owned() };
    match ask {
        Ask::Count { class, colour } => matching(case, *class, *colour).to_string(),
        Ask::Existence { class, colour } => either(matching(case, *class, *colour) > 0, "yes", "no"),
        Ask::Colour { thing } => written(&scene.body, *thing).1.unwrap().word().to_owned(),
        Ask::Shape { thing } => written(&scene.body, *thing).0,
        Ask::Size { thing } => written(&scene.body, *thing).2,
        Ask::Material { thing } => written(&scene.body, *thing).3,
        Ask::Relation { of, to, axis: 'x' } => {
            either(place(seen, *of).0 < place(seen, *to).0, "left", "right")
        }
        Ask::Relation { of, to, .. } => either(place(seen, *of).1 < place(seen, *to).1, "above", "below"),
        Ask::Depth { a, b } => {
            let (first, second) = (reach(thing(*a), (0.0, 0.0, 0.0)), reach(thing(*b), (0.0, 0.0, 0.0)));
            assert!(first.1 < second.0 || second.1 < first.0, "{ask:?} is in doubt");
            // The depth of what is seen agrees with the boxes.
            assert_eq!(
                first.1 < second.0,
                place(seen, *a).2 < place(seen, *b).2,
                "{ask:?} of {}",
                truth.name
            );
            either(first.1 < second.0, "a", "b")
        }
        Ask::Distance { anchor, a, b } => {
            let centre = thing(*anchor).space.as_ref().unwrap().centre;
            let from = (centre.0, centre.1, centre.2);
            let (first, second) = (reach(thing(*a), from), reach(thing(*b), from));
            assert!(first.1 < second.0 || second.1 < first.0, "{ask:?} is in doubt");
            either(first.1 < second.0, "a", "b")
        }
        Ask::Word { thing } | Ask::Number { thing } => match &scene.body {
            Body::Page(page) => page.texts[thing - 1].printed.text.clone(),
            Body::Room(room) => room.objects[thing - 1].printed.as_ref().unwrap().text.clone(),
            _ => panic!("nothing is printed"),
        },
        Ask::Value { thing } => value(&scene.body, *thing),
        Ask::Extreme { most } => {
            let Body::Chart(chart) = &scene.body else { panic!("no chart") };
            let mut sorted: Vec<_> = chart.values.iter().zip(&chart.labels).collect();
            sorted.sort();
            if *most { sorted.last() } else { sorted.first() }.unwrap().1.clone()
        }
        Ask::Marks => {
            let mut ids: Vec<u16> = seen.instance.iter().copied().filter(|id| *id > 0).collect();
            ids.sort_unstable();
            ids.dedup();
            ids.len().to_string()
        }
        Ask::Chart => match &scene.body {
            Body::Chart(chart) => chart.chart.word().to_owned(),
            _ => panic!("no chart"),
        },
    }
}

fn value(body: &Body, thing: usize) -> String {
    let Body::Chart(chart) = body else { panic!("no chart") };
    let value = chart.values[thing - 1];
    if chart.chart == ChartKind::Pie { format!("{value}%") } else { value.to_string() }
}

/// Things that a question names by words that must fit one thing only.
fn subjects(ask: &Ask) -> Vec<usize> {
    match ask {
        Ask::Colour { thing } | Ask::Shape { thing } | Ask::Material { thing } | Ask::Size { thing } => {
            vec![*thing]
        }
        Ask::Relation { of, to, .. } => vec![*of, *to],
        Ask::Depth { a, b } => vec![*a, *b],
        Ask::Distance { anchor, a, b } => vec![*anchor, *a, *b],
        _ => Vec::new(),
    }
}

#[test]
fn answers_follow_from_pictures() {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    let mut positions: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut said: BTreeMap<String, usize> = BTreeMap::new();
    for (kind, count) in [(Kind::Room, 160), (Kind::Flat, 120), (Kind::Page, 60), (Kind::Chart, 60)] {
        for case in cases(kind, count) {
            for question in &case.asked {
                let what = format!("{}: {}", case.truth.name, question.text);
                *kinds.entry(question.ask.kind()).or_default() += 1;
                let right = expected(&case, &question.ask);
                let answer = question.answer();
                match &question.ask {
                    // The options are names in random order: the right one fits the thing that is closer.
                    Ask::Depth { a, b } | Ask::Distance { a, b, .. } => {
                        let closer = if right == "a" { *a } else { *b };
                        assert!(answer.ends_with(&written(&case.scene.body, closer).0), "{what}: {answer}");
                        let words = answer.split(' ').count();
                        let colour = written(&case.scene.body, closer).1.unwrap().word();
                        assert!(words == 1 || answer.contains(colour), "{what}: {answer}");
                    }
                    _ => assert_eq!(answer, right, "{what}"),
                }
                for thing in subjects(&question.ask) {
                    let about = &case.truth.things[thing - 1];
                    assert!(about.visible >= 0.35 && about.pixels >= 30, "{what}: hardly seen {about:?}");
                }
                let mut options: Vec<String> = question.choices.iter().map(|c| c.to_lowercase()).collect();
                options.sort();
                options.dedup();
                assert_eq!(
                    options.len(),
                    question.choices.len(),
                    "{what}: equal options {:?}",
                    question.choices
                );
                assert!((2..=6).contains(&options.len()), "{what}: {:?}", question.choices);
                let row = positions.entry(options.len()).or_insert_with(|| vec![0; options.len()]);
                row[question.correct] += 1;
                if matches!(question.ask, Ask::Existence { .. } | Ask::Relation { .. }) {
                    *said.entry(answer.to_owned()).or_default() += 1;
                }
            }
        }
    }
    for kind in Ask::KINDS {
        assert!(kinds.get(kind).is_some_and(|count| *count >= 10), "{kind} is hardly asked: {kinds:?}");
    }
    for (options, row) in &positions {
        let (total, least) = (row.iter().sum::<usize>() as f64, 0.7 / *options as f64);
        if total > 100.0 {
            assert!(row.iter().all(|n| *n as f64 >= least * total), "{options} options: right at {row:?}");
        }
    }
    for (a, b) in [("yes", "no"), ("left", "right"), ("above", "below")] {
        let (a, b) = (said[a] as f64, said[b] as f64);
        assert!((a - b).abs() < 0.25 * (a + b), "{said:?}");
    }
}

#[test]
fn names_of_colours_are_what_the_pixels_show() {
    // Of the pixels of a thing, those that are lit decide; metal mirrors its surroundings and patterns have two shades, so
    // plain things are looked at.
    let (mut right, mut all) = (0, 0);
    let mut wrong = Vec::new();
    for case in cases(Kind::Flat, 60).into_iter().chain(cases(Kind::Room, 60)) {
        for (i, thing) in case.truth.things.iter().enumerate() {
            let plain = thing.pattern.is_none_or(|p| p.word() == "plain")
                && thing.material.is_none_or(|m| m.word() == "matte");
            let outlined = matches!(&case.scene.body, Body::Flat(f) if f.figures[i].style != zoo_world::scene::Style::Filled);
            if !plain || outlined || thing.class == Class::Sign || thing.pixels < 60 {
                continue;
            }
            let mut pixels: Vec<[f64; 3]> = Vec::new();
            for (at, id) in case.seen.instance.iter().enumerate() {
                if usize::from(*id) == i + 1 {
                    pixels.push([0, 1, 2].map(|c| f64::from(case.seen.rgb[at * 3 + c])));
                }
            }
            pixels.sort_by(|a, b| a.iter().sum::<f64>().total_cmp(&b.iter().sum()));
            let bright = &pixels[pixels.len() / 2..];
            let mean = [0, 1, 2].map(|c| bright.iter().map(|p| p[c]).sum::<f64>() / bright.len() as f64);
            let name = named(mean);
            all += 1;
            if name == thing.colour.unwrap().word() {
                right += 1;
            } else {
                wrong.push(format!(
                    "{} {} {mean:.0?} looks {name}",
                    case.truth.name,
                    thing.colour.unwrap().word()
                ));
            }
        }
    }
    assert!(all > 150, "{all}");
    assert!(right * 100 >= all * 97, "{right} of {all}: {wrong:#?}");
}

/// The name of a colour by its hue, written without the table of the world.
fn named([r, g, b]: [f64; 3]) -> &'static str {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let chroma = high - low;
    if chroma < 0.25 * high || high < 42.0 {
        return if high < 90.0 { "black" } else { "white" };
    }
    let hue = 60.0
        * if high == r {
            ((g - b) / chroma).rem_euclid(6.0)
        } else if high == g {
            (b - r) / chroma + 2.0
        } else {
            (r - g) / chroma + 4.0
        };
    match hue {
        h if !(14.0..310.0).contains(&h) => {
            if low > 0.42 * high {
                "pink"
            } else {
                "red"
            }
        }
        h if h < 44.0 => "orange",
        h if h < 70.0 => "yellow",
        h if h < 160.0 => "green",
        h if h < 206.0 => "cyan",
        h if h < 256.0 => "blue",
        _ => "purple",
    }
}

#[test]
fn captions_name_what_is_there() {
    for kind in Kind::ALL.iter().copied() {
        for case in cases(kind, 25) {
            let texts: Vec<String> =
                Length::ALL.iter().map(|l| caption(&case.scene, &case.truth, *l, 3)).collect();
            assert!(texts.iter().all(|text| text.ends_with('.')), "{texts:?}");
            assert!(texts[0].len() <= texts[2].len(), "{texts:?}");
            for thing in &case.truth.things {
                let word = thing.text.as_deref().or(thing.label.as_deref()).unwrap_or(thing.class.word());
                assert!(
                    texts[2].to_lowercase().contains(&word.to_lowercase()),
                    "{word} is not in {}",
                    texts[2]
                );
            }
        }
    }
}
