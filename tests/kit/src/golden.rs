//! Golden files: folders of recorded cases, compared with what the code says today; `UPDATE=1` rewrites them.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

/// How many differences of one document are told.
const MOST_TOLD: usize = 20;

/// One folder of files that belong together.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folders below the root, joined by slashes: `groq/chat`.
    pub name: String,
    /// Where the files are.
    pub folder: PathBuf,
}

/// What was found to differ, over many cases, so that one run tells everything.
#[derive(Debug, Default)]
pub struct Findings {
    lines: Vec<String>,
}

/// Every folder below the root that has files of its own, in the order of names. Fails the test if there is none.
pub fn cases(root: impl AsRef<Path>) -> Vec<Case> {
    let root = root.as_ref();
    let mut found = Vec::new();
    collect(root, root, &mut found);
    assert!(!found.is_empty(), "no golden cases in {}", root.display());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Case>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => panic!("cannot read {}: {error}", folder.display()),
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    paths.sort();
    if paths.iter().any(|path| path.is_file()) {
        let name = folder.strip_prefix(root).unwrap_or(folder).to_string_lossy().replace('\\', "/");
        found.push(Case { name, folder: folder.to_owned() });
    }
    for path in paths.iter().filter(|path| path.is_dir()) {
        collect(root, path, found);
    }
}

impl Case {
    /// Whether the case has this file.
    pub fn has(&self, file: &str) -> bool {
        self.folder.join(file).is_file()
    }

    /// A file as bytes; `None` if the case has none of that name.
    pub fn bytes(&self, file: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.join(file)).ok()
    }

    /// A file as text; `None` if the case has none of that name.
    pub fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.folder.join(file)).ok()
    }

    /// A file as JSON; `None` if the case has none of that name. Fails the test if it is no JSON.
    pub fn json(&self, file: &str) -> Option<Value> {
        let text = self.text(file)?;
        match serde_json::from_str(&text) {
            Ok(document) => Some(document),
            Err(error) => panic!("{}/{file} is no json: {error}", self.name),
        }
    }

    /// A file as JSON; fails the test if it is missing.
    pub fn need_json(&self, file: &str) -> Value {
        self.json(file).unwrap_or_else(|| panic!("{} has no {file}", self.name))
    }

    /// A file as text; fails the test if it is missing.
    pub fn need_text(&self, file: &str) -> String {
        self.text(file).unwrap_or_else(|| panic!("{} has no {file}", self.name))
    }

    /// Compares a document with the golden one, field by field; the order of fields does not matter.
    pub fn compare_json(&self, file: &str, actual: &Value) -> Vec<String> {
        let Some(golden) = self.golden(file, || pretty(actual)) else { return Vec::new() };
        let expected = match serde_json::from_str(&golden) {
            Ok(expected) => expected,
            Err(error) => return vec![format!("{}/{file}: the golden file is no json: {error}", self.name)],
        };
        // Rewriting an equal document would only shuffle its fields.
        let found = differences(&expected, actual);
        if !found.is_empty() && updating() {
            self.rewrite(file, &pretty(actual));
            return Vec::new();
        }
        found.into_iter().map(|line| format!("{}/{file}: {line}", self.name)).collect()
    }

    /// Compares a text with the golden one, line by line.
    pub fn compare_text(&self, file: &str, actual: &str) -> Vec<String> {
        let Some(golden) = self.golden(file, || actual.to_owned()) else { return Vec::new() };
        if golden == actual {
            return Vec::new();
        }
        if updating() {
            self.rewrite(file, actual);
            return Vec::new();
        }
        line_differences(&golden, actual).into_iter().map(|line| format!("{}/{file}: {line}", self.name)).collect()
    }

    /// The golden text. A missing one is written when updating, and is a failure otherwise.
    fn golden(&self, file: &str, fresh: impl Fn() -> String) -> Option<String> {
        match self.text(file) {
            Some(golden) => Some(golden),
            None if updating() => {
                self.rewrite(file, &fresh());
                None
            }
            None => panic!("{}/{file} does not exist; UPDATE=1 writes it:\n{}", self.name, fresh()),
        }
    }

    fn rewrite(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        if let Err(error) = fs::write(&path, text) {
            panic!("cannot write {}: {error}", path.display());
        }
    }
}

impl Findings {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what a comparison found.
    pub fn add(&mut self, found: impl IntoIterator<Item = String>) {
        self.lines.extend(found);
    }

    /// Fails the test with all findings, if there are any.
    pub fn assert_none(self) {
        assert!(
            self.lines.is_empty(),
            "{} differences (UPDATE=1 rewrites)\n{}",
            self.lines.len(),
            self.lines.join("\n")
        );
    }
}

/// Where two documents differ, one line each, with the path to the place. At most twenty.
pub fn differences(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("$", expected, actual, &mut found);
    if found.len() > MOST_TOLD {
        let more = found.len() - MOST_TOLD;
        found.truncate(MOST_TOLD);
        found.push(format!("… and {more} more"));
    }
    found
}

/// Fails the test if two documents differ, and says where.
pub fn assert_json(actual: &Value, expected: &Value) {
    let found = differences(expected, actual);
    assert!(found.is_empty(), "{}\nwhole document: {}", found.join("\n"), pretty(actual));
}

/// Every way to cut bytes in two, for proofs that a decoder does not care how they arrive.
pub fn cuts(bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..=bytes.len()).map(|place| bytes.split_at(place))
}

fn compare(path: &str, expected: &Value, actual: &Value, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(wanted), Value::Object(given)) => {
            for (key, value) in wanted {
                match given.get(key) {
                    Some(other) => compare(&format!("{path}.{key}"), value, other, found),
                    None => found.push(format!("{path}.{key} is missing, expected {value}")),
                }
            }
            for (key, value) in given.iter().filter(|(key, _)| !wanted.contains_key(*key)) {
                found.push(format!("{path}.{key} is not expected: {value}"));
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            if wanted.len() != given.len() {
                found.push(format!("{path} has {} items, expected {}", given.len(), wanted.len()));
            }
            for (index, (value, other)) in wanted.iter().zip(given).enumerate() {
                compare(&format!("{path}[{index}]"), value, other, found);
            }
        }
        _ if expected == actual => {}
        _ => found.push(format!("{path} is {actual}, expected {expected}")),
    }
}

fn line_differences(expected: &str, actual: &str) -> Vec<String> {
    let (wanted, given): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let mut found: Vec<String> = wanted
        .iter()
        .zip(&given)
        .enumerate()
        .filter(|(_, (expected, actual))| expected != actual)
        .map(|(index, (expected, actual))| format!("line {} is {actual:?}, expected {expected:?}", index + 1))
        .take(MOST_TOLD)
        .collect();
    if wanted.len() != given.len() {
        found.push(format!("{} lines, expected {}", given.len(), wanted.len()));
    }
    if found.is_empty() {
        found.push("line endings differ".to_owned());
    }
    found
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

fn updating() -> bool {
    env::var("UPDATE").is_ok_and(|value| value == "1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::TempFolder;

    #[test]
    fn differences_name_the_place() {
        let expected = json!({"a": [1, {"b": "x"}], "c": 1, "gone": true});
        let actual = json!({"c": 1, "a": [1, {"b": "y"}, 3], "new": null});

        assert_eq!(
            differences(&expected, &actual),
            [
                "$.a has 3 items, expected 2",
                r#"$.a[1].b is "y", expected "x""#,
                "$.gone is missing, expected true",
                "$.new is not expected: null",
            ]
        );
    }

    #[test]
    fn cases_are_the_folders_with_files_in_the_order_of_names() {
        let folder = TempFolder::new();
        folder.write("groq/stream/ask.json", "{}");
        folder.write("azure/chat/ask.json", r#"{"model": "a"}"#);

        let cases = cases(folder.path());

        assert_eq!(cases.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), ["azure/chat", "groq/stream"]);
        assert_eq!(cases[0].need_json("ask.json")["model"], "a");
        assert!(!cases[0].has("reply.json"));
    }

    #[test]
    fn a_text_that_differs_is_told_by_line() {
        let folder = TempFolder::new();
        folder.write("answer.sse", "data: 1\n\ndata: 2\n\n");
        let case = Case { name: "it".to_owned(), folder: folder.path().to_owned() };

        assert_eq!(
            case.compare_text("answer.sse", "data: 1\n\ndata: 3\n\n"),
            [r#"it/answer.sse: line 3 is "data: 3", expected "data: 2""#]
        );
        assert!(case.compare_text("answer.sse", "data: 1\n\ndata: 2\n\n").is_empty());
    }

    #[test]
    fn bytes_are_cut_at_every_place() {
        let cuts: Vec<_> = cuts(b"ab").collect();

        assert_eq!(cuts, [(&b""[..], &b"ab"[..]), (b"a", b"b"), (b"ab", b"")]);
    }
}
