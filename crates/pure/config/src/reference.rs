//! `docs/reference/config.md`, made from the table of keys.

use std::fmt::Write as _;

use crate::{
    keys::{Kind, Section, State, TOP},
    yaml::{MAX_DEPTH, MAX_EXPANDED_BYTES, MAX_FILE_BYTES},
};

/// The reference of all keys as Markdown.
#[must_use]
pub fn reference_markdown() -> String {
    let mut page = intro();
    let mut sections: Vec<&'static Section> = Vec::new();
    collect(&TOP, &mut sections);
    for section in sections {
        write_section(&mut page, section);
    }
    page
}

fn intro() -> String {
    format!(
        "# Configuration\n\n\
         Made from the table of keys in `crates/pure/config` (`UPDATE=1 cargo test -p tollgate-config` rewrites it).\n\n\
         The file is YAML with LiteLLM's names. `tollgate check --config f` prints everything that is wrong with it, \
         with file, line and column; `tollgate schema` prints a JSON schema for editors.\n\n\
         - Booleans are those of YAML 1.1: `True`, `yes`, `on` and their opposites. Numbers and booleans may be quoted.\n\
         - An empty value means \"not set\".\n\
         - `os.environ/NAME` stands for a variable, anywhere, also in lists. In a deployment, a variable that is not \
         set makes that deployment unservable; as `master_key` it stops the start; anywhere else it counts as not set.\n\
         - Seconds are numbers, or numbers with a unit: `s`, `sec`, `m`, `min`, `h`, `d`, `w`, `mo` (30 days).\n\
         - Anchors, aliases and `<<` work. A key twice in one mapping is an error.\n\
         - Bounds: {} MiB per file, {} MiB with aliases expanded, {MAX_DEPTH} levels.\n\n\
         The last column of the tables: **ours** = LiteLLM does not have it; **later** = known, not yet used by this \
         version; **without effect** = accepted, nothing to do here; **Python** = names Python code, left out with a \
         warning; **refused** = guards something that this version \
         cannot guard (Python code, a list of addresses), so the start is refused.\n",
        MAX_FILE_BYTES >> 20,
        MAX_EXPANDED_BYTES >> 20,
    )
}

/// `section` and all below it, in the order of the file.
fn collect(section: &'static Section, sections: &mut Vec<&'static Section>) {
    if sections.iter().any(|known| known.name == section.name) {
        return;
    }
    sections.push(section);
    for key in section.keys {
        if let Kind::Section(inner) | Kind::Each(inner) = key.kind {
            collect(inner, sections);
        }
    }
}

fn write_section(page: &mut String, section: &Section) {
    let title = if section.name.is_empty() { "The file".to_owned() } else { format!("`{}`", section.name) };
    // Writing into a String cannot fail.
    let _ = write!(
        page,
        "\n## {title}\n\n{}\n\n| key | value | default | meaning | |\n|---|---|---|---|---|\n",
        section.about
    );
    for key in section.keys {
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} |",
            key.name,
            key.kind.words(),
            key.default,
            key.about.replace('|', "\\|"),
            mark(key.state),
        );
    }
    for family in section.families {
        let name = format!("{}*{}", family.prefix, family.suffix);
        let _ = writeln!(page, "| `{name}` | {} |  | {} | {} |", family.kind.words(), family.about, mark(family.state));
    }
    for group in section.groups {
        let mark = if mark(group.state).is_empty() { String::new() } else { format!(" ({})", mark(group.state)) };
        let names: Vec<String> = group.names.iter().map(|name| format!("`{name}`")).collect();
        let _ = write!(page, "\n{} Each a {}{mark}: {}.\n", group.about, group.kind.words(), names.join(", "));
    }
}

fn mark(state: State) -> &'static str {
    match state {
        State::Used => "",
        State::Ours => "ours",
        State::Later => "later",
        State::Without => "without effect",
        State::Python => "Python",
        State::Guard | State::Closed => "refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test may look at the file that it guards")]
    fn the_reference_in_docs_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/reference/config.md");
        let page = reference_markdown();
        if std::env::var("UPDATE").is_ok() {
            std::fs::write(path, &page).expect("docs/reference can be written");
        }
        let kept = std::fs::read_to_string(path).unwrap_or_default();
        assert!(kept == page, "docs/reference/config.md is stale: UPDATE=1 cargo test -p tollgate-config");
    }

    #[test]
    fn no_section_knows_a_key_twice() {
        let mut sections = Vec::new();
        collect(&TOP, &mut sections);
        assert!(sections.len() >= 10);
        for section in sections {
            let mut names: Vec<&str> = section.names().collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "a key stands twice in {:?}", section.name);
        }
    }
}
