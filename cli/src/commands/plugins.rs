//! `zoo plugins`, and what other commands say of plugins.

use serde_json::{Value, json};
use zoo_core::path_text;
use zoo_host::plugins::{Found, Staged, Template};
use zoo_host::{Folders, HostError, Judgement, Zoo};
use zoo_pipeline::WriteError;
use zoo_pipeline::write::Replace;
use zoo_registry::Problem;

use crate::args::{PluginsAction, PluginsArgs, StageArgs};
use zoo_terminal::table::Table;
use zoo_terminal::{CliError, Context, Report, placed};

pub(super) fn run(args: &PluginsArgs, context: &Context<'_>) -> Result<Report, CliError> {
    match &args.action {
        PluginsAction::List => Ok(list(&context.zoo()?)),
        PluginsAction::Check { name } => check(&context.zoo()?, name.as_deref()),
        PluginsAction::Trust { name } => trust(&context.zoo()?, name),
        // Opens no registry and no other plugin: whatever is wrong with those must not keep an author from it.
        PluginsAction::Stage(args) => stage(args),
    }
}

fn list(zoo: &Zoo) -> Report {
    let (table, rows) = table(zoo);
    let folders: Vec<String> =
        zoo.plugins().folders().iter().map(|f| path_text(&f.path).into_owned()).collect();
    let text = if rows.is_empty() {
        "There are no plugins; `zoo doctor` says where they are looked for.\n".to_owned()
    } else {
        table.render(0)
    };
    Report::new(text, json!({ "plugins": rows, "folders": folders }))
}

/// What was found, from manifests alone.
pub(super) fn table(zoo: &Zoo) -> (Table, Vec<Value>) {
    let mut table = Table::new(&["NAME", "VERSION", "BACKEND", "LICENCE", "PROVIDES", "FOLDER"]);
    let mut rows = Vec::new();
    for found in zoo.plugins().list() {
        let folder = path_text(&found.folder.path).into_owned();
        match &found.manifest {
            Ok(manifest) => {
                let p = &manifest.provides;
                let provides = [&p.encoders[..], &p.connectors, &p.llms].concat().join(", ");
                table.row([
                    found.name.clone(),
                    manifest.version.clone(),
                    manifest.backend.clone(),
                    manifest.licence.clone(),
                    provides,
                    folder,
                ]);
            }
            Err(error) => {
                let dash = || "–".to_owned();
                table.row([found.name.clone(), dash(), dash(), dash(), format!("BROKEN: {error}"), folder]);
            }
        }
        rows.push(row(found));
    }
    (table, rows)
}

fn row(found: &Found) -> Value {
    let mut json = json!({
        "name": found.name, "folder": path_text(&found.folder.path), "manifest": path_text(&found.path),
    });
    match &found.manifest {
        Ok(manifest) => {
            json["version"] = manifest.version.clone().into();
            json["description"] = manifest.description.clone().into();
            json["licence"] = manifest.licence.clone().into();
            json["backend"] = manifest.backend.clone().into();
            json["target"] = manifest.target.clone().into();
            json["abi"] = manifest.abi.into();
            json["library"] = path_text(&found.folder.path.join(&manifest.file)).into();
            json["sha256"] = manifest.sha256.clone().into();
            json["provides"] = json!(manifest.provides);
        }
        Err(error) => json["error"] = error.to_string().into(),
    }
    json
}

fn check(zoo: &Zoo, only: Option<&str>) -> Result<Report, CliError> {
    let mut names: Vec<&str> = match only {
        Some(name) => vec![name],
        None => zoo.plugins().list().iter().map(|found| found.name.as_str()).collect(),
    };
    names.dedup();
    if names.is_empty() {
        return Ok(Report::new("There are no plugins to check.\n", json!({ "plugins": [] })));
    }
    let (mut text, mut rows, mut failed) = (String::new(), Vec::new(), 0);
    for name in names {
        match zoo.plugins().get(name) {
            Ok(door) => {
                let (problems, unjudged) = brought(zoo, name);
                let (ok, state) = if problems.is_empty() { (true, "ok  ") } else { (false, "FAIL") };
                failed += usize::from(!ok);
                text.push_str(&format!("{state}  {name} {}\n", door.version()));
                for problem in &problems {
                    text.push_str(&format!("      {}\n", problem.line()));
                }
                for note in &unjudged {
                    text.push_str(&format!("      note: {note}\n"));
                }
                let places: Vec<Value> = problems.iter().map(placed).collect();
                rows.push(json!({
                    "name": name, "ok": ok, "version": door.version(), "problems": places, "notes": unjudged,
                }));
            }
            Err(error) => {
                failed += 1;
                text.push_str(&format!("FAIL  {name}: {error}\n"));
                rows.push(json!({ "name": name, "ok": false, "error": error.to_string() }));
            }
        }
    }
    let mut json = json!({ "plugins": rows });
    if failed > 0 {
        json["error"] = format!("{failed} of {} plugins cannot be used", rows.len()).into();
    }
    Ok(Report { text, json, failed: failed > 0 })
}

/// What is wrong with the registry rows that a plugin brings, and which could not be judged.
fn brought(zoo: &Zoo, name: &str) -> (Vec<Problem>, Vec<String>) {
    let Some(found) = zoo.plugins().list().iter().find(|found| found.name == name) else {
        return Default::default();
    };
    let file = found.path.display().to_string();
    let aside = zoo.registry().set_aside().iter().filter(|p| p.place.file == file);
    let Judgement { problems, unjudged, .. } = zoo.judge(Some(&file));
    (aside.cloned().chain(problems).collect(), unjudged)
}

fn trust(zoo: &Zoo, name: &str) -> Result<Report, CliError> {
    let trusted = zoo.plugins().trust(name).map_err(HostError::from)?;
    let text = format!(
        "{} is trusted now\n  {}\n  sha256 {}\n",
        trusted.name,
        trusted.path.display(),
        trusted.sha256
    );
    let json = json!({ "name": trusted.name, "library": path_text(&trusted.path), "sha256": trusted.sha256 });
    Ok(Report::new(text, json))
}

fn stage(args: &StageArgs) -> Result<Report, CliError> {
    let data = Folders::from_env().data;
    let manifest = Template::read(&args.manifest).map_err(HostError::from)?.manifest_in(&args.into);
    if args.overwrite.replace() == Replace::Never && manifest.symlink_metadata().is_ok() {
        return Err(WriteError::There { paths: vec![manifest] }.into());
    }
    let staged =
        zoo_host::plugins::stage(&args.library, &args.manifest, &args.into).map_err(HostError::from)?;
    let Staged { manifest, library, .. } = &staged;
    let mut text = format!("{} {} staged\n  {}\n", manifest.name, manifest.version, path_text(library));
    let mut json = json!({ "name": manifest.name, "library": path_text(library), "sha256": manifest.sha256 });
    if args.trust {
        staged.trust(&data).map_err(HostError::from)?;
        text.push_str(&format!("  sha256 {}, trusted now\n", manifest.sha256));
        json["trusted"] = true.into();
    } else if let Some(command) = staged.untrusted(&data).map_err(HostError::from)? {
        text.push_str(&format!(
            "It has changed since it was trusted: {command} (or stage it with --trust)\n"
        ));
        json["next"] = command.into();
        return Ok(Report::new(text, json));
    }
    let next = staged.command("check", &data);
    text.push_str(&format!("next: {next}\n"));
    json["next"] = next.into();
    Ok(Report::new(text, json))
}

/// Whether a manifest of this name is within reach.
pub(super) fn available(zoo: &Zoo, name: &str) -> bool {
    zoo.plugins().list().iter().any(|f| f.name == name)
        || zoo.plugins().linked().iter().any(|p| p.name == name)
}

/// Name and version, or that it is not there.
pub(super) fn words(zoo: &Zoo, name: &str) -> String {
    if available(zoo, name) {
        zoo.plugins().signature(name)
    } else {
        format!("{name} (not found; see `zoo doctor`)")
    }
}
