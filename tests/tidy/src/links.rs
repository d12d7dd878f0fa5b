//! Links between the documents lead somewhere.

use std::collections::BTreeSet;

use crate::{Repository, repository::has_extension};

/// Every link of a Markdown file to a file of the repository, or to a heading in one, resolves.
#[must_use]
pub fn links(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in repository.texts().filter(|(path, _)| has_extension(path, &["md"])) {
        for target in targets(&without_code(text)) {
            if let Err(why) = follow(repository, path, text, &target) {
                found.push(format!("{path}: the link to {target} {why}"));
            }
        }
    }
    found
}

fn follow(repository: &Repository, from: &str, from_text: &str, target: &str) -> Result<(), &'static str> {
    let is_outside = target.contains("://") || target.starts_with("mailto:");
    if is_outside || target.is_empty() {
        return Ok(());
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let text = if file.is_empty() {
        Some(from_text)
    } else {
        let path = resolve(from, file).ok_or("leads out of the repository")?;
        if !repository.has(&path) {
            return Err("leads nowhere");
        }
        repository.text(&path).filter(|_| has_extension(&path, &["md"]))
    };
    match text {
        Some(text) if !heading.is_empty() && !headings(text).contains(heading) => Err("names no heading"),
        _ => Ok(()),
    }
}

/// The path from the root of a link in a file.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = if target.starts_with('/') { Vec::new() } else { from.split('/').collect() };
    // The last part is the file that has the link.
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// What `[text](target)` and `[name]: target` point to.
fn targets(text: &str) -> Vec<String> {
    let clean = |target: &str| {
        let target = target.trim().split(" \"").next().unwrap_or_default();
        target.trim_matches(['<', '>']).replace("%20", " ")
    };
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let defined = text.lines().filter(|line| line.starts_with('[')).filter_map(|line| line.split_once("]: "));
    inline.map(clean).chain(defined.map(|(_, target)| clean(target))).collect()
}

/// The text without fenced blocks and quoted code, where brackets are no links.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let mut prose = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// The anchors of a document's headings, as the usual viewers make them.
fn headings(text: &str) -> BTreeSet<String> {
    let anchor = |title: &str| {
        let lower = title.trim().to_lowercase();
        let kept = lower.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
        kept.map(|character| if character == ' ' { '-' } else { character }).collect()
    };
    let lines = text.lines().filter(|line| line.starts_with('#'));
    lines.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(link: &str) -> Vec<String> {
        links(&Repository::of(&[
            ("README.md", "# The door"),
            ("docs/guides/start.md", &format!("# Start here, now\n\nSee {link}.\n")),
            ("docs/reference/cli.md", "## The `--port` flag\n"),
        ]))
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        for link in [
            "[a](../reference/cli.md)",
            "[a](../../README.md#the-door)",
            "[a](/docs/reference/)",
            "[a](#start-here-now)",
            "[a](../reference/cli.md#the---port-flag)",
            "[a](https://example.com/x)",
            "`[a](nowhere.md)`",
        ] {
            assert!(check(link).is_empty(), "{link}: {:?}", check(link));
        }
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        for (link, why) in [
            ("[a](cli.md)", "leads nowhere"),
            ("[a](../../../secret.md)", "leads out of the repository"),
            ("[a](../reference/cli.md#ports)", "names no heading"),
            ("[a][b]\n\n[b]: missing.md", "leads nowhere"),
        ] {
            assert!(check(link).iter().any(|line| line.contains(why)), "{link}: {:?}", check(link));
        }
    }
}
