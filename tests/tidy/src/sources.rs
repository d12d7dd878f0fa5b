//! How Rust is written here, as far as clippy does not see to it.

use std::collections::BTreeSet;

use crate::{Repository, repository::has_extension};

/// More lines than this in one file, and it has two ideas.
const LONGEST_FILE: usize = 500;
/// Queues without a bound. The needle for the standard library's has no argument; tokio's bounded one has.
const UNBOUNDED: [&str; 6] = [
    "unbounded_channel",
    "UnboundedSender",
    "mpsc::channel()",
    "mpsc::channel::<",
    "flume::unbounded",
    "channel::unbounded",
];
/// Names that say nothing about the role of a type.
const EMPTY_NAMES: [&str; 6] = ["Manager", "Handler", "Helper", "Util", "Utils", "Service"];
const EMPTY_FILES: [&str; 8] =
    ["util.rs", "utils.rs", "helper.rs", "helpers.rs", "common.rs", "misc.rs", "manager.rs", "handler.rs"];
/// Marks of unfinished work, cut in two here so that this file has none.
const UNFINISHED: [&str; 5] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
];
const CODE: [&str; 12] = ["rs", "py", "sh", "js", "mjs", "ts", "tsx", "toml", "yaml", "yml", "lua", "sql"];

/// Lints are expected with a reason, never allowed.
#[must_use]
pub fn lints(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in others(repository) {
        for needle in ["#[allow(", "#![allow("] {
            found.extend(lines_with(text, needle).map(|line| format!("{path}:{line}: expect the lint, with a reason")));
        }
        for (start, _) in text.match_indices("[expect(") {
            let attribute = text.get(start..).and_then(|rest| rest.split(")]").next()).unwrap_or_default();
            if !attribute.contains("reason") {
                let line = line_of(text, start);
                found.push(format!("{path}:{line}: an expected lint says its reason"));
            }
        }
    }
    found
}

/// No file of production code is too long; tests at its end are not counted.
#[must_use]
pub fn lengths(repository: &Repository) -> Vec<String> {
    let too_long = |(path, text): (&str, &str)| {
        let lines = production_lines(text);
        (lines > LONGEST_FILE).then(|| format!("{path} has {lines} production lines; {LONGEST_FILE} are the most"))
    };
    repository.rust().filter(|(path, _)| is_production(path)).filter_map(too_long).collect()
}

/// Every queue has a bound.
#[must_use]
pub fn queues(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in others(repository) {
        for needle in UNBOUNDED {
            found.extend(lines_with(text, needle).map(|line| format!("{path}:{line}: a queue without a bound")));
        }
        if text.contains("std::sync::mpsc") && !text.contains("sync_channel") {
            found.push(format!("{path}: the channels of std::sync::mpsc have no bound"));
        }
    }
    found
}

/// SQL is static text with places for values. The store's one builder takes static pieces; nobody else builds any.
#[must_use]
pub fn sql(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in others(repository).filter(|(path, _)| *path != "crates/io/store/src/statement.rs") {
        for needle in ["AssertSqlSafe", "QueryBuilder"] {
            found.extend(lines_with(text, needle).map(|line| format!("{path}:{line}: SQL that is not static text")));
        }
    }
    found
}

/// Each migration is there for both databases.
#[must_use]
pub fn migrations(repository: &Repository) -> Vec<String> {
    let names = |engine: &str| -> BTreeSet<String> {
        let folder = format!("crates/io/store/migrations/{engine}/");
        repository.files().filter_map(|file| Some(file.path.strip_prefix(&folder)?.to_owned())).collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    let missing = |engine: &'static str| move |name: &String| format!("the migration {name} is missing for {engine}");
    let without_postgres = sqlite.difference(&postgres).map(missing("PostgreSQL"));
    without_postgres.chain(postgres.difference(&sqlite).map(missing("SQLite"))).collect()
}

/// Every file of production code opens with what room it is.
#[must_use]
pub fn openings(repository: &Repository) -> Vec<String> {
    let silent = |(_, text): &(&str, &str)| !text.trim_start().starts_with("//!");
    let files = repository.rust().filter(|(path, _)| is_production(path) && !path.ends_with("/build.rs"));
    files.filter(silent).map(|(path, _)| format!("{path} does not open with a line of //!")).collect()
}

/// Nothing is left for later in the code: what is missing is an issue.
#[must_use]
pub fn unfinished(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in
        repository.texts().filter(|(path, _)| has_extension(path, &CODE) && !path.contains("/fixtures/"))
    {
        for mark in UNFINISHED {
            found.extend(lines_with_word(text, mark).map(|line| format!("{path}:{line}: unfinished ({mark})")));
        }
    }
    found
}

/// Types and files are named by their role.
#[must_use]
pub fn names(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in repository.rust() {
        if path.rsplit('/').next().is_some_and(|name| EMPTY_FILES.contains(&name)) {
            found.push(format!("{path}: a file is named by what is in it"));
        }
        for (number, line) in text.lines().enumerate() {
            let Some(name) = defined_type(line) else { continue };
            if EMPTY_NAMES.iter().any(|empty| name.ends_with(empty)) {
                found.push(format!("{path}:{}: {name} does not say its role", number + 1));
            }
        }
    }
    found
}

/// The rules' own texts hold the needles, so they are not looked at.
fn others(repository: &Repository) -> impl Iterator<Item = (&str, &str)> {
    repository.rust().filter(|(path, _)| !path.starts_with("tests/tidy/"))
}

/// Whether a file of Rust is built into a crate, rather than only into its tests.
fn is_production(path: &str) -> bool {
    let in_crate =
        path.split_once("/src/").is_some_and(|(_, rest)| !rest.contains("/tests/") && !rest.starts_with("tests/"));
    in_crate && !path.ends_with("/tests.rs")
}

/// The lines before the test module at the bottom.
fn production_lines(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let opens_tests = |pair: &[&str]| {
        let [attribute, item] = pair else { return false };
        *attribute == "#[cfg(test)]" && item.trim_start().starts_with("mod ") && item.ends_with('{')
    };
    lines.windows(2).position(opens_tests).unwrap_or(lines.len())
}

/// The name that a line gives to a struct, enum or trait.
fn defined_type(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub(super) ")).unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let rest = ["struct ", "enum ", "trait "].iter().find_map(|word| line.strip_prefix(word))?;
    rest.split(|character: char| !character.is_alphanumeric() && character != '_').next()
}

fn lines_with<'text>(text: &'text str, needle: &'text str) -> impl Iterator<Item = usize> + 'text {
    text.lines().enumerate().filter(move |(_, line)| line.contains(needle)).map(|(number, _)| number + 1)
}

/// Lines that hold the mark as a word of its own.
fn lines_with_word<'text>(text: &'text str, word: &'text str) -> impl Iterator<Item = usize> + 'text {
    let in_word = |character: char| character.is_alphanumeric() || character == '_';
    let has = move |line: &str| {
        line.match_indices(word).any(|(start, _)| {
            let (before, rest) = line.split_at(start);
            let after = rest.strip_prefix(word).unwrap_or_default();
            !before.ends_with(in_word) && !after.starts_with(|character| in_word(character) && !word.ends_with('('))
        })
    };
    text.lines().enumerate().filter(move |(_, line)| has(line)).map(|(number, _)| number + 1)
}

fn line_of(text: &str, place: usize) -> usize {
    text.get(..place).map_or(0, |before| before.matches('\n').count()) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/pure/wire/src/a.rs";

    fn house(text: &str) -> Repository {
        Repository::of(&[(PATH, text)])
    }

    #[test]
    fn an_allowed_lint_and_an_expected_one_without_reason_are_found() {
        let found = lints(&house("#[allow(dead_code)]\nfn a() {}\n#[expect(dead_code)]\nfn b() {}\n"));

        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].starts_with("crates/pure/wire/src/a.rs:3"));
        assert!(lints(&house("#[expect(\n    dead_code,\n    reason = \"why\"\n)]\nfn b() {}\n")).is_empty());
    }

    #[test]
    fn a_long_file_is_found_but_its_tests_are_not_counted() {
        let long = "fn a() {}\n".repeat(501);
        let tested =
            format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(499), "fn b() {}\n".repeat(300));

        assert_eq!(lengths(&house(&long)), ["crates/pure/wire/src/a.rs has 501 production lines; 500 are the most"]);
        assert!(lengths(&house(&tested)).is_empty());
        assert!(lengths(&Repository::of(&[("crates/pure/wire/src/a/tests.rs", &long)])).is_empty());
    }

    #[test]
    fn a_queue_without_a_bound_is_found() {
        assert_eq!(queues(&house("let (a, b) = tokio::sync::mpsc::unbounded_channel();")).len(), 1);
        assert_eq!(queues(&house("let (a, b) = mpsc::channel();")).len(), 1);
        assert_eq!(queues(&house("use std::sync::mpsc::{Sender, channel};")).len(), 1);
        assert!(queues(&house("let (a, b) = mpsc::channel(64);")).is_empty());
    }

    #[test]
    fn a_file_without_an_opening_is_found() {
        assert_eq!(openings(&house("use std::fmt;\n")), ["crates/pure/wire/src/a.rs does not open with a line of //!"]);
        assert!(openings(&house("//! A room.\n")).is_empty());
    }

    #[test]
    fn unfinished_work_is_found_as_a_word() {
        let mark = UNFINISHED[0];

        assert_eq!(unfinished(&house(&format!("// {mark}: later\n"))).len(), 1);
        assert_eq!(unfinished(&house(&format!("{}\"later\");\n", UNFINISHED[3]))).len(), 1);
        assert!(unfinished(&house(&format!("let {mark}S = 1;\n"))).is_empty());
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        assert_eq!(names(&house("pub(crate) struct KeyManager<T> {}\n")).len(), 1);
        assert_eq!(names(&Repository::of(&[("crates/io/net/src/utils.rs", "")])).len(), 1);
        assert!(names(&house("pub struct Caller;\n// a struct Manager would be wrong\n")).is_empty());
    }
}
