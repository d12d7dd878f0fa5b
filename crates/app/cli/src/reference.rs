//! `docs/reference/cli.md`, made from the flags themselves; `UPDATE=1` rewrites it.

use std::{fmt::Write, fs, path::Path};

use clap::{Arg, Command};

use crate::args;

/// The page.
fn reference() -> String {
    let command = args::command("tollgate");
    let mut page = "# The command line\n\n\
        Made from the flags of the program; `UPDATE=1 cargo nextest run -p tollgate reference` rewrites it.\n\n\
        `tollgate` and a copy or link of it called `litellm` behave the same. Long flags may be written with one dash\n\
        (`-config x`), with hyphens (`--num-workers`), and switches with a value (`--debug False`). What stands on the\n\
        command line goes before the environment, the environment before `.env`.\n"
        .to_owned();
    section(&mut page, "Commands", "Command");
    for (name, subcommand) in subcommands(&command) {
        row(&mut page, &format!("`{name}`"), &text(subcommand.get_about()));
    }
    let mut heading = Some("");
    for arg in shown(&command) {
        if arg.get_help_heading() != heading {
            heading = arg.get_help_heading();
            section(&mut page, heading.unwrap_or("Arguments"), "Flag");
        }
        row(&mut page, &spelling(arg), &about(arg));
    }
    for (name, subcommand) in subcommands(&command).filter(|(_, subcommand)| shown(subcommand).next().is_some()) {
        section(&mut page, &format!("tollgate {name}"), "Flag");
        for arg in shown(subcommand) {
            row(&mut page, &spelling(arg), &about(arg));
        }
    }
    let _ = write!(page, "\n## Examples and environment\n\n```text\n{}\n```\n", text_of_end(&command));
    page
}

/// Each command with its name, those of commands that have commands of their own with both names.
fn subcommands(command: &Command) -> impl Iterator<Item = (String, &Command)> {
    command.get_subcommands().flat_map(|outer| {
        let inner =
            outer.get_subcommands().map(move |inner| (format!("{} {}", outer.get_name(), inner.get_name()), inner));
        let own =
            std::iter::once((outer.get_name().to_owned(), outer)).filter(|_| outer.get_subcommands().next().is_none());
        own.chain(inner)
    })
}

fn text_of_end(command: &Command) -> String {
    command.get_after_long_help().map(ToString::to_string).unwrap_or_default()
}

/// Those with a heading last, as help shows them; the order is otherwise that of the definition.
fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| !arg.is_hide_set())
}

fn section(page: &mut String, title: &str, first: &str) {
    let _ = writeln!(page, "\n## {title}\n\n| {first} | Meaning |\n|---|---|");
}

fn row(page: &mut String, left: &str, right: &str) {
    let _ = writeln!(page, "| {left} | {} |", right.replace('|', "\\|").replace('\n', " "));
}

fn spelling(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(|names| names.first()).filter(|_| arg.get_action().takes_values());
    let value = match value {
        Some(value) if arg.is_require_equals_set() => format!("[=<{value}>]"),
        Some(value) => format!(" <{value}>"),
        None => String::new(),
    };
    match (arg.get_long(), arg.get_short()) {
        (Some(long), Some(short)) => format!("`--{long}{value}`, `-{short}`"),
        (Some(long), None) => format!("`--{long}{value}`"),
        _ => format!("`{}`", value.trim()),
    }
}

fn about(arg: &Arg) -> String {
    let about = text(arg.get_long_help().or(arg.get_help()));
    match arg.get_default_values().first().filter(|_| arg.get_action().takes_values()) {
        Some(default) => format!("{about} [default: {}]", default.to_string_lossy()),
        None => about,
    }
}

fn text(styled: Option<&clap::builder::StyledStr>) -> String {
    // Markdown takes <provider> for a tag.
    styled.map(ToString::to_string).unwrap_or_default().replace('<', "\\<").replace("\n\n", " ")
}

#[test]
fn the_reference_of_the_command_line_is_fresh() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../docs/reference/cli.md");
    let page = reference();
    if std::env::var("UPDATE").is_ok_and(|value| value == "1") {
        fs::write(&path, &page).expect("the page can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/reference/cli.md is stale; UPDATE=1 rewrites it:\n{page}");
}
