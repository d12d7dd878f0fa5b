//! A configuration as the user wrote it: the tree, its includes, and the names of the secrets it asks for.

use crate::{
    Finding, Location,
    yaml::{self, Entry, Node, Value},
};

/// How a value says that it stands in the environment (or a secret manager).
pub(crate) const ENVIRONMENT: &str = "os.environ/";

/// A file, read and not yet understood.
#[derive(Debug, Clone)]
pub struct File {
    pub(crate) root: Node,
}

/// Reads one YAML file; `name` is what findings call it.
///
/// # Errors
/// A [`Severity::Fatal`](crate::Severity::Fatal) finding if `text` is not YAML, too large, or not a mapping.
pub fn parse(name: &str, text: &str) -> Result<File, Finding> {
    let root = yaml::read(name, text)?;
    match root.value {
        Value::Map(_) => Ok(File { root }),
        Value::Null => Ok(File { root: Node { value: Value::Map(Vec::new()), at: root.at } }),
        _ => Err(Finding::fatal("", &root.at, format!("a configuration is a mapping, this is {}", root.kind()))),
    }
}

impl File {
    /// The files that this one includes, as written: relative to the folder of this file.
    ///
    /// The caller reads each file once, however often it is named, its own includes first, and hands it to
    /// [`File::merge`].
    #[must_use]
    pub fn includes(&self) -> Vec<String> {
        let Some(include) = self.root.get("include") else { return Vec::new() };
        let mut names = Vec::new();
        include.each_text(&mut |name| names.push(name.to_owned()));
        names
    }

    /// Takes over what an included file says: lists are appended to lists, any other key overwrites.
    pub fn merge(&mut self, included: Self) {
        let Value::Map(theirs) = included.root.value else { return };
        let Value::Map(ours) = &mut self.root.value else { return };
        for entry in theirs.into_iter().filter(|entry| entry.key != "include") {
            match ours.iter_mut().find(|mine| mine.key == entry.key) {
                Some(mine) => absorb(mine, entry),
                None => ours.push(entry),
            }
        }
    }

    /// The names behind every `os.environ/NAME`, in order, each once.
    #[must_use]
    pub fn wanted_secrets(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        self.root.each_text(&mut |text| {
            if let Some(name) = text.strip_prefix(ENVIRONMENT)
                && !names.iter().any(|known| known == name)
            {
                names.push(name.to_owned());
            }
        });
        names
    }

    /// Where the `model` of each entry of `model_list` stands; the entry itself, where it has none.
    ///
    /// For findings that need the whole configuration, and so come after the check.
    #[must_use]
    pub fn model_places(&self) -> Vec<Location> {
        let entries = self.root.get("model_list").and_then(Node::items).unwrap_or_default();
        let place = |entry: &Node| {
            let model = entry.get("litellm_params").and_then(|params| params.get("model"));
            model.unwrap_or(entry).at.clone()
        };
        entries.iter().map(place).collect()
    }

    /// Where the file begins.
    #[must_use]
    pub fn at(&self) -> &Location {
        &self.root.at
    }
}

fn absorb(mine: &mut Entry, theirs: Entry) {
    match (&mut mine.value.value, theirs.value) {
        (Value::List(items), Node { value: Value::List(more), .. }) => items.extend(more),
        (_, value) => {
            mine.value = value;
            mine.at = theirs.at;
        }
    }
}
