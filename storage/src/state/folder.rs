//! The folder around sled's own: which generation is current, syncing its files, setting it aside.
//!
//! **Invariants:**
//! - each generation has a folder name of its own, so that an abandoned thread which still holds an
//!   old one by path cannot write into its successor;
//! - a generation becomes current only after its tree is on the device and names it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::IndexFault;
use super::ballast::Ballast;
use crate::codec;

const CURRENT: &str = "CURRENT";
const CURRENT_NEW: &str = "CURRENT.new";
const CURRENT_TYPE: u16 = 0x5349;
const CURRENT_VERSION: u16 = 1;
/// sled's folders are two deep; more would be somebody else's.
const DEPTH_MAX: u32 = 4;

/// The folder of one generation.
pub(super) fn generation_path(path: &Path, generation: u64) -> PathBuf {
    path.join(format!("g-{generation:016x}"))
}

/// The generation that the folder says is current, or `None` when there is no index yet.
pub(super) fn current(path: &Path) -> Result<Option<u64>, IndexFault> {
    let marker = path.join(CURRENT);
    let bytes = match fs::read(&marker) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(IndexFault::io("reading", &marker, error)),
    };
    let damaged = |reason: String| IndexFault::Marker { path: marker.clone(), reason };
    let envelope = codec::open_envelope(&bytes).map_err(|error| damaged(error.to_string()))?;
    match <[u8; 8]>::try_from(envelope.body) {
        Ok(body) if (envelope.type_id, envelope.version) == (CURRENT_TYPE, CURRENT_VERSION) => {
            Ok(Some(u64::from_le_bytes(body)))
        }
        Ok(_) | Err(_) => Err(damaged("it does not name a generation".to_owned())),
    }
}

/// Refuses a marker that points to nothing: sled would create an empty index there.
pub(super) fn check_present(generation: &Path) -> Result<(), IndexFault> {
    fs::metadata(generation.join("db"))
        .map(drop)
        .map_err(|error| IndexFault::io("opening", generation, error))
}

/// Makes a generation the current one and removes what no current marker pointed to.
pub(super) fn set_current(path: &Path, generation: u64) -> Result<(), IndexFault> {
    let fresh = path.join(CURRENT_NEW);
    let marker = path.join(CURRENT);
    let bytes = codec::seal_envelope(CURRENT_TYPE, CURRENT_VERSION, &generation.to_le_bytes());
    let write = || -> io::Result<()> {
        let mut file = File::create(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &marker)?;
        sync_folder(path)?;
        path.parent().map_or(Ok(()), sync_folder)
    };
    write().map_err(|error| IndexFault::io("writing", &marker, error))?;
    remove_others(path, &generation_path(path, generation));
    Ok(())
}

/// Leftovers of a creation that was cut short. Failing to remove them costs only their space.
fn remove_others(path: &Path, keep: &Path) {
    let Ok(entries) = fs::read_dir(path) else { return };
    for entry in entries.flatten() {
        let other = entry.path();
        if entry.file_name().to_string_lossy().starts_with("g-")
            && other != keep
            && let Err(error) = fs::remove_dir_all(&other)
        {
            tracing::warn!(path = %other.display(), %error, "a leftover folder of the state index stays");
        }
    }
}

/// Removes what an opening of sled left behind as it found no space: the next one would take it for
/// its newest snapshot, and damaged.
pub(super) fn remove_unfinished(generation: &Path) {
    let Ok(entries) = fs::read_dir(generation) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            // What stays is met again as the index opens.
            fs::remove_file(entry.path()).ok();
        }
    }
}

/// Renames the index's folder to `<name>.bad-<n>`, so that the next open starts an empty one.
/// At most one folder that was set aside is kept, for a person to look at.
///
/// Returns where it went, or `None` when there was nothing to set aside.
pub fn set_aside(path: &Path) -> Result<Option<PathBuf>, IndexFault> {
    let run = || -> io::Result<Option<PathBuf>> {
        if !path.try_exists()? {
            return Ok(None);
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ErrorKind::InvalidInput.into());
        };
        let prefix = format!("{}.bad-", name.to_string_lossy());
        let mut number = 0_u64;
        for entry in
            fs::read_dir(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })?
        {
            let entry = entry?;
            let Some(n) = numbered(&entry.file_name().to_string_lossy(), &prefix) else { continue };
            number = number.max(n.saturating_add(1));
            fs::remove_dir_all(entry.path())?;
        }
        // It is of no use to whoever looks at the folder.
        Ballast::in_folder(path).throw();
        let aside = parent.join(format!("{prefix}{number}"));
        fs::rename(path, &aside)?;
        sync_folder(parent)?;
        Ok(Some(aside))
    };
    run().map_err(|error| IndexFault::io("setting aside", path, error))
}

fn numbered(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}

/// Syncs every file and folder of a tree, then the folders it lies in. sled's own flush does not
/// reach the device.
pub(super) fn sync_files(path: &Path, generation: &Path) -> Result<(), IndexFault> {
    let fault = |error| IndexFault::io("syncing", generation, error);
    // What a failed sync was to keep may be lost, and the next one would not say so. Want of space is
    // no excuse here, as it is where something is written again.
    let fault = |error: io::Error| fault(io::Error::other(error));
    visit(generation, DEPTH_MAX, &mut |file| File::open(file)?.sync_all()).map_err(fault)?;
    sync_folder(path).map_err(fault)
}

/// Bytes that the files of a tree occupy by their length.
pub(super) fn size_on_disk(generation: &Path) -> Result<u64, IndexFault> {
    let mut bytes = 0_u64;
    let mut add = |file: &Path| -> io::Result<()> {
        let metadata = fs::metadata(file)?;
        if metadata.is_file() {
            bytes = bytes.saturating_add(metadata.len());
        }
        Ok(())
    };
    visit(generation, DEPTH_MAX, &mut add)
        .map_err(|error| IndexFault::io("measuring", generation, error))?;
    Ok(bytes)
}

/// Calls `each` for every file below `folder`, and for each folder after its files. Files that sled
/// removes meanwhile are skipped.
fn visit(
    folder: &Path,
    depth: u32,
    each: &mut impl FnMut(&Path) -> io::Result<()>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let visited = match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth > 0 => visit(&path, depth - 1, each),
            Ok(kind) if kind.is_dir() => Err(ErrorKind::InvalidData.into()),
            Ok(_) => each(&path),
            Err(error) => Err(error),
        };
        match visited {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    each(folder)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}
