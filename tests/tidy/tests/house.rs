//! The repository keeps the rules of the house.

use std::path::Path;

use tollgate_kit::TempFolder;
use tollgate_tidy::{Repository, documents, examples, links, manifests, providers, seeds, sources, words};
use tollgate_wire::FailureKind;

fn repository() -> Repository {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = Repository::read(&root);
    assert!(read.is_ok(), "{read:?}");
    let repository = read.unwrap_or_default();
    assert!(repository.has("tests/tidy/tests/house.rs"), "this is not the repository");
    repository
}

fn holds(rule: fn(&Repository) -> Vec<String>) {
    let found = rule(&repository());
    assert!(found.is_empty(), "{} places break the rule:\n{}", found.len(), found.join("\n"));
}

#[test]
fn crates_import_downwards_only() {
    holds(manifests::floors);
}

#[test]
fn outside_libraries_have_one_owner() {
    holds(manifests::owners);
}

#[test]
fn the_pure_floor_does_no_io() {
    holds(manifests::purity);
}

#[test]
fn versions_and_lints_stand_once() {
    holds(manifests::shared_settings);
}

#[test]
fn lints_are_expected_with_a_reason() {
    holds(sources::lints);
}

#[test]
fn no_file_is_too_long() {
    holds(sources::lengths);
}

#[test]
fn every_queue_is_bounded() {
    holds(sources::queues);
}

#[test]
fn every_file_opens_with_what_it_is() {
    holds(sources::openings);
}

#[test]
fn sql_is_static_text() {
    holds(sources::sql);
}

#[test]
fn every_migration_is_there_for_both_databases() {
    holds(sources::migrations);
}

#[test]
fn a_migration_for_one_database_alone_fails() {
    let files = [
        ("crates/io/store/migrations/sqlite/0001_a.sql", ""),
        ("crates/io/store/migrations/postgres/0001_a.sql", ""),
        ("crates/io/store/migrations/postgres/0002_b.sql", ""),
    ];
    let found = sources::migrations(&Repository::of(&files));
    assert_eq!(found, ["the migration 0002_b.sql is missing for SQLite"]);
}

#[test]
fn nothing_is_left_unfinished() {
    holds(sources::unfinished);
}

#[test]
fn types_and_files_are_named_by_role() {
    holds(sources::names);
}

#[test]
fn every_provider_has_fixtures() {
    holds(providers::fixtures);
}

#[test]
fn every_seed_has_a_test_or_is_open() {
    holds(seeds::rows);
}

#[test]
fn links_between_documents_lead_somewhere() {
    holds(links::links);
}

#[test]
fn no_file_names_somebodys_machine_or_a_registry() {
    holds(words::places);
}

#[test]
fn documents_hold_no_keys() {
    holds(words::keys_in_documents);
}

#[test]
fn examples_are_yaml_without_secrets() {
    holds(examples::examples);
}

#[test]
fn the_documents_of_the_root_are_there() {
    holds(documents::root);
}

#[test]
fn every_kind_of_failure_is_documented() {
    holds(|repository| {
        let kinds: Vec<String> = FailureKind::ALL.iter().map(|kind| format!("{kind:?}")).collect();
        documents::failures(repository, &kinds)
    });
}

#[test]
fn a_provider_row_without_a_fixture_fails() {
    let folder = TempFolder::new();
    let row =
        "//! Groq.\npub static PROVIDER: Provider = Provider {\n    name: \"groq\",\n    ..OPENAI_COMPATIBLE\n};\n";
    folder.write("crates/pure/providers/src/table.rs", "providers! { groq }\n");
    folder.write("crates/pure/providers/src/table/groq.rs", row);
    let read = || Repository::read(folder.path()).expect("the folder can be read");
    let without = providers::fixtures(&read());

    folder.write("crates/pure/providers/fixtures/groq/README", "a file, but no case");
    let without_case = providers::fixtures(&read());
    folder.write("crates/pure/providers/fixtures/groq/chat/ask.json", "{}");
    let with = providers::fixtures(&read());

    assert_eq!(without, ["the provider groq has no fixtures in crates/pure/providers/fixtures/groq/<case>/"]);
    assert_eq!(without_case, without);
    assert!(with.is_empty(), "{with:?}");
}

#[test]
fn a_provider_row_outside_the_list_fails() {
    let files = [
        ("crates/pure/providers/src/table.rs", "providers! { groq_eu }\n"),
        ("crates/pure/providers/src/table/groq.rs", "name: \"groq\",\n"),
        ("crates/pure/providers/fixtures/groq/chat/ask.json", "{}"),
    ];

    let found = providers::fixtures(&Repository::of(&files));

    assert_eq!(found, ["crates/pure/providers/src/table/groq.rs is not in the list of table.rs"]);
}

#[test]
fn a_tree_is_read_without_what_is_ignored() {
    let folder = TempFolder::new();
    folder.write(".gitignore", "/.venv\n*.pyc\n");
    folder.write(".venv/a.md", "");
    folder.write("target/b.md", "");
    folder.write("docs/c.md", "text");
    folder.write("docs/d.bin", [0xff, 0x00]);

    let repository = Repository::read(folder.path()).expect("the folder can be read");

    let paths: Vec<&str> = repository.files().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, [".gitignore", "docs/c.md", "docs/d.bin"]);
    assert_eq!(repository.text("docs/c.md"), Some("text"));
    assert_eq!(repository.text("docs/d.bin"), None);
}
