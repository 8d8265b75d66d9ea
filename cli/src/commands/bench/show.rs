//! The table for people, the document for programs, and CSV.

use serde_json::{Value, json};
use zoo_core::Precision;
use zoo_measure::{Speed, Summary};

use super::Measured;
use super::cell::Cell;
use zoo_terminal::table::{Table, bytes};

/// The name of an element type.
pub(super) fn dtype(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
        Precision::F16 => "f16",
    }
}

/// For people.
pub(super) fn text(measured: &Measured) -> String {
    let mut out = String::new();
    for machine in &measured.machines {
        out.push_str(&machine.to_string());
    }
    let mut table = Table::new(&[
        "",
        "dtype",
        ">threads",
        ">px",
        ">batch",
        ">images/s",
        ">quartiles",
        ">ms/image",
        ">GMAC/s",
        ">GFLOP/s",
        ">of peak",
        ">of product",
        ">load",
        ">first",
        ">memory",
    ]);
    for cell in &measured.cells {
        let Some(machine) = measured.machine(cell) else { continue };
        let size = cell.resolution.map_or_else(String::new, |side| side.to_string());
        let head = [
            cell.id.clone(),
            dtype(cell.dtype).into(),
            cell.threads.to_string(),
            size,
            cell.batch.to_string(),
        ];
        let tail = [
            seconds(cell.load_seconds),
            seconds(cell.first_seconds),
            cell.peak_memory.map_or_else(String::new, bytes),
        ];
        table.row(head.into_iter().chain(speed(cell.speed(machine))).chain(tail));
        for part in &cell.parts {
            let head = [format!("  {}", part.id), String::new(), String::new(), String::new(), String::new()];
            table.row(head.into_iter().chain(speed(cell.part_speed(part, machine))));
        }
    }
    out.push('\n');
    out.push_str(&table.render(0));
    out.push('\n');
    if let Some(table) = overheads(&measured.cells) {
        out.push_str(&table);
        out.push('\n');
    }
    for note in notes(measured) {
        out.push_str(&format!("{note}\n"));
    }
    out
}

/// What ensembles take beside their parts, each of which was also measured by itself.
fn overheads(cells: &[Cell]) -> Option<String> {
    let mut table = Table::new(&["", "dtype", ">batch", ">ms/image", ">alone", ">more", ">quartiles"]);
    let mut any = false;
    for cell in cells {
        let Some((overhead, sum)) = cell.overhead().zip(Summary::of(&cell.parts_alone())) else { continue };
        any = true;
        let median =
            |seconds: &[f64]| Summary::of(seconds).map_or_else(String::new, |s| each(s.median, cell));
        for part in &cell.parts {
            let head = [format!("  {}", part.id), String::new(), String::new()];
            table.row(head.into_iter().chain([median(&part.seconds), median(&part.alone)]));
        }
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        table.row([
            cell.id.clone(),
            dtype(cell.dtype).into(),
            cell.batch.to_string(),
            median(&cell.seconds),
            each(sum.median, cell),
            percent(overhead.median),
            format!("{}–{}", percent(overhead.low), percent(overhead.high)),
        ]);
    }
    any.then(|| table.render(0))
}

/// Milliseconds for an image, of the seconds of a call.
fn each(seconds: f64, cell: &Cell) -> String {
    digits(1e3 * seconds / cell.batch as f64)
}

fn notes(measured: &Measured) -> Vec<String> {
    let mut notes = Vec::new();
    if measured.cells.iter().any(|cell| cell.untrained) {
        notes.push(
            "UNTRAINED: some weights are random numbers; speed does not depend on them, outputs mean nothing"
                .into(),
        );
    }
    if measured.cells.iter().any(|cell| !cell.parts.is_empty()) {
        notes.push("Ensembles look at photos of 640×480 px; the time of an encoder holds the preparation of its pixels".into());
        notes.push(
            "alone: each part in turns of its own, an encoder on the same photos, the connector on features that were \
             kept; more: what the whole takes beside their sum in the same round"
                .into(),
        );
    }
    if measured.interrupted {
        notes.push("Interrupted: this is what was measured until then".into());
    }
    notes
}

/// The columns of a speed.
fn speed(speed: Option<Speed>) -> [String; 7] {
    let Some(speed) = speed else { return Default::default() };
    let share =
        |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share));
    let whole = |value: Option<f64>| value.map_or_else(String::new, digits);
    [
        digits(speed.images.median),
        format!("{}–{}", digits(speed.images.low), digits(speed.images.high)),
        digits(speed.milliseconds),
        whole(speed.gmacs),
        whole(speed.gflops),
        share(speed.of_instructions),
        share(speed.of_product),
    ]
}

/// Three significant digits.
fn digits(value: f64) -> String {
    let places = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.places$}")
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.0} ms", 1e3 * value) } else { format!("{value:.1} s") }
}

/// For programs.
pub(super) fn json(measured: &Measured) -> Value {
    let cell = |cell: &Cell| measured.machine(cell).map_or_else(|| json!(cell), |machine| cell.json(machine));
    json!({
        "machines": measured.machines,
        "cells": measured.cells.iter().map(cell).collect::<Vec<_>>(),
        "interrupted": measured.interrupted,
    })
}

/// One line a configuration, and one a part of an ensemble.
pub(super) fn csv(measured: &Measured) -> String {
    let mut out = String::from(
        "id,part,dtype,threads,resolution,batch,rounds,images_per_second,low,high,milliseconds_per_image,\
         gmacs_per_second,gflops_per_second,share_of_instruction_peak,share_of_product_peak,load_seconds,\
         first_seconds,peak_memory_bytes,untrained,milliseconds_per_image_alone\n",
    );
    for cell in &measured.cells {
        let Some(machine) = measured.machine(cell) else { continue };
        let alone = |seconds: &[f64]| Summary::of(seconds).map(|s| 1e3 * s.median / cell.batch as f64);
        let whole = (String::new(), cell.speed(machine), cell.seconds.len(), alone(&cell.parts_alone()));
        let parts = cell
            .parts
            .iter()
            .map(|p| (p.id.clone(), cell.part_speed(p, machine), p.seconds.len(), alone(&p.alone)));
        for (part, speed, rounds, alone) in std::iter::once(whole).chain(parts) {
            let Some(speed) = speed else { continue };
            let maybe = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
            let fields = [
                cell.id.clone(),
                part,
                dtype(cell.dtype).into(),
                cell.threads.to_string(),
                cell.resolution.map_or_else(String::new, |side| side.to_string()),
                cell.batch.to_string(),
                rounds.to_string(),
                speed.images.median.to_string(),
                speed.images.low.to_string(),
                speed.images.high.to_string(),
                speed.milliseconds.to_string(),
                maybe(speed.gmacs),
                maybe(speed.gflops),
                maybe(speed.of_instructions),
                maybe(speed.of_product),
                cell.load_seconds.to_string(),
                cell.first_seconds.to_string(),
                cell.peak_memory.map_or_else(String::new, |bytes| bytes.to_string()),
                cell.untrained.to_string(),
                maybe(alone),
            ];
            out.push_str(&fields.join(","));
            out.push('\n');
        }
    }
    out
}
