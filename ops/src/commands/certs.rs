//! `omnicart certs`: makes a cluster's own certificate authority and its nodes' certificates.
//!
//! **Invariants:** no file is ever overwritten; a key is readable by its owner alone from the moment
//! it exists; what would be refused by a node is not written; a command that fails leaves none of
//! its files behind.

mod making;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cluster::ids::NodeId;
use cluster::runtime::mesh::credentials::{AUTHORITY_FILE, CERTIFICATE_FILE, KEY_FILE};
use cluster::runtime::mesh::names::ClusterName;

use self::making::Made;
use super::{Output, Printer};
use crate::failure::{Exit, Failure};

/// The authority's key: what makes nodes, and is needed for nothing else.
pub const AUTHORITY_KEY_FILE: &str = "ca.key";
pub const AUTHORITY_DAYS_DEFAULT: u32 = 3_650;
pub const NODE_DAYS_DEFAULT: u32 = 365;
/// Longer is no validity but a mistake.
pub const DAYS_MAX: u32 = 36_500;

/// What to make.
#[derive(Clone, Debug)]
pub enum Request {
    Authority { out: PathBuf, cluster: ClusterName, days: u32 },
    Node { authority: PathBuf, node: NodeId, out: PathBuf, days: u32 },
}

/// Runs the command.
pub fn run(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    let mut printer = Printer::new(out, Output::Text);
    match request {
        Request::Authority { out, cluster, days } => {
            let Made { certificate, key } = making::authority(cluster, *days).map_err(failed)?;
            let files =
                [File::public(AUTHORITY_FILE, certificate), File::secret(AUTHORITY_KEY_FILE, key)];
            write_all(out, &files, &mut printer)
        }
        Request::Node { authority, node, out, days } => {
            let certificate = read(&authority.join(AUTHORITY_FILE))?;
            let key = read(&authority.join(AUTHORITY_KEY_FILE))?;
            let made = making::node(&certificate, &key, *node, *days)
                .with_context(|| format!("the authority in {}", authority.display()))
                .map_err(failed)?;
            let files = [
                File::public(AUTHORITY_FILE, certificate),
                File::public(CERTIFICATE_FILE, made.certificate),
                File::secret(KEY_FILE, made.key),
            ];
            write_all(out, &files, &mut printer)
        }
    }
}

/// A file to be made, and who may read it.
struct File {
    name: &'static str,
    contents: String,
    mode: u32,
}

impl File {
    fn public(name: &'static str, contents: String) -> Self {
        Self { name, contents, mode: 0o644 }
    }

    fn secret(name: &'static str, contents: String) -> Self {
        Self { name, contents, mode: 0o600 }
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(self.mode).open(path)?;
        let written = file.write_all(self.contents.as_bytes()).and_then(|()| file.sync_all());
        if written.is_err() {
            // Made above, by us: half a key is worse than none.
            fs::remove_file(path)?;
        }
        written
    }
}

fn write_all(folder: &Path, files: &[File], printer: &mut Printer<'_>) -> Result<(), Failure> {
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))
        .map_err(failed)?;
    let mut made: Vec<PathBuf> = Vec::new();
    for file in files {
        let path = folder.join(file.name);
        let written = file
            .write(&path)
            .with_context(|| format!("cannot create {}; nothing is overwritten", path.display()));
        if let Err(error) = written {
            for path in made {
                fs::remove_file(&path)
                    .with_context(|| format!("cannot remove {} again", path.display()))
                    .map_err(failed)?;
            }
            return Err(failed(error));
        }
        made.push(path);
    }
    for path in made {
        let path = path.display().to_string();
        printer.line("file", || path.clone(), || vec![("path", path.clone().into())])?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(failed)
}

fn failed(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Failed, error)
}
