//! The files of each crate depend on each other without cycles, so that each can be understood from those below it.

#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// For each file of a crate the other files that it names, as `crate::file`.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_cycles_between_the_files_of_a_crate() {
    for name in ["ttun-cli", "ttun-core", "ttun-link", "ttun-node", "ttun-packet", "ttun-testkit"] {
        let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
        let uses = uses(&crate_dir.join("src"));
        let cycles: Vec<_> = uses.keys().filter(|file| reaches(&uses, file, file)).collect();
        assert!(cycles.is_empty(), "{name}: {cycles:?} form cycles in {uses:#?}");
    }
}

#[test]
fn a_cycle_is_found() {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let uses: Uses = [("a", names(&["b"])), ("b", names(&["c"])), ("c", names(&["b"]))]
        .map(|(file, others)| (file.to_owned(), others))
        .into();
    assert!(reaches(&uses, "b", "b") && reaches(&uses, "a", "c") && !reaches(&uses, "a", "a"));
}

/// The crate's root names all files, and is named for what it exports, so it does not count; nor do tests.
fn uses(src: &Path) -> Uses {
    let name_of = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let files: Vec<_> = fs::read_dir(src).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_counted = |path: &&std::path::PathBuf| {
        path.is_file() && !["lib", "main", "tests"].contains(&name_of(path).as_str())
    };
    files
        .iter()
        .filter(is_counted)
        .map(|path| {
            let mut text = fs::read_to_string(path).unwrap();
            // Of a folder beside the file, everything counts as part of it.
            for child in fs::read_dir(path.with_extension("")).into_iter().flatten() {
                text += &fs::read_to_string(child.unwrap().path()).unwrap();
            }
            let product = text.split("#[cfg(test)]").next().unwrap_or_default();
            let uses = files
                .iter()
                .filter(|other| *other != path)
                .map(|other| name_of(other))
                .filter(|other| is_named(product, other));
            (name_of(path), uses.collect())
        })
        .collect()
}

fn is_named(text: &str, file: &str) -> bool {
    let path = format!("crate::{file}");
    text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            let next = line[at + path.len()..].chars().next();
            !next.is_some_and(|next| next.is_alphanumeric() || next == '_')
        })
    })
}

fn reaches(uses: &Uses, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut left = vec![from];
    while let Some(file) = left.pop() {
        for other in uses.get(file).into_iter().flatten() {
            if other == to {
                return true;
            }
            if seen.insert(other) {
                left.push(other);
            }
        }
    }
    false
}
