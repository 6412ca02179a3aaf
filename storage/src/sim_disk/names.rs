//! The simulated folders: which names exist, and which of them a power cut would leave.
//!
//! **Invariants:**
//! - `current` is what the process sees; `durable` with a prefix of `pending` applied, name by
//!   name, is what a crash leaves: an operation happened wholly or not at all, and never before an
//!   earlier one on the same name;
//! - an entry whose folder is missing does not exist.

use super::inode::Inode;
use super::random::SplitMix64;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// What a name stands for.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Folder,
    File(Arc<Mutex<Inode>>),
}

/// A change of names, not yet durable.
#[derive(Debug, Clone)]
pub(super) enum NameChange {
    Add { path: String, node: Node },
    Rename { from: String, to: String },
    Remove { path: String },
}

impl NameChange {
    fn paths(&self) -> [&str; 2] {
        match self {
            Self::Add { path, .. } | Self::Remove { path } => [path, path],
            Self::Rename { from, to } => [from, to],
        }
    }
}

type Entries = BTreeMap<String, Node>;

/// The folders of a simulated disk.
#[derive(Debug, Default)]
pub(super) struct Names {
    current: Entries,
    durable: Entries,
    pending: Vec<NameChange>,
}

impl Names {
    /// The same names and contents, all durable.
    pub(super) fn fork(&self) -> Self {
        let fork = |node: &Node| match node {
            Node::Folder => Node::Folder,
            Node::File(file) => Node::File(Arc::new(Mutex::new(super::lock(file).fork()))),
        };
        let current: Entries =
            self.current.iter().map(|(path, node)| (path.clone(), fork(node))).collect();
        Self { durable: current.clone(), current, pending: Vec::new() }
    }

    pub(super) fn find(&self, path: &str) -> Option<&Node> {
        self.current.get(path)
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || matches!(self.current.get(path), Some(Node::Folder))
    }

    /// All entries below a folder, deepest last; the empty path means all.
    pub(super) fn below<'a>(&'a self, dir: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        self.current
            .range(prefix.clone()..)
            .take_while(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, node)| (path.as_str(), node))
    }

    /// Does a change for the process; the medium learns of it at the next sync of its folder.
    pub(super) fn change(&mut self, change: NameChange) {
        apply(&mut self.current, &change);
        self.pending.push(change);
    }

    /// Makes a folder's changes durable, and with them all earlier ones they rest on.
    pub(super) fn sync(&mut self, dir: &str) {
        let mut names: Vec<String> = Vec::new();
        let mut chosen = vec![false; self.pending.len()];
        for (change, chosen) in self.pending.iter().zip(&mut chosen).rev() {
            let paths = change.paths();
            let in_folder = paths.iter().any(|path| parent(path) == dir);
            let rests = paths.iter().any(|path| names.iter().any(|name| related(name, path)));
            if in_folder || rests {
                *chosen = true;
                names.extend(paths.map(str::to_owned));
            }
        }
        let mut chosen = chosen.into_iter();
        let durable = &mut self.durable;
        self.pending.retain(|change| {
            let durably = chosen.next().unwrap_or(false);
            if durably {
                apply(durable, change);
            }
            !durably
        });
    }

    /// The power fails: a part of the pending changes happened, the others never did.
    pub(super) fn crash(&mut self, random: &mut SplitMix64) {
        let mut lost: Vec<String> = Vec::new();
        for change in std::mem::take(&mut self.pending) {
            let paths = change.paths();
            let follows = paths.iter().any(|path| lost.iter().any(|name| related(name, path)));
            if follows || random.one_in(2) {
                lost.extend(paths.map(str::to_owned));
            } else {
                apply(&mut self.durable, &change);
            }
        }
        let all = self.durable.clone();
        self.durable.retain(|path, _| {
            let dir = parent(path);
            dir.is_empty() || matches!(all.get(dir), Some(Node::Folder))
        });
        self.current = self.durable.clone();
    }
}

fn apply(entries: &mut Entries, change: &NameChange) {
    match change {
        NameChange::Add { path, node } => {
            entries.insert(path.clone(), node.clone());
        }
        NameChange::Rename { from, to } => {
            for path in at_and_below(entries, from) {
                if let Some(node) = entries.remove(&path) {
                    let rest = path.strip_prefix(from.as_str()).unwrap_or_default();
                    entries.insert(format!("{to}{rest}"), node);
                }
            }
        }
        NameChange::Remove { path } => {
            for path in at_and_below(entries, path) {
                entries.remove(&path);
            }
        }
    }
}

fn at_and_below(entries: &Entries, path: &str) -> Vec<String> {
    let range = entries.range(path.to_owned()..);
    let paths = range.map(|(found, _)| found).take_while(|found| found.starts_with(path));
    paths.filter(|found| related(found, path)).cloned().collect()
}

/// Whether the two are the same, or one is inside the other.
fn related(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder of a path; the empty path for the top.
pub(super) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}
