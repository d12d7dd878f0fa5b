//! What lies in `examples/` can be copied by anyone: configurations, without anybody's secret.

use crate::{Repository, repository::has_extension, words};

/// Names of settings whose values are secrets.
const SECRETS: [&str; 5] = ["key", "secret", "password", "token", "salt"];
/// A made-up secret is no longer than this, so that it cannot be a real one.
const LONGEST_MADE_UP: usize = 24;

/// Every example is a YAML file that holds no real secret.
#[must_use]
pub fn examples(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    for file in repository.files().filter(|file| file.path.starts_with("examples/")) {
        let Some(text) = file.text.as_deref().filter(|_| has_extension(&file.path, &["yaml", "yml"])) else {
            found.push(format!("{} is no yaml", file.path));
            continue;
        };
        found.extend(words::lines_with_keys(text).map(|line| format!("{}:{line}: a real key?", file.path)));
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = secret_in(line) {
                found.push(format!("{}:{}: {name} should come from the environment", file.path, number + 1));
            }
        }
    }
    found
}

/// The setting of a line, if it is a secret written out.
fn secret_in(line: &str) -> Option<&str> {
    let (name, value) = line.trim_start_matches([' ', '-', '#']).split_once(':')?;
    let is_secret = name.split('_').next_back().is_some_and(|word| SECRETS.contains(&word.to_lowercase().as_str()));
    let value = value.split(" #").next().unwrap_or_default().trim().trim_matches(['"', '\'']);
    let is_named = value.starts_with("os.environ/") || value.len() <= LONGEST_MADE_UP;
    (is_secret && !is_named).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<String> {
        examples(&Repository::of(&[("examples/a.yaml", text)]))
    }

    #[test]
    fn secrets_from_the_environment_and_made_up_ones_are_fine() {
        assert!(
            check("    api_key: os.environ/A_VERY_LONG_NAME_OF_A_VARIABLE\n  master_key: sk-1234 # yours\n").is_empty()
        );
    }

    #[test]
    fn a_secret_written_out_is_found() {
        assert_eq!(
            check("model_list:\n  - api_key: \"abcdefghijklmnopqrstuvwxyz\"\n"),
            ["examples/a.yaml:2: api_key should come from the environment"]
        );
    }

    #[test]
    fn what_is_no_yaml_is_found() {
        assert_eq!(examples(&Repository::of(&[("examples/run.sh", "")])), ["examples/run.sh is no yaml"]);
    }
}
