//! A provider is one file, one name, one fixture folder: a row without a fixture does not build green.

use crate::Repository;

const ROWS: &str = "crates/pure/providers/src/table/";
const FIXTURES: &str = "crates/pure/providers/fixtures/";

/// Every row of the provider table has at least one case of fixtures, and every row is in the list of names.
#[must_use]
pub fn fixtures(repository: &Repository) -> Vec<String> {
    let rows: Vec<(&str, &str)> = repository.texts().filter_map(|(path, text)| Some((row_file(path)?, text))).collect();
    if rows.is_empty() {
        return vec![format!("there are no provider rows in {ROWS}")];
    }
    let list = repository.text("crates/pure/providers/src/table.rs").unwrap_or_default();
    let mut found = Vec::new();
    for (file, text) in rows {
        let name = name_in(text).unwrap_or(file);
        // A name with a dash cannot be a file of Rust; its fixtures may be called by either.
        if !has_case(repository, name) && !has_case(repository, file) {
            found.push(format!("the provider {name} has no fixtures in {FIXTURES}{name}/<case>/"));
        }
        if !has_word(list, file) {
            found.push(format!("{ROWS}{file}.rs is not in the list of table.rs"));
        }
    }
    found
}

/// The name of a row's file: `groq` for `…/table/groq.rs`.
fn row_file(path: &str) -> Option<&str> {
    path.strip_prefix(ROWS)?.strip_suffix(".rs").filter(|name| !name.contains('/'))
}

/// The name that a row gives itself.
fn name_in(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("name: \""))?;
    line.split('"').next()
}

/// Files lie in a folder of their own: `fixtures/<name>/<case>/<file>`.
fn has_case(repository: &Repository, name: &str) -> bool {
    let prefix = format!("{FIXTURES}{name}/");
    repository.files().any(|file| file.path.strip_prefix(&prefix).is_some_and(|rest| rest.contains('/')))
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric() && character != '_').any(|part| part == word)
}
