//! Opening a library: the only place where code of a plugin starts to run. Libraries are never closed, because
//! threads and thread-locals of theirs may outlive any last use.

#![allow(unsafe_code, reason = "opening a library runs code that no compiler has checked here")]

use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use abi_stable::StableAbi;
use abi_stable::abi_stability::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader};
use abi_stable::std_types::{RBoxError, RStr};
use abi_stable::type_layout::TypeLayout;
use zoo_abi::{ABI_REVISION, ENTRY_MAGIC, Entry, Object, PluginRootRef};
use zoo_core::Spec;
use zoo_core::sdk::failure::from_wire;
use zoo_core::sdk::wire::{OpenRequest, from_json, to_json};
use zoo_core::sdk::{Identity, InspectRequest, Inspection, ObjectKind, OpenOptions};

use super::foreign::Foreign;
use super::trust::Checked;
use super::{Manifest, PluginError};

/// A plugin whose library is open and has agreed to everything.
pub struct LoadedPlugin {
    manifest: Manifest,
    path: PathBuf,
    root: PluginRootRef,
    load_time: Duration,
}

impl LoadedPlugin {
    /// Its manifest, which the library has confirmed.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The library.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it took to open the library, to compare layouts and to start it; hashing it is not counted.
    pub fn load_time(&self) -> Duration {
        self.load_time
    }

    pub(super) fn inspect(&self, kind: ObjectKind, request: &InspectRequest) -> zoo_core::Result<Inspection> {
        let asked = to_json(request)?;
        let reply = self.root.inspect()(kind.code(), RStr::from(asked.as_str())).into_result();
        let reply = reply.map_err(|e| from_wire(&e))?;
        let broken = |what: String| zoo_core::Error::faulty(&self.manifest.name, what);
        let found: Inspection =
            from_json("its inspection", reply.as_str()).map_err(|e| broken(e.to_string()))?;
        let faults = found.faults(kind, &request.spec.id);
        if faults.is_empty() { Ok(found) } else { Err(broken(faults.join("; "))) }
    }

    /// Opens an object behind the traits.
    pub(super) fn foreign(
        self: &Arc<Self>,
        kind: ObjectKind,
        spec: &Spec,
        options: &OpenOptions,
    ) -> zoo_core::Result<Foreign> {
        Ok(Foreign { object: self.open(kind, spec, options)?, plugin: self.clone(), id: spec.id.clone() })
    }

    fn open(&self, kind: ObjectKind, spec: &Spec, options: &OpenOptions) -> zoo_core::Result<Object> {
        let request = to_json(&OpenRequest { spec: spec.clone(), options: options.clone() })?;
        let opened = self.root.open()(kind.code(), RStr::from(request.as_str())).into_result();
        opened.map_err(|e| from_wire(&e))
    }
}

/// The plugins of this process, by name: one library may hold several. Libraries belong to the process, so this is
/// a static.
fn loaded() -> &'static Mutex<HashMap<String, Arc<LoadedPlugin>>> {
    static LOADED: OnceLock<Mutex<HashMap<String, Arc<LoadedPlugin>>>> = OnceLock::new();
    LOADED.get_or_init(Mutex::default)
}

/// The plugin of this name and library, if it is loaded already.
pub(super) fn cached(name: &str, path: &Path) -> Option<Arc<LoadedPlugin>> {
    let all = loaded().lock().unwrap_or_else(PoisonError::into_inner);
    all.get(name).filter(|p| p.path == path).cloned()
}

/// Loads a library that passed the checks of [`super::trust`].
pub(super) fn load(
    manifest_path: &Path,
    manifest: &Manifest,
    library: Checked,
) -> Result<Arc<LoadedPlugin>, PluginError> {
    let mut all = loaded().lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = all.get(&manifest.name) {
        if known.path == library.path {
            return Ok(known.clone());
        }
        let (first, second) = (known.path.clone(), library.path);
        return Err(PluginError::Duplicate { name: manifest.name.clone(), first, second });
    }
    let (Checked { path, file, .. }, begun) = (library, Instant::now());
    let root = open_root(&manifest.name, &path, Some(file))?;
    manifest.check_identity(manifest_path, &identity(&manifest.name, &path, root)?)?;
    let started = root.init()(super::services::services(), RStr::from_str("{}")).into_result();
    started.map_err(|e| PluginError::Init { name: manifest.name.clone(), why: from_wire(&e).to_string() })?;
    let plugin = LoadedPlugin { manifest: manifest.clone(), path, root, load_time: begun.elapsed() };
    let plugin = Arc::new(plugin);
    all.insert(manifest.name.clone(), plugin.clone());
    Ok(plugin)
}

/// A library that is being staged, ready to be asked about its rows. It is not among the plugins of this process.
pub(super) fn try_out(manifest: &Manifest, path: &Path) -> Result<Arc<LoadedPlugin>, PluginError> {
    let begun = Instant::now();
    let root = open_root(&manifest.name, path, None)?;
    let started = root.init()(super::services::services(), RStr::from_str("{}")).into_result();
    started.map_err(|e| PluginError::Init { name: manifest.name.clone(), why: from_wire(&e).to_string() })?;
    let (manifest, path) = (manifest.clone(), path.to_path_buf());
    Ok(Arc::new(LoadedPlugin { manifest, path, root, load_time: begun.elapsed() }))
}

/// What the library of plugin `name` says of itself.
pub(super) fn identify(name: &str, path: &Path) -> Result<Identity, PluginError> {
    identity(name, path, open_root(name, path, None)?)
}

fn identity(name: &str, path: &Path, root: PluginRootRef) -> Result<Identity, PluginError> {
    let not = |why: String| PluginError::NotAPlugin { name: name.to_owned(), path: path.to_path_buf(), why };
    let text = root.manifest()().into_result().map_err(|e| not(from_wire(&e).to_string()))?;
    serde_json::from_str(text.as_str())
        .map_err(|e| not(format!("it says of itself what cannot be read: {e}")))
}

/// Opens a library and finds its functions. Plain integers are compared first, then the layout of every type
/// on the wire; until both agree, nothing of the library is called.
fn open_root(name: &str, path: &Path, file: Option<File>) -> Result<PluginRootRef, PluginError> {
    let not = |why: String| PluginError::NotAPlugin { name: name.to_owned(), path: path.to_path_buf(), why };
    let symbol = zoo_abi::symbol(name);
    let entry = find(path, file, &symbol)?.ok_or_else(|| not(format!("it exports no `{symbol}`")))?;
    // SAFETY: the symbol stays mapped for ever. Only the integers are read, through raw pointers, before they say
    // that the rest is there; a library that exports this name for less than 16 bytes cannot be told apart.
    let (magic, revision) = unsafe { ((*entry).magic, (*entry).abi_revision) };
    if magic != ENTRY_MAGIC {
        return Err(not(format!("`{symbol}` is something else")));
    }
    if revision != ABI_REVISION {
        return Err(PluginError::Revision { name: name.to_owned(), theirs: revision, ours: ABI_REVISION });
    }
    // SAFETY: magic and revision say that this is an `Entry` of our revision, a static that is never unmapped.
    let header: &'static LibHeader = unsafe { &(*entry).header };
    // SAFETY: `AbiHeaderRef` is transparent over a pointer to the first field of a `LibHeader`; `upgrade` checks
    // it before it is used as such.
    let header = unsafe { std::mem::transmute::<&'static LibHeader, AbiHeaderRef>(header) };
    let differs = |e: &dyn Display| PluginError::Layout { name: name.to_owned(), dump: dump(name, e) };
    let header = header.upgrade().map_err(|e| differs(&e))?;
    let layout = header.layout().ok_or_else(|| not("it does not describe its layout".into()))?;
    agree(layout).map_err(|e| differs(&e))?;
    // SAFETY: every type that can be reached from the table is laid out as ours, and fields that only one side has
    // stand at the end of tables that say which fields they have.
    unsafe { header.init_root_module_with_unchecked_layout() }.map_err(|e| differs(&e))
}

/// Compares the layout of every type on the wire. The check allows longer tables on the second side alone; as a
/// version of the wire only ever appends, an older plugin passes with the sides exchanged.
fn agree(theirs: &'static TypeLayout) -> Result<(), RBoxError> {
    let ours = <PluginRootRef as StableAbi>::LAYOUT;
    let newer = check_layout_compatibility(ours, theirs).into_result();
    newer.or_else(|e| check_layout_compatibility(theirs, ours).into_result().map_err(|_| e))
}

/// Writes the details of a failed layout check, a thousand lines for a single field, to a file.
fn dump(name: &str, error: &dyn Display) -> String {
    let write = || {
        use std::io::Write;
        let mut file =
            tempfile::Builder::new().prefix(&format!("zoo-{name}-layout-")).suffix(".txt").tempfile()?;
        write!(file, "{error}")?;
        Ok::<_, std::io::Error>(file.keep().map_err(|e| e.error)?.1)
    };
    write().map_or_else(|_| String::new(), |path| format!(" (details: {})", path.display()))
}

/// A path that leads to an open file whatever becomes of its name, where the system has one.
#[cfg(unix)]
fn descriptor(file: &File) -> Option<PathBuf> {
    use std::os::fd::AsRawFd;
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    path.exists().then_some(path)
}

/// Whether a library is loaded through the file that was hashed, and not by its path again.
pub fn by_handle() -> bool {
    cfg!(windows) || Path::new("/proc/self/fd").exists()
}

/// Opens a library for ever and looks a symbol up.
#[cfg(unix)]
fn find(path: &Path, file: Option<File>, symbol: &str) -> Result<Option<*const Entry>, PluginError> {
    use std::os::fd::IntoRawFd;

    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    // Through the open file, so that what was hashed is what is loaded. Where the system has no name for an open file,
    // the path must lead to it before and after: what was exchanged in between is refused, though its initialisers ran.
    let through = file.as_ref().and_then(descriptor);
    let checked = file.as_ref().filter(|_| through.is_none());
    let unchanged = || match checked.map(|file| super::trust::same(file, path)) {
        None | Some(Ok(true)) => Ok(()),
        Some(_) => {
            Err(PluginError::not_safe(path, "it was exchanged while it was being looked at; try again"))
        }
    };
    unchanged()?;
    let flags = RTLD_NOW | RTLD_LOCAL | libc::RTLD_NODELETE;
    // SAFETY: initialisers of the library run now. That is what the checks before this call are for.
    let library = unsafe { Library::open(Some(through.as_deref().unwrap_or(path)), flags) };
    let library = library.map_err(|e| {
        let why = match std::error::Error::source(&e) {
            Some(source) => source.to_string(),
            None => e.to_string(),
        };
        let why = match &through {
            Some(through) => why.replace(&through.display().to_string(), &path.display().to_string()),
            None => why,
        };
        PluginError::Open { path: path.to_path_buf(), why }
    })?;
    if let Err(error) = unchanged() {
        std::mem::forget(library);
        return Err(error);
    }
    // The loader knows libraries by the path they were opened with: a descriptor that is closed and used again
    // would lead to the old library. So this one stays open.
    if let Some(file) = file {
        let _ = file.into_raw_fd();
    }
    // SAFETY: the address is only used as a pointer.
    let entry = unsafe { library.get::<*const Entry>(symbol.as_bytes()) }.ok().map(|s| *s);
    std::mem::forget(library);
    Ok(entry.filter(|e| !e.is_null()))
}

/// Opens a library for ever and looks a symbol up.
#[cfg(windows)]
fn find(path: &Path, file: Option<File>, symbol: &str) -> Result<Option<*const Entry>, PluginError> {
    use libloading::os::windows::{LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR, LOAD_LIBRARY_SEARCH_SYSTEM32, Library};

    let flags = LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32;
    // SAFETY: initialisers of the library run now. That is what the checks before this call are for.
    let library = unsafe { Library::load_with_flags(path, flags) }
        .map_err(|e| PluginError::Open { path: path.to_path_buf(), why: e.to_string() })?;
    // SAFETY: the address is only used as a pointer.
    let entry = unsafe { library.get::<*const Entry>(symbol.as_bytes()) }.ok().map(|s| *s);
    std::mem::forget(library);
    // Held until here, so that nobody could exchange what was hashed.
    drop(file);
    Ok(entry.filter(|e| !e.is_null()))
}
