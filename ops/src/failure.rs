//! Why the process ends, as a person and as a script see it: one line, and an exit code.
//!
//! **Invariants:** an exit code keeps its meaning from version to version; the line names what
//! failed and every cause behind it, once.

use std::io;
use std::process::ExitCode;

use cluster::runtime::identity::IdentityError;
use cluster::runtime::joining::JoinError;
use cluster::runtime::mesh::MeshError;
use cluster::runtime::node::StartError;
use storage::disk::LockError;
use storage::log::LogError;
use storage::vault::KeyCheckError;

use crate::config::ConfigError;

/// Codes 70 and 74 come from a running node: a shard died, storage failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Anything without a code of its own; `verify` found damage.
    Failed = 1,
    /// A command line, setting, key file or catalogue that makes no sense.
    Usage = 2,
    AddressInUse = 10,
    /// The data folder cannot be made, read or written.
    Folder = 11,
    /// The data folder holds something else.
    ForeignFolder = 12,
    /// Another process uses the data folder.
    FolderInUse = 13,
    NewerFormat = 14,
    /// The encryption key is missing, another one, or not wanted.
    Key = 15,
    Damaged = 16,
    /// The cluster does not let this node in, or not with this data folder.
    NotAdmitted = 17,
    /// A node cannot be reached over HTTP, or cannot answer now.
    Unreachable = 20,
    /// The operator's token is missing, or another one.
    Unauthorized = 21,
    /// The cluster refused what it was asked for.
    Refused = 22,
    /// What was asked for was still under way when the wait for it ended.
    Unfinished = 23,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The end of a command that did not succeed.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
}

impl Failure {
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into() }
    }

    /// Says why, on stderr: as a log line where logging has begun.
    pub fn report(&self) {
        if tracing::dispatcher::has_been_set() {
            tracing::error!(exit.code = self.exit as u8, "{:#}", self.error);
        } else {
            eprintln!("omnicart: {:#}", self.error);
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Folder { .. } => Exit::Folder,
            StartError::Lock(error) => of_lock(error),
            StartError::Identity(error) => of_identity(error),
            StartError::Shards(_) => Exit::Usage,
            StartError::Log(error) => of_log(error),
            StartError::ShardLost { .. } | StartError::Restore(_) => Exit::Damaged,
            StartError::Join(error) => of_join(error),
            StartError::Index(_) | StartError::Group(_) | StartError::Start { .. } => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

pub(crate) fn of_lock(error: &LockError) -> Exit {
    match error {
        LockError::Held { .. } => Exit::FolderInUse,
        LockError::Io { .. } => Exit::Folder,
    }
}

pub(crate) fn of_identity(error: &IdentityError) -> Exit {
    match error {
        IdentityError::Io { .. } => Exit::Folder,
        IdentityError::Foreign { .. } => Exit::ForeignFolder,
        IdentityError::Newer { .. } | IdentityError::Level { .. } => Exit::NewerFormat,
        IdentityError::Damaged { .. } => Exit::Damaged,
        IdentityError::OtherShards { .. } | IdentityError::OtherNumber { .. } => Exit::Usage,
        IdentityError::Key(error) => of_key(error),
        IdentityError::Random(_) => Exit::Failed,
    }
}

fn of_join(error: &JoinError) -> Exit {
    match error {
        JoinError::Identity(error) => of_identity(error),
        JoinError::Mesh(MeshError::Listen { source, .. })
            if source.kind() == io::ErrorKind::AddrInUse =>
        {
            Exit::AddressInUse
        }
        JoinError::Mesh(MeshError::NotLoopback(_) | MeshError::Certificates(_))
        | JoinError::Certificates { .. } => Exit::Usage,
        JoinError::Mesh(MeshError::Listen { .. } | MeshError::Window { .. })
        | JoinError::NobodyAnswered { .. } => Exit::Failed,
        JoinError::Refused { .. } => Exit::NotAdmitted,
    }
}

fn of_key(error: &KeyCheckError) -> Exit {
    match error {
        KeyCheckError::NoKey { .. }
        | KeyCheckError::OtherKey { .. }
        | KeyCheckError::NotEncrypted { .. } => Exit::Key,
        KeyCheckError::NewerFormat { .. } => Exit::NewerFormat,
        KeyCheckError::Damaged(_) => Exit::Damaged,
        KeyCheckError::Create(_) => Exit::Failed,
    }
}

fn of_log(error: &LogError) -> Exit {
    match error {
        LogError::Io { .. } => Exit::Folder,
        LogError::Damaged { .. } | LogError::Unseal { .. } | LogError::Visitor { .. } => {
            Exit::Damaged
        }
        LogError::NewerFormat { .. } => Exit::NewerFormat,
        LogError::SealedWithoutKey { .. } => Exit::Key,
        LogError::SegmentBytes { .. } => Exit::Usage,
        LogError::Compacted { .. } | LogError::OutOfRange { .. } | LogError::Failed(_) => {
            Exit::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_fails_says_why_once_and_has_its_code() {
        let damaged = LogError::Damaged {
            file: "log/1.seg".to_owned(),
            offset: 512,
            reason: "a checksum does not match".to_owned(),
        };
        let failure = Failure::from(StartError::Log(damaged));
        assert_eq!(failure.exit, Exit::Damaged);
        assert_eq!(
            format!("{:#}", failure.error),
            "cannot open the log: log file log/1.seg is damaged at offset 512: \
             a checksum does not match"
        );
        let newer = StartError::Identity(IdentityError::Newer { found: 9 });
        assert_eq!(Failure::from(newer).exit, Exit::NewerFormat);
    }
}
