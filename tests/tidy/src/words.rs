//! What no file may hold: paths of one machine, hosts of package registries, secrets.

use crate::{Repository, repository::has_extension};

/// Folders of somebody's machine. Cut in two, so that this file does not hold them.
const PLACES: [&str; 3] = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp/ba", "sh_jobs")];
/// Where packages come from is the business of whoever builds.
const REGISTRIES: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("registry.npm", "js.org"),
    concat!("www.npm", "js.com"),
    concat!("registry.yarn", "pkg.com"),
    concat!("proxy.gol", "ang.org"),
];
/// How real keys begin, and how many characters follow at least.
const KEYS: [(&str, usize); 12] = [
    ("sk-proj-", 30),
    ("sk-ant-", 30),
    ("sk-", 32),
    ("gsk_", 32),
    ("hf_", 30),
    ("ghp_", 30),
    ("xoxb-", 20),
    ("AKIA", 16),
    ("AIza", 30),
    ("glpat-", 18),
    ("eyJhbGciOi", 40),
    (concat!("-----BEGIN ", "PRIVATE"), 0),
];

/// No path of one machine and no host of a registry in any text.
#[must_use]
pub fn places(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in repository.texts().filter(|(path, _)| !is_lock_file(path)) {
        for (number, line) in text.lines().enumerate() {
            let place = PLACES.iter().find(|place| begins_a_path(line, place));
            let host = REGISTRIES.iter().find(|host| line.contains(**host));
            if let Some(word) = place.or(host) {
                found.push(format!("{path}:{}: holds {word}", number + 1));
            }
        }
    }
    found
}

/// The lines of a text that hold what looks like a real key.
pub fn lines_with_keys(text: &str) -> impl Iterator<Item = usize> {
    text.lines().enumerate().filter(|(_, line)| holds_key(line)).map(|(number, _)| number + 1)
}

/// No real key in documents.
#[must_use]
pub fn keys_in_documents(repository: &Repository) -> Vec<String> {
    let documents = repository.texts().filter(|(path, _)| has_extension(path, &["md", "toml", "env", "txt"]));
    documents
        .flat_map(|(path, text)| lines_with_keys(text).map(move |line| format!("{path}:{line}: a real key?")))
        .collect()
}

/// Lock files are written by tools, which name the registry in each entry.
fn is_lock_file(path: &str) -> bool {
    matches!(path.rsplit('/').next(), Some("Cargo.lock" | "package-lock.json"))
}

/// Whether the place stands at the beginning of a path, not somewhere inside one.
fn begins_a_path(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(start, _)| {
        let (before, _) = line.split_at(start);
        !before.ends_with(|character: char| character.is_alphanumeric() || "._-~*}>".contains(character))
    })
}

fn holds_key(line: &str) -> bool {
    KEYS.iter().any(|(prefix, length)| {
        line.match_indices(prefix).any(|(start, _)| {
            let (before, rest) = line.split_at(start);
            let body = rest.strip_prefix(prefix).unwrap_or_default();
            let run: Vec<char> =
                body.chars().take_while(|next| next.is_ascii_alphanumeric() || "_-".contains(*next)).collect();
            let is_word = !before.ends_with(|last: char| last.is_alphanumeric());
            // Placeholders repeat one letter or spell words; real keys mix digits in.
            let is_mixed = *length == 0 || (run.iter().any(char::is_ascii_digit) && different(&run) > 8);
            is_word && run.len() >= *length && is_mixed
        })
    })
}

fn different(characters: &[char]) -> usize {
    characters.iter().collect::<std::collections::BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_one_machine_is_found() {
        let line = format!("see {}shared", PLACES[0]);

        assert_eq!(places(&Repository::of(&[("a.md", &line)])).len(), 1);
        assert!(places(&Repository::of(&[("a.md", &format!("see home{}x", PLACES[0]))])).is_empty());
    }

    #[test]
    fn a_registry_is_found_but_not_in_a_lock_file() {
        let line = format!("https://{}/x", REGISTRIES[0]);

        assert_eq!(places(&Repository::of(&[("scripts/get", &line)])).len(), 1);
        assert!(places(&Repository::of(&[("Cargo.lock", &line)])).is_empty());
    }

    #[test]
    fn real_keys_are_found_and_placeholders_are_not() {
        let real = format!("api_key: sk-proj-{}", "a1B2c3D4e5F6g7H8i9J0".repeat(2));

        assert_eq!(lines_with_keys(&format!("model: x\n{real}\n")).collect::<Vec<_>>(), [2]);
        assert_eq!(lines_with_keys("api_key: sk-1234\nkey: sk-your-key-goes-here-please-and-thank-you\n").count(), 0);
    }
}
