//! The rules of the house that a compiler does not check.
//!
//! A comment or a string is not code: the words of the rules are looked for in code alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate may use those to its right.
const LINE: [&str; 5] = ["ops", "edge", "actors", "cluster", "storage"];
const TOP_LEVEL: [&str; 9] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "actors",
    "benches",
    "cluster",
    "edge",
    "ops",
    "storage",
];
const FILE_LINES_MAX: usize = 800;
const FILE_LINES_WANTED: usize = 400;

/// Folders of pure code; one that ends in `?` may not be there yet.
const PURE: [&str; 7] = [
    "actors/src/domain",
    "cluster/src/shard",
    "cluster/src/replication",
    "cluster/src/placement",
    "cluster/src/node",
    "cluster/src/wire",
    "cluster/src/sim?",
];
const IMPURE: [&str; 14] = [
    "async",
    "await",
    "tokio",
    "ractor",
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "rand",
    "getrandom",
    "SystemTime",
    "Instant",
    "storage::clock",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").to_owned()
}

/// A source file, its path relative to the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The text without comments and literals, line by line.
    fn code(&self) -> String {
        code_of(&self.text)
    }

    /// The code before the file's own unit tests; nothing of a file that is all tests.
    fn production(&self) -> String {
        if self.is_test() {
            return String::new();
        }
        let code = self.code();
        match code.find("#[cfg(test)]\nmod tests {") {
            Some(end) => code[..end].to_owned(),
            None => code,
        }
    }

    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        ["tests.rs", "properties.rs"].contains(&name)
            || self.path.contains("/tests/")
            || self.path.contains("/golden")
    }

    fn lies_in(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(['/', '.']))
    }
}

fn sources() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    for member in TOP_LEVEL {
        collect(&root.join(member), &mut files);
    }
    let sources = files.into_iter().map(|file| Source {
        path: file.strip_prefix(&root).expect("inside").display().to_string(),
        text: fs::read_to_string(&file).expect("a text"),
    });
    let sources: Vec<_> = sources.collect();
    assert!(sources.len() > 50, "only {} sources were found", sources.len());
    sources
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.ends_with("benches/fuzz/target") {
        // Where fuzzed builds go unless told otherwise.
    } else if path.is_dir() {
        for entry in fs::read_dir(path).expect("a folder") {
            collect(&entry.expect("an entry").path(), files);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        files.push(path.to_owned());
    }
}

/// Blanks comments, strings and character literals, and keeps the lines.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("r#\"") {
            rest.find("\"#").map_or(rest.len(), |end| end + 2)
        } else if first == '"' {
            string_end(rest)
        } else if first == '\'' {
            character_end(rest)
        } else {
            0
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

fn string_end(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// Zero for a lifetime, which is no literal.
fn character_end(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), _) => rest[2..].find('\'').map_or(0, |end| 2 + end + 1).max(4),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

/// Whether a word (or path) stands in code as such, not as part of a longer name.
fn has_word(code: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    code.match_indices(word).any(|(at, _)| {
        !part(code[..at].chars().next_back()) && !part(code[at + word.len()..].chars().next())
    })
}

#[track_caller]
fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn dependencies_run_one_way() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut members = BTreeMap::new();
    for package in packages {
        let dependencies = package["dependencies"].as_array().expect("dependencies");
        let own = dependencies.iter().filter(|dependency| dependency["path"].is_string());
        let own: BTreeSet<_> = own.filter_map(|dependency| dependency["name"].as_str()).collect();
        members.insert(package["name"].as_str().expect("a name"), own);
    }
    let names: BTreeSet<_> = members.keys().copied().collect();
    assert_eq!(names, LINE.into_iter().chain(["benches"]).collect());
    let mut found = Vec::new();
    for (member, dependencies) in &members {
        let place = LINE.iter().position(|name| name == member);
        for dependency in dependencies {
            let to = LINE.iter().position(|name| name == dependency);
            let allowed = match (place, to) {
                (Some(place), Some(to)) => to > place,
                (None, Some(_)) => true,
                (_, None) => false,
            };
            if !allowed {
                found.push(format!("{member} depends on {dependency}"));
            }
        }
    }
    none(&found, "a crate uses only those to its right, and nobody uses benches");
}

#[test]
fn versions_stand_in_the_workspace_alone() {
    let mut found = Vec::new();
    for member in LINE.into_iter().chain(["benches"]) {
        let manifest = root().join(member).join("Cargo.toml");
        let text = fs::read_to_string(&manifest).expect("a manifest");
        let mut section = "";
        for line in text.lines().map(str::trim) {
            if line.starts_with('[') {
                section = line;
            } else if section.ends_with("dependencies]")
                && !line.is_empty()
                && !line.starts_with('#')
                && !line.ends_with(".workspace = true")
            {
                found.push(format!("{member}: {line}"));
            }
        }
        if !text.contains("[lints]\nworkspace = true") {
            found.push(format!("{member} does not inherit the lints"));
        }
    }
    none(&found, "members write `x.workspace = true` and nothing else");
}

/// The packages of a lock file that come from a registry, with their versions.
fn locked(file: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = fs::read_to_string(root().join(file)).expect("a lock file");
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for package in text.split("[[package]]").filter(|package| package.contains("registry+")) {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name));
            line.expect("a field").trim_matches([' ', '=', '"']).to_owned()
        };
        found.entry(value("name")).or_default().insert(value("version"));
    }
    found
}

#[test]
fn what_is_fuzzed_is_what_is_built() {
    let (built, fuzzed) = (locked("Cargo.lock"), locked("benches/fuzz/Cargo.lock"));
    assert!(built.len() > 100 && fuzzed.len() > 100, "lock files were not read");
    let found: Vec<_> = fuzzed
        .iter()
        .filter_map(|(name, versions)| Some((name, versions, built.get(name)?)))
        .filter(|(_, versions, built)| !versions.is_subset(built))
        .map(|(name, versions, built)| format!("{name}: {versions:?} instead of {built:?}"))
        .collect();
    none(&found, "benches/fuzz/Cargo.lock has the versions of Cargo.lock");
}

#[test]
fn pure_folders_do_no_io() {
    let sources = sources();
    let mut found = Vec::new();
    for folder in PURE {
        let (folder, optional) = match folder.strip_suffix('?') {
            Some(folder) => (folder, true),
            None => (folder, false),
        };
        let inside: Vec<_> = sources.iter().filter(|source| source.lies_in(folder)).collect();
        assert!(optional || !inside.is_empty(), "{folder} is gone");
        for source in inside {
            let code = source.code();
            for word in IMPURE.into_iter().filter(|word| has_word(&code, word)) {
                found.push(format!("{} uses {word}", source.path));
            }
        }
    }
    none(&found, "pure code knows no I/O, no clock and no chance");
}

#[test]
fn files_are_opened_in_one_place() {
    // sled opens its own files by path, so what surrounds it does too.
    let excepted = |source: &Source| {
        source.path == "storage/src/disk.rs" || source.lies_in("storage/src/state")
    };
    let found: Vec<_> = sources()
        .iter()
        .filter(|source| {
            ["storage/src", "cluster/src", "actors/src", "edge/src"]
                .iter()
                .any(|folder| source.lies_in(folder))
        })
        .filter(|source| !excepted(source))
        .filter(|source| {
            ["std::fs", "tokio::fs"].iter().any(|word| has_word(&source.production(), word))
        })
        .map(|source| source.path.clone())
        .collect();
    none(&found, "files are opened in storage/src/disk.rs, and sled's in storage/src/state");
}

#[test]
fn no_file_is_too_long() {
    let mut found = Vec::new();
    for source in sources() {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            found.push(format!("{} has {lines} lines", source.path));
        } else if lines > FILE_LINES_WANTED {
            println!("warning: {} has {lines} lines, is it more than one noun?", source.path);
        }
    }
    none(&found, "a file has at most 800 lines");
}

#[test]
fn nothing_is_left_over() {
    // In two halves, or this file would find itself.
    let comments = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let code = ["todo!", "unimplemented!", "#[ignore", "#[allow(", "dbg!("];
    let mut found = Vec::new();
    for source in sources() {
        for word in comments.iter().filter(|word| has_word(&source.text, word)) {
            found.push(format!("{}: {word}", source.path));
        }
        let written = source.code();
        for word in code.into_iter().filter(|word| written.contains(word)) {
            found.push(format!("{}: {word}", source.path));
        }
    }
    none(&found, "main holds no notes to self, no skipped tests and no silenced lints");
}

#[test]
fn files_are_named_after_what_is_in_them() {
    let refused = ["mod", "util", "utils", "types", "helper", "helpers", "common", "misc"];
    let found: Vec<_> = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| {
            let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
            stem.is_some_and(|stem| refused.contains(&stem))
        })
        .collect();
    none(&found, "a file is named after its noun");
}

#[test]
fn every_module_says_what_it_is() {
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|source| !source.is_test() && !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    none(&found, "a module opens with `//!`");
}

#[test]
fn the_root_is_the_layout() {
    let allowed: BTreeSet<_> = TOP_LEVEL.into_iter().chain(["charts", "target"]).collect();
    let mut found = Vec::new();
    for entry in fs::read_dir(root()).expect("the root") {
        let name = entry.expect("an entry").file_name().display().to_string();
        if !name.starts_with('.') && !allowed.contains(name.as_str()) {
            found.push(name);
        }
    }
    none(&found, "nothing else stands at the root");
    for name in TOP_LEVEL.into_iter().chain([".ci/run", ".deny.toml", ".clippy.toml"]) {
        assert!(root().join(name).exists(), "{name} is missing");
    }
}

#[test]
fn the_readme_names_every_crate() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let found: Vec<_> = LINE
        .into_iter()
        .chain(["benches"])
        .filter(|name| !readme.contains(&format!("`{name}`")))
        .map(str::to_owned)
        .collect();
    none(&found, "the README's code map has every crate");
}

#[test]
fn what_is_no_code_is_not_searched() {
    let text =
        "let a = \"rand\"; // rand\n/* rand */ let b: &'a str = 'x'; let c = '\\'';\nrandom()";
    let code = code_of(text);
    assert!(!has_word(&code, "rand"), "{code}");
    assert!(has_word(&code, "random") && has_word(&code, "str"), "{code}");
    assert_eq!(code.lines().count(), 3);
    assert!(has_word("use std::fs;", "std::fs") && !has_word("std::fsync", "std::fs"));
}
