//! Checks that imports point downwards: each crate consists of layers of folders and files, and no group of more than
//! three files need each other.
//!
//! All paths that begin with `crate::` or `super::` count, in `use` and elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A crate and its layers, the lowest first, as ARCHITECTURE.md's code map has them.
const CRATES: [(&str, &[&str]); 2] = [
    (
        "imat-compile",
        &["error", "name", "facts", "scalar", "view", "parse", "rel", "zset", "lower", "plan", "sql", "lib"],
    ),
    ("pg_imat", &["refuse", "pg", "catalog", "change", "build", "follow", "verbs", "lib"]),
];

/// This many files of one folder may need each other.
const MOST: usize = 3;

/// The files of a crate, by their path without extension, and the files that each imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn imports_point_downwards() {
    for (package, layers) in CRATES {
        let imports = imports(package);
        let layer = |file: &str| {
            let first = file.split('/').next().unwrap();
            layers.iter().position(|layer| *layer == first).unwrap_or_else(|| panic!("{package}: no layer for {file}"))
        };
        let pairs = imports.iter().flat_map(|(file, of)| of.iter().map(move |other| (file, other)));
        let upwards: Vec<String> = pairs
            .filter(|(file, other)| layer(other) > layer(file))
            .map(|(file, other)| format!("{package}: {file} imports {other}"))
            .collect();
        assert!(upwards.is_empty(), "{}", upwards.join("\n"));
    }
}

#[test]
fn few_files_need_each_other() {
    for (package, _) in CRATES {
        let circles = circles(&imports(package));
        println!("{package}: {circles:?}");
        for circle in circles {
            // A folder's mod.rs counts as the folder.
            let is_inside = |file: &&String| !circle.iter().any(|other| other.starts_with(&format!("{file}/")));
            let folder = |file: &String| file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
            let folders: BTreeSet<_> = circle.iter().filter(is_inside).map(folder).collect();
            assert!(
                circle.len() <= MOST && folders.len() == 1,
                "{package}: these need each other: {}",
                circle.join(", ")
            );
        }
    }
}

#[test]
fn an_import_is_understood() {
    let text = "use crate::a::{self, b::{C, d}, e as f}; // crate::no\nfn x() { crate::g::h(); super::i::j() }
        use super::super::k::L;\nuse std::a;\nuse super::*;";
    let expected = ["a", "a/b/C", "a/b/d", "a/e", "g/h", "k/L", "x/i/j"];
    assert_eq!(paths(text, "x/y"), expected.map(str::to_owned).into());
}

fn imports(package: &str) -> Imports {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    let mut files = Vec::new();
    find(&root, &mut files);
    let name = |file: &PathBuf| {
        let name = file.strip_prefix(&root).unwrap().with_extension("");
        let name = name.to_str().unwrap().replace(std::path::MAIN_SEPARATOR, "/");
        name.strip_suffix("/mod").map_or(name.clone(), str::to_owned)
    };
    let names: BTreeSet<String> = files.iter().map(name).collect();
    let of = |file: &PathBuf| {
        let own = name(file);
        let text = fs::read_to_string(file).unwrap();
        let imported =
            paths(&text, &own).into_iter().filter_map(|path| owner(&path, &names)).filter(|other| *other != own);
        (own.clone(), imported.collect())
    };
    assert!(files.len() > 10, "{package} was not found");
    files.iter().map(of).collect()
}

/// The file to which a path leads.
fn owner(path: &str, files: &BTreeSet<String>) -> Option<String> {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    ends.map(|end| &path[..end]).filter(|begin| files.contains(*begin)).max().map(str::to_owned)
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => find(&path, files),
            false if path.extension().is_some_and(|end| end == "rs") => files.push(path),
            false => {}
        }
    }
}

/// All paths in the text of a file that begin with `crate::` or `super::`, from the root, with `/` in place of `::`.
fn paths(text: &str, file: &str) -> BTreeSet<String> {
    let code: Vec<&str> = text.lines().map(|line| line.split("//").next().unwrap()).collect();
    let code = code.join("\n");
    let mut found = BTreeSet::new();
    for (begin, _) in code.match_indices("crate::") {
        tree(&code[begin + "crate::".len()..], "", &mut found);
    }
    for (begin, _) in code.match_indices("super::").filter(|(begin, _)| !code[..*begin].ends_with("::")) {
        let (mut above, mut rest) = (file, &code[begin..]);
        while let Some(next) = rest.strip_prefix("super::") {
            (above, rest) = (above.rsplit_once('/').map_or("", |(folder, _)| folder), next);
        }
        tree(rest, above, &mut found);
    }
    found
}

/// Reads a path, or a tree of paths, at the beginning of a text; returns the rest of the text.
fn tree<'a>(text: &'a str, above: &str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while let Some(next) = rest.trim_start().strip_prefix(|c| c != '}').map(|_| rest.trim_start()) {
            rest = tree(next, above, found).trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest);
        }
        return rest.trim_start().strip_prefix('}').unwrap_or(rest);
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let path =
        [above, name].into_iter().filter(|part| !part.is_empty() && *part != "self").collect::<Vec<_>>().join("/");
    match rest.strip_prefix("::") {
        Some(below) => tree(below, &path, found),
        None => {
            // A glob imports a whole module.
            if !name.is_empty() {
                found.insert(path);
            }
            let rest = rest.trim_start();
            rest.strip_prefix("as ")
                .map_or(rest, |alias| alias.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    }
}

/// The groups of files that need each other: each can be reached from every other.
fn circles(imports: &Imports) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        imports.keys().map(|file| (file, reach(file, imports))).collect();
    let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
    for (file, others) in &reached {
        let circle: Vec<String> =
            others.iter().filter(|other| reached[*other].contains(file)).map(|other| (*other).clone()).collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn reach<'a>(file: &'a String, imports: &'a Imports) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(next) = open.pop() {
        open.extend(imports[next].iter().filter(|other| reached.insert(*other)));
    }
    reached
}
