//! The program in a process of its own, because settings and caches come from the environment. That process is the
//! test executable again, told to be `zoo`: so a suite needs no program that somebody built before.
//!
//! A suite that uses it has a test `program` that calls [`run`]. It is no part of the module `support`, so that only
//! such suites link the program.

#![allow(dead_code, reason = "each test program uses its part")]

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory as _;
use safetensors::SafeTensors;
use serde_json::Value;
use zoo_core::{path_bytes, path_text};
use zoo_preprocess::RgbImage;

/// What is asked about a picture.
pub const QUESTION: &str = "What is unusual here?";
const ARGUMENTS: &str = "ZOO_TEST_ARGUMENTS";
/// Set where the program is to use the streams of its process.
const TERMINAL: &str = "ZOO_TEST_TERMINAL";

/// The program. As a test of its own it says its version; told its arguments, it is what the other tests run.
pub fn run() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let given = std::env::var(ARGUMENTS).ok();
    let arguments: Vec<OsString> = match &given {
        Some(given) => serde_json::from_str::<Vec<String>>(given).unwrap().iter().map(|a| typed(a)).collect(),
        None => ["zoo", "--version"].map(OsString::from).to_vec(),
    };
    if given.is_some() {
        zoo_terminal::log::install(0);
    }
    if std::env::var_os(TERMINAL).is_some() {
        let (mut out, mut err) = (std::io::stdout().lock(), std::io::stderr());
        let code = command(arguments, zoo::Streams { out: &mut out, err: &mut err, terminal: true });
        std::process::exit(code.into());
    }
    let code = command(arguments, zoo::Streams { out: &mut out, err: &mut err, terminal: false });
    if given.is_none() {
        assert_eq!((code, out.starts_with(b"zoo ")), (0, true), "{}", String::from_utf8_lossy(&out));
        return;
    }
    fs::write("stdout", out).unwrap();
    fs::write("stderr", err).unwrap();
    std::process::exit(code.into());
}

/// `zoo`, or what `zoo` runs for this command, which is a program of its own and linked in here.
fn command(arguments: Vec<OsString>, streams: zoo::Streams<'_>) -> u8 {
    let other = zoo_learn::Cli::command();
    let name = arguments.get(1).and_then(|name| name.to_str()).unwrap_or_default();
    if other.get_subcommands().any(|command| command.get_name() == name) {
        return zoo_learn::run(arguments, streams);
    }
    zoo::run(arguments, streams)
}

/// An argument, which need not be UTF-8.
#[cfg(unix)]
fn typed(text: &str) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(path_bytes(text))
}

/// An argument.
#[cfg(not(unix))]
fn typed(text: &str) -> OsString {
    String::from_utf8(path_bytes(text)).unwrap().into()
}

/// The test checkpoint with an aggregator inside its language model, for `--model`.
pub fn model() -> String {
    crate::support::checkpoints().join("cambrian-vicuna").display().to_string()
}

/// A folder of its own to run in. Generated weights are shared by all.
pub struct Sandbox {
    folder: tempfile::TempDir,
    /// The plugin folder.
    pub plugins: PathBuf,
    /// What the program finds in its environment besides.
    pub environment: Vec<(String, String)>,
}

/// What the program wrote.
pub struct Ran {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// The log, which goes to the standard error of the process.
    pub log: String,
}

impl Sandbox {
    /// With these plugins, given by their source folders; no network.
    pub fn new(plugins: &[&str]) -> Self {
        let environment = vec![("HF_HUB_OFFLINE".to_owned(), "1".to_owned())];
        Self { folder: tempfile::tempdir().unwrap(), plugins: crate::support::staged(plugins), environment }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// Copies the test checkpoint `name` into the folder `to`.
    pub fn checkpoint(&self, name: &str, to: &str) {
        let all = crate::support::checkpoints();
        fs::create_dir_all(self.path(to)).unwrap();
        for entry in fs::read_dir(all.join(name)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, self.path(to).join(path.file_name().unwrap())).unwrap();
            }
        }
        let toml = fs::read_to_string(all.join(name).join("zoo.toml")).unwrap();
        let encoders = all.join("encoders").display().to_string();
        self.write(&format!("{to}/zoo.toml"), &toml.replace("../encoders", &encoders));
    }

    /// Changes a JSON file.
    pub fn edit(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let mut json: Value = serde_json::from_str(&fs::read_to_string(self.path(name)).unwrap()).unwrap();
        change(&mut json);
        self.write(name, &json.to_string());
    }

    /// An image that is not the same everywhere.
    pub fn image(&self, name: &str, width: u32, height: u32) {
        let image = RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([(x * 7 + y * 3) as u8, (y * 5) as u8 ^ 0x5a, (x ^ y) as u8])
        });
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        image.save(self.path(name)).unwrap();
    }

    /// `zoo` and the words of `line`, which must end with `code`.
    #[track_caller]
    pub fn run(&self, line: &str, code: i32) -> Ran {
        self.run_with(&line.split_whitespace().collect::<Vec<_>>(), code)
    }

    /// `zoo` and `arguments`, which must end with `code`.
    #[track_caller]
    pub fn run_with<A: AsRef<OsStr>>(&self, arguments: &[A], code: i32) -> Ran {
        self.run_typing(arguments, "", code)
    }

    /// [`Sandbox::run_with`], with `input` on its standard input.
    #[track_caller]
    pub fn run_typing<A: AsRef<OsStr>>(&self, arguments: &[A], input: impl AsRef<[u8]>, code: i32) -> Ran {
        self.finish(&mut self.command(arguments), input.as_ref(), code)
    }

    /// [`Sandbox::run`] where no file may become longer than so many blocks of 512 bytes, as on a disk that is full there.
    #[track_caller]
    pub fn run_within(&self, blocks: u64, line: &str, code: i32) -> Ran {
        let command = self.command(&line.split_whitespace().collect::<Vec<_>>());
        // The signal that comes with such a limit is ignored; then writing fails as it does otherwise.
        let limited = format!("ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\"");
        let mut shell = Command::new("sh");
        shell.args(["-c", &limited]).arg(command.get_program()).args(command.get_args());
        shell.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        shell.current_dir(self.folder.path());
        self.finish(&mut shell, b"", code)
    }

    #[track_caller]
    fn finish(&self, command: &mut Command, input: &[u8], code: i32) -> Ran {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A program that reads nothing may be gone already.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let read = |name: &str| fs::read_to_string(self.path(name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let ran = Ran { out: read("stdout"), err: read("stderr"), log };
        let Ran { out, err, log } = &ran;
        let arguments = command.get_envs().find(|(key, _)| *key == ARGUMENTS).map(|(_, line)| line);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}\n{log}");
        ran
    }

    /// `zoo` and `arguments`, going on.
    pub fn spawn(&self, arguments: &[&str]) -> std::process::Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// `zoo` and `arguments`, for a terminal: the streams are those of the process, after what the test harness says.
    pub fn on_terminal(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        command.env(TERMINAL, "1").env("TERM", "xterm");
        command
    }

    /// The program with `arguments`, which is not started yet.
    pub fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let arguments = arguments.iter().map(|argument| path_text(argument).into_owned());
        let all: Vec<String> = std::iter::once("zoo".to_owned()).chain(arguments).collect();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["program", "--exact", "--nocapture", "--test-threads=1"])
            .current_dir(self.folder.path())
            .env(ARGUMENTS, serde_json::to_string(&all).unwrap())
            .env("ZOO_PLUGIN_PATH", &self.plugins)
            .env("ZOO_CACHE", crate::support::folder().join("cache"))
            .env("ZOO_DATA", self.path("data"))
            .env("ZOO_CONFIG", self.path("config"))
            .env("HF_HOME", self.path("hf"))
            .envs(self.environment.iter().map(|(k, v)| (k, v)));
        command
    }

    /// The document that `zoo … --json` prints.
    #[track_caller]
    pub fn json(&self, line: &str, code: i32) -> Value {
        self.json_with(&line.split_whitespace().collect::<Vec<_>>(), code)
    }

    /// [`Sandbox::json`] for arguments with spaces.
    #[track_caller]
    pub fn json_with<A: AsRef<OsStr>>(&self, arguments: &[A], code: i32) -> Value {
        let json = OsStr::new("--json");
        let all: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).chain([json]).collect();
        let ran = self.run_with(&all, code);
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("no JSON ({e}): {}", ran.out))
    }

    /// A file that the program wrote.
    pub fn tensors(&self, name: &str) -> File {
        File { bytes: fs::read(self.path(name)).unwrap() }
    }

    /// Nothing half-written is left anywhere.
    #[track_caller]
    pub fn is_tidy(&self) {
        let left: Vec<PathBuf> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".part"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// A safetensors file, read by the public reader.
pub struct File {
    bytes: Vec<u8>,
}

impl File {
    /// Reads it.
    pub fn open(path: &Path) -> Self {
        Self { bytes: fs::read(path).unwrap() }
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        SafeTensors::deserialize(&self.bytes).unwrap().tensor(name).unwrap().shape().to_vec()
    }

    /// f32 values of a tensor.
    pub fn values(&self, name: &str) -> Vec<f32> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let data = file.tensor(name).unwrap().data().to_vec();
        data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.bytes).unwrap();
        let mut names: Vec<String> = file.names().into_iter().map(ToString::to_string).collect();
        names.sort();
        names
    }

    /// A text of the header.
    pub fn metadata(&self, key: &str) -> String {
        let (_, header) = SafeTensors::read_metadata(&self.bytes).unwrap();
        header.metadata().as_ref().unwrap().get(key).cloned().unwrap_or_else(|| panic!("no `{key}`"))
    }
}
