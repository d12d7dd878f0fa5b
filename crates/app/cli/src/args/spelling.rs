//! Arguments as people write them, written the way clap reads them.
//!
//! Single-dash long forms (`-config x`, `-health`), hyphens for underscores, flags with a value (`--telemetry False`),
//! `--test <url>`; and the environment's share, in front, so that what is written goes before it.

use std::{collections::HashSet, ffi::OsString, vec};

use clap::{Arg, ArgAction, Command};

/// Rewrites `arguments`, the name of the program first. `from_environment` says what the environment sets a flag to.
pub(super) fn normalise<'e>(
    arguments: Vec<OsString>,
    command: &Command,
    from_environment: impl Fn(&str) -> Option<&'e str>,
) -> Vec<OsString> {
    let mut arguments = arguments.into_iter();
    let written: Vec<OsString> = arguments.next().into_iter().collect();
    let program = written.len();
    let mut speller = Speller { command, rest: arguments, written, said: HashSet::new() };
    speller.spell();
    let Speller { mut written, said, .. } = speller;
    let flags = command.get_arguments().filter_map(|arg| Some((arg, arg.get_long()?)));
    let set = flags.filter(|(_, name)| !said.contains(*name)).filter_map(|(arg, name)| {
        let value = from_environment(name).filter(|value| !value.is_empty())?;
        match (is_switch(arg), truth(value)) {
            (true, Some(true)) => Some(format!("--{name}").into()),
            // A word that is neither is some other program's: DEBUG=express:* is common.
            (true, _) => None,
            (false, _) => Some(format!("--{name}={value}").into()),
        }
    });
    written.splice(program..program, set.collect::<Vec<OsString>>());
    written
}

struct Speller<'c> {
    command: &'c Command,
    rest: vec::IntoIter<OsString>,
    written: Vec<OsString>,
    /// Flags that were written by hand, on or off: the environment has no say about them.
    said: HashSet<String>,
}

impl<'c> Speller<'c> {
    fn spell(&mut self) {
        while let Some(argument) = self.rest.next() {
            let Some(text) = argument.to_str() else {
                self.written.push(argument);
                continue;
            };
            if text == "--" {
                self.written.push(argument);
                self.written.extend(self.rest.by_ref());
            } else if text.len() > 1 && text.starts_with('-') {
                self.flag(text);
            } else {
                if let Some(subcommand) = self.command.find_subcommand(text) {
                    self.command = subcommand;
                }
                self.written.push(argument);
            }
        }
    }

    fn flag(&mut self, text: &str) {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let bare = name.strip_prefix("--").unwrap_or_else(|| name.trim_start_matches('-'));
        let is_short = !name.starts_with("--") && bare.chars().count() == 1;
        match if is_short { None } else { self.long(bare) } {
            Some(arg) => self.known(arg, value),
            None => {
                self.written.push(text.into());
                if is_short && value.is_none() && self.short(bare).is_some_and(takes_value) {
                    self.take_value();
                }
            }
        }
    }

    fn known(&mut self, arg: &Arg, value: Option<&str>) {
        let name = arg.get_long().unwrap_or_default().to_owned();
        self.said.insert(name.clone());
        let (switch, optional) = (is_switch(arg), arg.is_require_equals_set());
        let next = self.rest.as_slice().first().and_then(|next| next.to_str());
        let follows =
            next.is_some_and(|next| (switch || optional) && truth(next).is_some() || optional && is_url(next));
        let value = if follows && value.is_none() {
            self.rest.next().and_then(|next| next.into_string().ok())
        } else {
            value.map(str::to_owned)
        };
        match value {
            Some(value) if (switch || optional) && truth(&value) == Some(true) => {
                self.written.push(format!("--{name}").into());
            }
            Some(value) if (switch || optional) && truth(&value) == Some(false) => {
                // Off is what a switch is when nobody writes it; the last word counts.
                let on = format!("--{name}");
                self.written.retain(|written| written.to_str() != Some(&on));
            }
            Some(value) => self.written.push(format!("--{name}={value}").into()),
            None => {
                self.written.push(format!("--{name}").into());
                if takes_value(arg) {
                    self.take_value();
                }
            }
        }
    }

    /// Takes the next argument as it is, unless it is a flag: then a value is missing, and clap says so.
    fn take_value(&mut self) {
        let next = self.rest.as_slice().first().and_then(|next| next.to_str());
        let is_flag =
            next.is_some_and(|next| next.starts_with('-') && self.long(next.trim_start_matches('-')).is_some());
        self.written.extend(if is_flag { None } else { self.rest.next() });
    }

    fn long(&self, name: &str) -> Option<&'c Arg> {
        let find = |wanted: &str| self.command.get_arguments().find(|arg| arg.get_long() == Some(wanted));
        find(name).or_else(|| find(&name.replace('-', "_")))
    }

    fn short(&self, name: &str) -> Option<&'c Arg> {
        let letter = name.chars().next();
        self.command.get_arguments().find(|arg| letter.is_some() && arg.get_short() == letter)
    }
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && !arg.is_require_equals_set()
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// What a word says, if it says yes or no.
fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" | "yes" | "y" | "on" => Some(true),
        "false" | "f" | "0" | "no" | "n" | "off" => Some(false),
        _ => None,
    }
}
