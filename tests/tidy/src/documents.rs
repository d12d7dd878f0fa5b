//! The documents that a newcomer looks for, and the lines that they must have.

use crate::Repository;

/// What stands at the root.
const AT_THE_ROOT: [&str; 8] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "CONVENTIONS.md",
    "LICENSE",
    "NOTICE",
    "README.md",
    "SECURITY.md",
];
/// Longer than this, and nobody reads it in one sitting.
const LONGEST_ARCHITECTURE: usize = 250;
/// The page of failures, once there is one.
pub const FAILURES: &str = "docs/reference/failures.md";

/// The documents of the root are there, and the map of the house fits its frame.
#[must_use]
pub fn root(repository: &Repository) -> Vec<String> {
    let missing = AT_THE_ROOT.iter().filter(|path| !repository.has(path));
    let mut found: Vec<String> = missing.map(|path| format!("{path} does not exist")).collect();
    let lines = repository.text("ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if lines > LONGEST_ARCHITECTURE {
        found.push(format!("ARCHITECTURE.md has {lines} lines; {LONGEST_ARCHITECTURE} are the most"));
    }
    found
}

/// Every kind of failure has its line in the page of failures. There may be no such page yet.
#[must_use]
pub fn failures(repository: &Repository, kinds: &[String]) -> Vec<String> {
    let Some(text) = repository.text(FAILURES) else { return Vec::new() };
    let has_line = |kind: &str| text.lines().any(|line| line.starts_with('|') && line.contains(&format!("`{kind}`")));
    kinds.iter().filter(|kind| !has_line(kind)).map(|kind| format!("{FAILURES} has no line for `{kind}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_document_and_a_long_map_are_found() {
        let found = root(&Repository::of(&[("ARCHITECTURE.md", &"line\n".repeat(251))]));

        assert!(found.contains(&"README.md does not exist".to_owned()));
        assert!(found.contains(&"ARCHITECTURE.md has 251 lines; 250 are the most".to_owned()));
    }

    #[test]
    fn a_kind_without_a_line_is_found() {
        let kinds = ["Timeout".to_owned(), "Api".to_owned()];
        let page = Repository::of(&[(FAILURES, "| `Timeout` | 408 |\n")]);

        assert_eq!(failures(&page, &kinds), ["docs/reference/failures.md has no line for `Api`"]);
        assert!(failures(&Repository::of(&[]), &kinds).is_empty());
    }
}
