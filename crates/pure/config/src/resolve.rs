//! `os.environ/NAME` becomes what it stands for; the values come from outside, so that this stays pure.

use crate::{
    Finding, Location, Severity,
    file::{ENVIRONMENT, File},
    yaml::{Node, Value},
};

/// Names that `environment_variables` may not set: they would change how this or any started process runs.
const BLOCKED: &[&str] =
    &["PATH", "HOME", "USER", "SHELL", "LOGNAME", "LD_PRELOAD", "LD_LIBRARY_PATH", "NO_PROXY", "no_proxy"];
const BLOCKED_PREFIXES: &[&str] = &["DYLD_", "PYTHON", "LD_"];

/// A file whose references have been replaced.
#[derive(Clone)]
pub struct Resolved {
    pub(crate) root: Node,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) findings: Vec<Finding>,
}

/// A reference to something that is not set; its node is null now.
#[derive(Debug, Clone)]
pub(crate) struct Missing {
    pub(crate) path: String,
    pub(crate) at: Location,
    pub(crate) name: String,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolved").field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// Replaces every `os.environ/NAME` of `file`, in lists too, by what `lookup` or the file's own
/// `environment_variables` say; those are meant to be exported first, so they win.
///
/// A name that is not set, or empty, becomes "not set"; [`check`](crate::check) says what that means for whom.
#[must_use]
pub fn resolve(mut file: File, lookup: &dyn Fn(&str) -> Option<String>) -> Resolved {
    let mut missing = Vec::new();
    let mut findings = Vec::new();
    let mut environment = Vec::new();
    if let Value::Map(entries) = &mut file.root.value
        && let Some(section) = entries.iter_mut().find(|entry| entry.key == "environment_variables")
    {
        // The section itself cannot refer to its own names: only the outside is asked.
        replace(&mut section.value, "environment_variables", lookup, &mut missing);
        environment = exported(&section.value, &mut findings);
    }
    let with_own = |name: &str| {
        let own = environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        own.or_else(|| lookup(name))
    };
    if let Value::Map(entries) = &mut file.root.value {
        for entry in entries.iter_mut().filter(|entry| entry.key != "environment_variables") {
            replace(&mut entry.value, &entry.key, &with_own, &mut missing);
        }
    }
    Resolved { root: file.root, environment, missing, findings }
}

fn replace(node: &mut Node, path: &str, lookup: &dyn Fn(&str) -> Option<String>, missing: &mut Vec<Missing>) {
    match &mut node.value {
        Value::Text(text) => {
            let Some(name) = text.strip_prefix(ENVIRONMENT) else { return };
            if let Some(value) = lookup(name).filter(|value| !value.is_empty()) {
                *text = value;
            } else {
                missing.push(Missing { path: path.to_owned(), at: node.at.clone(), name: name.to_owned() });
                node.value = Value::Null;
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                replace(item, &format!("{path}[{index}]"), lookup, missing);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                replace(&mut entry.value, &format!("{path}.{}", entry.key), lookup, missing);
            }
        }
        Value::Null | Value::Flag(_) | Value::Number(..) => {}
    }
}

fn exported(section: &Node, findings: &mut Vec<Finding>) -> Vec<(String, String)> {
    let mut environment = Vec::new();
    for entry in section.entries().unwrap_or_default() {
        if BLOCKED.contains(&entry.key.as_str()) || BLOCKED_PREFIXES.iter().any(|prefix| entry.key.starts_with(prefix))
        {
            let message = "may not be set here; left as it is";
            let path = format!("environment_variables.{}", entry.key);
            findings.push(Finding::new(Severity::Warning, path, &entry.at, message));
            continue;
        }
        let value = match &entry.value.value {
            Value::Text(text) => text.clone(),
            Value::Number(_, written) => written.clone(),
            // Spelt as Python spells it: that is what programs that read these variables were written for.
            Value::Flag(true) => "True".to_owned(),
            Value::Flag(false) => "False".to_owned(),
            Value::Null | Value::List(_) | Value::Map(_) => continue,
        };
        environment.push((entry.key.clone(), value));
    }
    environment
}
