//! `zoo cv-bench` and `zoo analyse`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use zoo_eval::analyse::{self, Table};
use zoo_eval::build::{self, Built, Rules};
use zoo_eval::compare::scored;
use zoo_eval::score::Scorer;
use zoo_pipeline::write;
use zoo_terminal::{CliError, Context, Report, counted};

use crate::args::{AnalyseArgs, BuildArgs, CvBenchArgs, CvBenchCommand, FinishArgs};
use crate::told::judged;

pub(super) fn cv_bench(args: &CvBenchArgs, _: &Context<'_>) -> Result<Report, CliError> {
    match &args.command {
        CvBenchCommand::Build(args) => draft(args),
        CvBenchCommand::Finish(args) => finish(args),
    }
}

fn draft(args: &BuildArgs) -> Result<Report, CliError> {
    if args.coco.is_empty() && args.ade20k.is_empty() && args.omni3d.is_empty() {
        return Err(CliError::Usage("give annotations with --coco, --ade20k or --omni3d".into()));
    }
    let mut scenes = Vec::new();
    for path in &args.coco {
        scenes.extend(build::coco(path).map_err(judged)?);
    }
    for path in &args.ade20k {
        scenes.extend(build::ade20k(path).map_err(judged)?);
    }
    for path in &args.omni3d {
        scenes.extend(build::omni3d(path).map_err(judged)?);
    }
    let rules = Rules {
        seed: args.seed,
        per_picture: args.per_picture,
        smallest: args.smallest,
        most: args.most,
        apart: args.apart,
        depth_margin: args.depth_margin,
        distance_margin: args.distance_margin,
        ..Rules::default()
    };
    let Built { items, rejected } =
        build::build(&scenes, &args.pictures, &args.out, &rules).map_err(judged)?;
    let mut text = String::new();
    for (task, count) in &items {
        let _ = writeln!(text, "{count:>6}  {task}");
    }
    let out = args.out.display();
    let _ = writeln!(text, "{} rejected: {out}/rejected.jsonl says why", counted(rejected, "candidate"));
    let _ = writeln!(text, "{out}/review.html: look at every item before it is used");
    Ok(Report::new(text, json!({ "out": args.out, "items": items, "rejected": rejected })))
}

fn finish(args: &FinishArgs) -> Result<Report, CliError> {
    let count = build::finish(&args.draft, &args.decisions, &args.out).map_err(judged)?;
    let text =
        format!("{}: {} for `zoo eval --tasks cv-bench`\n", args.out.display(), counted(count, "item"));
    Ok(Report::new(text, json!({ "out": args.out, "items": count })))
}

pub(super) fn analyse(args: &AnalyseArgs, _: &Context<'_>) -> Result<Report, CliError> {
    let score = |run: &Path| scored(run, Scorer::Paper).map_err(judged);
    let table = match &args.scores {
        Some(path) => Table::open(path).map_err(judged)?,
        None if args.runs.is_empty() => Table::paper(),
        None => Table::runs(&args.runs.iter().map(|run| score(run)).collect::<Result<Vec<_>, _>>()?),
    };
    let blind = match args.blind.as_deref().map(|pair| pair.split_once('=')) {
        None => Vec::new(),
        Some(Some((seeing, blind))) => analyse::blind(&score(Path::new(seeing))?, &score(Path::new(blind))?),
        Some(None) => return Err(CliError::Usage("--blind takes two runs: SEEING=BLIND".into())),
    };
    let (page, pictures) = analyse::html(&table, &blind).map_err(judged)?;
    let mut files = vec![(args.out.join("benchmarks.html"), page)];
    files.extend(pictures.into_iter().map(|(name, svg)| (args.out.join(format!("{name}.svg")), svg)));
    let replace = args.overwrite.replace();
    for (path, _) in &files {
        write::free(path, replace)?;
    }
    let mut text = String::new();
    for (path, content) in &files {
        write::file(path, replace, |file| file.write_all(content.as_bytes()))?;
        let _ = writeln!(text, "{}", path.display());
    }
    let written: Vec<&PathBuf> = files.iter().map(|(path, _)| path).collect();
    Ok(Report::new(
        text,
        json!({ "written": written, "models": table.rows, "benchmarks": table.columns, "blind": blind }),
    ))
}
