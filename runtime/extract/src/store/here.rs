//! Files of a folder of this machine.

use std::io::{self, Write as _};
use std::path::Path as FilePath;

use tempfile::NamedTempFile;

use super::PARTIAL;

/// Writes a file of a folder; whether it was, as with `new` it must not be there yet.
pub(super) fn write_here(folder: &FilePath, name: &str, bytes: &[u8], new: bool) -> io::Result<bool> {
    let (scratch, to) = (folder.join(PARTIAL), folder.join(name));
    let mut file = zoo_records::temporary(&scratch)?;
    file.write_all(bytes)?;
    keep_here(file, &to, new)
}

/// Gives a complete file its name; whether it got it. What is there survives a loss of power from then on.
pub(super) fn keep_here(file: NamedTempFile, to: &FilePath, new: bool) -> io::Result<bool> {
    let folder = to.parent().unwrap_or(FilePath::new("."));
    std::fs::create_dir_all(folder)?;
    file.as_file().sync_all()?;
    open_to_all(&file)?;
    let kept = if new { file.persist_noclobber(to) } else { file.persist(to) };
    match kept {
        Ok(_) => {}
        Err(error) if new && error.error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        Err(error) => return Err(error.error),
    }
    // The name itself, where a folder can be synced.
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(true)
}

/// Temporary files are for their owner alone; outputs are as other new files.
fn open_to_all(file: &NamedTempFile) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}
