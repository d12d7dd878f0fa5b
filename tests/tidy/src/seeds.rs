//! The list of what must work, whatever else changes: each row names the tests that prove it, or says that it is open.

use std::collections::BTreeSet;

use crate::{Repository, repository::has_extension};

/// Where the list is.
pub const PATH: &str = "docs/reference/seeds.md";
/// How many rows it has.
pub const COUNT: usize = 152;

/// Every row is there once, and every test it names exists.
#[must_use]
pub fn rows(repository: &Repository) -> Vec<String> {
    let Some(text) = repository.text(PATH) else { return vec![format!("{PATH} does not exist")] };
    let tests = tests_in(repository);
    let rows: Vec<(&str, &str)> = text.lines().filter_map(row).collect();
    let mut found = Vec::new();
    for number in 1..=COUNT {
        let name = format!("SEED-{number:02}");
        match rows.iter().filter(|(known, _)| *known == name).count() {
            1 => {}
            0 => found.push(format!("{PATH} has no row {name}")),
            count => found.push(format!("{PATH} has {count} rows {name}")),
        }
    }
    for (name, proof) in rows {
        found.extend(check(name, proof, &tests, repository));
    }
    found
}

fn check(name: &str, proof: &str, tests: &BTreeSet<&str>, repository: &Repository) -> Vec<String> {
    let number = name.strip_prefix("SEED-").and_then(|number| number.parse::<usize>().ok());
    if !number.is_some_and(|number| (1..=COUNT).contains(&number)) {
        return vec![format!("{PATH}: there is no seed {name}")];
    }
    let (mut found, mut proofs) = (Vec::new(), 0);
    for quoted in proof.split('`').skip(1).step_by(2) {
        // A path beside a test's name says where it is; one with `::` or `.py::` names a test in it.
        if quoted.contains('/') && !quoted.contains("::") && repository.has(quoted) {
            continue;
        }
        proofs += 1;
        let test = quoted.rsplit("::").next().unwrap_or(quoted);
        if !tests.contains(test) {
            found.push(format!("{PATH}: {name} names the test {quoted}, which does not exist"));
        }
    }
    let is_open = proof.split(|character: char| !character.is_alphanumeric()).any(|word| word == "open");
    if proofs == 0 && !is_open {
        found.push(format!("{PATH}: {name} names no test and is not open"));
    }
    found
}

/// A row's name and its last cell.
fn row(line: &str) -> Option<(&str, &str)> {
    let line = line.trim().strip_prefix('|')?.trim_end().strip_suffix('|')?;
    let name = line.split('|').next()?.trim();
    let proof = line.rsplit('|').next()?.trim();
    name.starts_with("SEED-").then_some((name, proof))
}

/// The names of all tests in the tree: Rust functions with a test attribute, Python's `test_…`, titles in JavaScript.
fn tests_in(repository: &Repository) -> BTreeSet<&str> {
    let mut tests = BTreeSet::new();
    for (path, text) in repository.texts() {
        if has_extension(path, &["rs"]) {
            tests.extend(rust_tests(text));
        } else if has_extension(path, &["py"]) {
            let definitions = text.lines().map(str::trim_start);
            let functions =
                definitions.filter_map(|line| line.strip_prefix("async ").unwrap_or(line).strip_prefix("def "));
            tests.extend(functions.filter_map(name_before_parenthesis).filter(|name| name.starts_with("test")));
        } else if has_extension(path, &["js", "mjs", "ts", "tsx"]) {
            tests.extend(text.lines().filter_map(script_test));
        }
    }
    tests
}

fn rust_tests(text: &str) -> Vec<&str> {
    let (mut tests, mut is_test) = (Vec::new(), false);
    for line in text.lines().map(str::trim_start) {
        let attribute = line.strip_prefix("#[").and_then(|rest| rest.split([']', '(']).next());
        if attribute.is_some_and(|name| name == "test" || name.ends_with("::test")) {
            is_test = true;
        }
        let line = line.strip_prefix("async ").unwrap_or(line);
        if let Some(name) = line.strip_prefix("fn ").and_then(name_before_parenthesis) {
            if is_test {
                tests.push(name);
            }
            is_test = false;
        }
    }
    tests
}

fn script_test(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = ["test(", "it("].iter().find_map(|call| line.strip_prefix(call))?;
    let quote = rest.chars().next().filter(|character| ['"', '\'', '`'].contains(character))?;
    rest.strip_prefix(quote)?.split(quote).next()
}

fn name_before_parenthesis(text: &str) -> Option<&str> {
    text.split(['(', '<']).next().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(first_row: &str) -> String {
        let others = (2..=COUNT).map(|number| format!("| SEED-{number:02} | something | open |\n"));
        format!("# Seeds\n\n| seed | what | test |\n|---|---|---|\n{first_row}\n{}", others.collect::<String>())
    }

    fn found(first_row: &str) -> Vec<String> {
        let rust = "#[tokio::test]\nasync fn a_curl_is_answered() {}\nfn no_test() {}\n";
        let python = "async def test_stream(gateway):\n    pass\n";
        rows(&Repository::of(&[
            (PATH, &list(first_row)),
            ("crates/app/cli/tests/it/start.rs", rust),
            ("tests/sdk/test_openai.py", python),
            ("tests/sdk/node.mjs", "test('the node sdk streams', async () => {})\n"),
        ]))
    }

    #[test]
    fn a_missing_list_is_found() {
        assert_eq!(rows(&Repository::of(&[])), ["docs/reference/seeds.md does not exist"]);
    }

    #[test]
    fn rows_with_tests_that_exist_or_open_ones_are_fine() {
        assert!(found("| SEED-01 | x | open |").is_empty());
        assert!(found("| SEED-01 | `litellm` | `a_curl_is_answered` (crates/app/cli/tests/it/start.rs) |").is_empty());
        assert!(found("| SEED-01 | x | `tests/sdk/test_openai.py::test_stream`, `the node sdk streams` |").is_empty());
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let expected = "docs/reference/seeds.md: SEED-01 names the test no_test, which does not exist";

        assert_eq!(found("| SEED-01 | x | `a_curl_is_answered`, `no_test` |"), [expected]);
    }

    #[test]
    fn a_row_without_a_proof_is_found() {
        assert_eq!(
            found("| SEED-01 | x | opened soon |"),
            ["docs/reference/seeds.md: SEED-01 names no test and is not open"]
        );
    }

    #[test]
    fn missing_double_and_unknown_rows_are_found() {
        assert_eq!(found(""), ["docs/reference/seeds.md has no row SEED-01"]);
        assert_eq!(
            found("| SEED-01 | x | open |\n| SEED-01 | x | open |"),
            ["docs/reference/seeds.md has 2 rows SEED-01"]
        );
        assert_eq!(
            found("| SEED-01 | x | open |\n| SEED-153 | x | open |"),
            ["docs/reference/seeds.md: there is no seed SEED-153"]
        );
    }
}
