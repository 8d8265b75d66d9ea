//! `zoo doctor`: everything that can be wrong around the program, each with the way out.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use zoo_core::sdk::DeviceName;
use zoo_host::plugins::{PluginSet, by_handle};
use zoo_host::{DeviceChoice, Folders, HostError, Options, Zoo};
use zoo_hub::Settings;
use zoo_kernels::Isa;
use zoo_terminal::{CliError, Context, Report, SET_ASIDE, counted, threads};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    Warn,
    Fail,
}

struct Finding {
    what: &'static str,
    state: State,
    message: String,
    fix: Option<String>,
}

impl Finding {
    fn ok(what: &'static str, message: impl Into<String>) -> Self {
        Self { what, state: State::Ok, message: message.into(), fix: None }
    }

    fn warn(what: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state: State::Warn, message: message.into(), fix: Some(fix.into()) }
    }

    fn fail(what: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { what, state: State::Fail, message: message.into(), fix: Some(fix.into()) }
    }
}

pub(super) fn run(context: &Context<'_>) -> Result<Report, CliError> {
    let folders = Folders::from_env();
    let mut findings = vec![program(), device(context), number_of_threads(context), processor()];
    let plugin_dirs = context.plugin_dirs()?;
    match PluginSet::discover(&plugin_dirs, &folders.data) {
        Ok(plugins) => findings.extend(plugin_findings(&plugins)),
        Err(error) => findings.push(Finding::fail(
            "plugins",
            error.to_string(),
            "correct --plugin-dir or ZOO_PLUGIN_PATH",
        )),
    }
    findings.extend(registry(context, &folders));
    findings.extend([
        hub(context),
        models(&folders.data),
        folder("weights", &folders.cache, "ZOO_CACHE"),
        folder("settings", &folders.config, "ZOO_CONFIG"),
    ]);

    let failed = findings.iter().any(|f| f.state == State::Fail);
    let mut json = json!({ "checks": findings.iter().map(as_json).collect::<Vec<_>>(), "ok": !failed });
    if failed {
        json["error"] = "something must be fixed before zoo can work".into();
    }
    let text = findings.iter().map(as_text).collect();
    Ok(Report { text, json, failed })
}

fn as_text(finding: &Finding) -> String {
    let state = match finding.state {
        State::Ok => "ok  ",
        State::Warn => "warn",
        State::Fail => "FAIL",
    };
    let indent = " ".repeat(18);
    let message = finding.message.trim_end().replace('\n', &format!("\n{indent}"));
    let fix = finding.fix.as_ref().map_or_else(String::new, |fix| format!("{indent}→ {fix}\n"));
    format!("{state}  {:<10}  {message}\n{fix}", finding.what)
}

fn as_json(finding: &Finding) -> Value {
    let state = match finding.state {
        State::Ok => "ok",
        State::Warn => "warn",
        State::Fail => "fail",
    };
    json!({ "check": finding.what, "state": state, "message": finding.message, "fix": finding.fix })
}

fn program() -> Finding {
    let backends: Vec<&str> = [("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))]
        .into_iter()
        .filter_map(|(name, there)| there.then_some(name))
        .collect();
    let backends = if backends.is_empty() {
        "processor only".to_owned()
    } else {
        format!("with {}", backends.join(", "))
    };
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    Finding::ok("program", format!("zoo {} for {arch} {os}, {backends}", env!("CARGO_PKG_VERSION")))
}

fn device(context: &Context<'_>) -> Finding {
    let choice = context.global.device.unwrap_or(DeviceChoice::Auto);
    match choice.open() {
        Ok(device) => {
            let auto = if choice == DeviceChoice::Auto { " (chosen by auto)" } else { "" };
            Finding::ok("device", format!("{}{auto}", DeviceName::of(&device)))
        }
        Err(error) => Finding::fail("device", error.to_string(), "use --device cpu or --device auto"),
    }
}

fn number_of_threads(context: &Context<'_>) -> Finding {
    let cores = threads::cores();
    let message = match threads::limit(context.global.threads) {
        Some(limit) => format!("{limit} of {cores} (--threads or RAYON_NUM_THREADS)"),
        None => format!("{cores}, all that this process may use"),
    };
    Finding::ok("threads", message)
}

/// Which instructions the kernels take, and what the next level would need.
fn processor() -> Finding {
    let level = Isa::detect();
    let message = instructions(level, Isa::ALL.into_iter().find(|next| *next > level));
    if cfg!(target_arch = "x86_64") && level == Isa::Portable {
        return Finding::warn(
            "processor",
            message,
            "without AVX2, FMA and F16C everything works, but slowly",
        );
    }
    Finding::ok("processor", message)
}

fn instructions(level: Isa, next: Option<Isa>) -> String {
    let taken = Isa::ALL.into_iter().filter(|l| *l <= level).flat_map(Isa::features).copied();
    let taken: Vec<&str> = taken.collect();
    let mut message = format!("kernels of level {}", level.name());
    if taken.is_empty() {
        message += &format!(": what every {} has", std::env::consts::ARCH);
    } else {
        message += &format!(" ({})", taken.join(", "));
    }
    if let Some(next) = next.filter(|_| cfg!(target_arch = "x86_64")) {
        message += &format!("; {} would need {}", next.name(), next.missing().join(", "));
    }
    message
}

/// One line per folder and one per plugin; loads every plugin.
fn plugin_findings(plugins: &PluginSet) -> Vec<Finding> {
    let mut findings: Vec<Finding> = plugins
        .folders()
        .iter()
        .map(|folder| {
            let n = plugins.list().iter().filter(|f| f.folder == *folder).count();
            Finding::ok("folder", format!("{}: {}", folder.path.display(), counted(n, "plugin")))
        })
        .collect();
    findings.extend(plugins.warnings().into_iter().map(|warning| Finding {
        what: "plugins",
        state: State::Warn,
        message: warning,
        fix: None, // the message says what to do
    }));
    findings.push(if by_handle() {
        Finding::ok("plugins", "the library that is loaded is the file whose hash was checked")
    } else {
        Finding::warn(
            "plugins",
            "this system has no /proc: libraries are loaded by their path, which must lead to the checked file before and \
             after",
            "let nobody else write to the plugin folders",
        )
    });
    if plugins.list().is_empty() {
        let fix = "name the folder that holds *.plugin.toml files with --plugin-dir or ZOO_PLUGIN_PATH, or put it \
                   beside the program as `plugins`";
        findings.push(Finding::fail("plugins", "none were found, so no encoder can be opened", fix));
    }
    let names: BTreeSet<&str> = plugins.list().iter().map(|f| f.name.as_str()).collect();
    for name in names {
        findings.push(match plugins.get(name) {
            Ok(door) => Finding::ok("plugin", format!("{name} {}", door.version())),
            Err(error) => Finding {
                what: "plugin",
                state: State::Fail,
                message: format!("{name}: {error}"),
                fix: None, // the message says what to do
            },
        });
    }
    findings
}

fn registry(context: &Context<'_>, folders: &Folders) -> Vec<Finding> {
    let options = Options {
        registries: context.global.registry.clone(),
        plugin_dirs: context.plugin_dirs().unwrap_or_default(),
        offline: true,
        ..Options::default()
    };
    let own = folders.config.join("registry.toml");
    let zoo = match Zoo::open(options) {
        Ok(zoo) => zoo,
        Err(error) => {
            let fix = match &error {
                HostError::Registry(_) => "correct the file at the places shown",
                _ => "see the other findings",
            };
            return vec![Finding::fail("registry", error.to_string(), fix)];
        }
    };
    let registry = zoo.registry();
    let own = if own.is_file() { format!(", with {}", own.display()) } else { String::new() };
    let mut findings = vec![Finding::ok(
        "registry",
        format!("{} encoders, {} ensembles{own}", registry.encoders().len(), registry.ensembles().len()),
    )];
    let wrong = registry.set_aside().iter();
    findings.extend(wrong.map(|problem| Finding::warn("registry", problem.line(), SET_ASIDE)));
    let rows = registry
        .encoders()
        .map(|e| (&e.plugin, &e.id))
        .chain(registry.connectors().map(|c| (&c.plugin, &c.id)))
        .chain(registry.llms().map(|l| (&l.plugin, &l.id)));
    let mut missing: Vec<(&str, Vec<&str>)> = Vec::new();
    for (plugin, id) in rows.filter(|(plugin, _)| !super::plugins::available(&zoo, plugin)) {
        match missing.iter_mut().find(|(name, _)| name == plugin) {
            Some((_, ids)) => ids.push(id),
            None => missing.push((plugin, vec![id])),
        }
    }
    for (plugin, ids) in missing {
        findings.push(Finding::warn(
            "registry",
            format!("without plugin `{plugin}` these cannot be opened: {}", ids.join(", ")),
            format!("put {plugin}.plugin.toml and its library into a plugin folder"),
        ));
    }
    findings
}

fn hub(context: &Context<'_>) -> Finding {
    match Settings::from_env() {
        Err(error) => Finding::fail("hub", error.to_string(), "set HF_HOME to a folder"),
        Ok(settings) => {
            let cache = settings.cache.display();
            if let Err(why) = writable(&settings.cache) {
                let message = format!("cache {cache} cannot be written: {why}");
                return Finding::warn("hub", message, "set HF_HOME or HF_HUB_CACHE to a folder that can");
            }
            if context.global.offline || settings.offline {
                let message = format!("cache {cache}; offline: no socket is opened");
                return Finding::warn(
                    "hub",
                    message,
                    "unset HF_HUB_OFFLINE or leave --offline out to download",
                );
            }
            let token = if settings.token.is_some() { "a token is set" } else { "no token" };
            Finding::ok("hub", format!("cache {cache}; {} ({token})", settings.endpoint))
        }
    }
}

/// Whether the models that the program carries can be opened: they are unpacked when they are first asked for.
fn models(data: &Path) -> Finding {
    let into = data.join("models");
    let finding = folder("models", &into, "ZOO_DATA");
    match zoo_models::ALL.iter().find(|model| !model.is_unpacked(&into)) {
        Some(model) if finding.state != State::Ok => Finding {
            state: State::Fail,
            message: format!("{}; so `{}` cannot be unpacked and asked", finding.message, model.id),
            ..finding
        },
        _ => finding,
    }
}

/// Whether files can be made in a folder that the variable names.
fn folder(what: &'static str, path: &Path, variable: &str) -> Finding {
    match writable(path) {
        Ok(()) => {
            let state = if path.is_dir() { "" } else { " (made when needed)" };
            Finding::ok(what, format!("{}{state}", path.display()))
        }
        Err(why) => Finding::warn(
            what,
            format!("{} cannot be written: {why}", path.display()),
            format!("set {variable} to a folder that can, or change its permissions"),
        ),
    }
}

/// Tries whether files can be made in a folder, or in the nearest one above it that exists. Permissions alone do not tell:
/// a file system may be mounted for reading only.
fn writable(path: &Path) -> Result<(), String> {
    let there = path.ancestors().find(|p| p.symlink_metadata().is_ok()).unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return Err(format!("{} is no folder", there.display()));
    }
    let probe = there.join(format!(".zoo-doctor-{}", std::process::id()));
    let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe);
    made.map_err(|error| error.to_string())?;
    // What is left, if anything, is an empty file.
    let _ = std::fs::remove_file(&probe);
    Ok(())
}
