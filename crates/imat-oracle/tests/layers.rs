//! Checks that imports point downwards: each crate consists of layers of folders and files, and no group of more than
//! three files need each other.
//!
//! All paths that begin with `crate::` or `super::` count, in `use` and elsewhere, and calls of methods.

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

/// The position of a file's layer.
fn layer(layers: &[&str], file: &str) -> usize {
    let first = file.split('/').next().unwrap();
    layers.iter().position(|layer| *layer == first).unwrap_or_else(|| panic!("no layer for {file}"))
}

#[test]
fn imports_point_downwards() {
    for (package, layers) in CRATES {
        let imports = imports(package);
        let layer = |file: &str| layer(layers, file);
        let pairs = imports.iter().flat_map(|(file, of)| of.iter().map(move |other| (file, other)));
        let upwards: Vec<String> = pairs
            .filter(|(file, other)| layer(other) > layer(file))
            .map(|(file, other)| format!("{package}: {file} imports {other}"))
            .collect();
        assert!(upwards.is_empty(), "{}", upwards.join("\n"));
    }
}

/// A layer may give methods to a type of a lower one, as `sql` does to plans. No path says who calls them.
#[test]
fn methods_are_not_called_from_below() {
    for (package, layers) in CRATES {
        let files: Vec<(String, String)> =
            sources(package).into_iter().map(|(file, text)| (file, code(&text))).collect();
        for (file, text) in &files {
            let is_below = |other: &str| layer(layers, other) < layer(layers, file);
            let below: Vec<_> = files.iter().filter(|(other, _)| is_below(other)).collect();
            let is_defined = |keywords: &[&str], name| below.iter().any(|(_, text)| defines(text, keywords, name));
            for (of, method) in methods(text).into_iter().filter(|(of, _)| is_defined(&["struct", "enum"], of)) {
                let (by_self, call) = (format!("self.{method}("), format!(".{method}("));
                // Elsewhere a method with the name of one below may be called as that one.
                let is_clear = !is_defined(&["fn"], method);
                let calls = |text: &str| {
                    let calls_itself = impls(text).iter().any(|(own, text)| *own == of && text.contains(&by_self));
                    calls_itself || is_clear && text.contains(&call)
                };
                let callers: Vec<&String> =
                    below.iter().filter(|(_, text)| calls(text)).map(|(other, _)| other).collect();
                assert!(callers.is_empty(), "{package}: {callers:?} call {of}::{method}, which {file} defines");
            }
        }
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

#[test]
fn a_method_is_understood() {
    let text = "\nimpl A {\n    pub fn b(&self) {}\n    fn c() {}\n    pub(super) fn d() {}\n}\nimpl E for A {\n    pub fn f() {}\n}
pub fn g() {}\nimpl<'a, T: H<T>> I<'a> {\n    pub(crate) fn j<K>() {}\n}\nimpl L<'_> {\n    pub fn m() {}\n}";
    assert_eq!(methods(text), [("A", "b"), ("I", "j"), ("L", "m")]);
    assert!(defines(text, &["fn"], "f") && !defines(text, &["fn"], "T") && !defines("fn fg()", &["fn"], "f"));
}

/// The text of a crate's files, by their path without its end.
fn sources(package: &str) -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(package).join("src");
    let mut files = Vec::new();
    find(&root, &mut files);
    let name = |file: &PathBuf| {
        let name = file.strip_prefix(&root).unwrap().with_extension("");
        let name = name.to_str().unwrap().replace(std::path::MAIN_SEPARATOR, "/");
        name.strip_suffix("/mod").map_or(name.clone(), str::to_owned)
    };
    assert!(files.len() > 10, "{package} was not found");
    files.iter().map(|file| (name(file), fs::read_to_string(file).unwrap())).collect()
}

fn imports(package: &str) -> Imports {
    let sources = sources(package);
    let names: BTreeSet<String> = sources.keys().cloned().collect();
    let of = |(own, text): (&String, &String)| {
        let imported = paths(text, own).into_iter().filter_map(|path| owner(&path, &names));
        (own.clone(), imported.filter(|other| other != own).collect())
    };
    sources.iter().map(of).collect()
}

/// The text without comments.
fn code(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The methods that a file gives to types, for other files to call, each after its type.
fn methods(text: &str) -> Vec<(&str, &str)> {
    let is_visible = |begin: &str| ["    pub", "    pub(crate)"].iter().any(|visible| begin.ends_with(visible));
    let mut methods = Vec::new();
    for (of, block) in impls(text) {
        let functions = block.match_indices(" fn ").filter(|(at, _)| is_visible(&block[..*at]));
        methods.extend(functions.map(|(at, keyword)| (of, word(&block[at + keyword.len()..]))));
    }
    methods
}

/// What a file gives to types, each after the type's name.
fn impls(text: &str) -> Vec<(&str, &str)> {
    let mut impls = Vec::new();
    for block in text.split("\nimpl").skip(1).map(|block| block.split("\n}").next().unwrap()) {
        let head = block.lines().next().unwrap();
        if !head.contains(" for ") {
            let generic = head.strip_prefix('<').and_then(|head| head.split_once("> "));
            impls.push((word(generic.map_or(head, |(_, rest)| rest).trim_start()), block));
        }
    }
    impls
}

/// The word at the beginning of a text.
fn word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// Whether a text has the definition of this name, after one of the keywords.
fn defines(text: &str, keywords: &[&str], name: &str) -> bool {
    let found = |begin: &str| text.match_indices(begin).any(|(at, _)| word(&text[at + begin.len()..]) == name);
    keywords.iter().any(|keyword| found(&format!("{keyword} ")))
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
    let code = code(text);
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
    let name = word(text);
    let rest = &text[name.len()..];
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
