//! The environment as one map, so that nothing further in reads or changes that of the process.
//!
//! What wins: `environment_variables` of the configuration (LiteLLM exports them before anything reads the environment),
//! then the process, then `.env`, which never overrides a variable that is set.

use std::{collections::HashMap, path::Path};

use crate::dotenv;

/// Variables by name; secrets among them.
pub(crate) type Environment = HashMap<String, String>;

/// The variables of the process that are text.
pub(crate) fn of_process() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Adds what `.env` in `folder` says, and returns what there is to say about it. Not in production, as in LiteLLM.
pub(crate) fn add_dotenv(environment: &mut Environment, folder: &Path) -> Vec<String> {
    if environment.get("LITELLM_MODE").is_some_and(|mode| mode.eq_ignore_ascii_case("production")) {
        return Vec::new();
    }
    let lookup = |name: &str| environment.get(name).cloned();
    let read = dotenv::load(&folder.join(".env"), &lookup);
    let mut complaints = read.complaints;
    for (name, value) in read.pairs {
        environment.entry(name).or_insert(value);
    }
    if folder.join("secrets_template.toml").is_file() {
        complaints.push(
            "secrets_template.toml is not read: write its keys into a file named .env beside it, one NAME=value a line"
                .to_owned(),
        );
    }
    complaints
}

/// The value of a variable, if it has one that is not empty.
pub(crate) fn get<'e>(environment: &'e Environment, name: &str) -> Option<&'e str> {
    environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
}
