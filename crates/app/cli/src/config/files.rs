//! Configuration files from the disk, and the file that `--model` stands for.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use serde_json::json;
use tollgate_config::{File, Finding, MAX_FILE_BYTES, parse};

use crate::args::Models;

/// More files than this are not one configuration.
const MAX_FILES: usize = 100;

/// Why there is no file.
pub(super) enum Unread {
    /// It is not YAML.
    Finding(Finding),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Unread {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// Files that were read: as they were named, and where they are.
pub(super) type Seen = Vec<(PathBuf, PathBuf)>;

/// Reads a file and what it includes. `seen` are those that were looked for, whatever came of it.
pub(super) fn read(path: &Path, seen: &mut Seen) -> Result<File, Unread> {
    let file = with_includes(path, &path.display().to_string(), None, seen)?;
    file.ok_or_else(|| Unread::Other(anyhow!("{} was read already", path.display())))
}

/// The file with its includes merged into it; `None` if it has been read before.
fn with_includes(path: &Path, name: &str, included_by: Option<&str>, seen: &mut Seen) -> Result<Option<File>, Unread> {
    let canonical = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if seen.iter().any(|(_, known)| *known == canonical) {
        return Ok(None);
    }
    if seen.len() >= MAX_FILES {
        return Err(Unread::Other(anyhow!("{name}: more than {MAX_FILES} files are included")));
    }
    seen.push((path.to_owned(), canonical));
    let text = text_of(path).map_err(|error| match included_by {
        Some(by) => error.context(format!("{by} includes {name}")),
        None => error,
    })?;
    let mut file = parse(name, &text).map_err(Unread::Finding)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for include in file.includes() {
        let below = folder.join(&include);
        if let Some(included) = with_includes(&below, &below.display().to_string(), Some(name), seen)? {
            file.merge(included);
        }
    }
    Ok(Some(file))
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    if !path.exists() {
        bail!("there is no file {shown}; name the configuration with --config <file>");
    }
    if !path.is_file() && path.is_dir() {
        bail!("{shown} is a folder; name a file with --config <file>");
    }
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    let file = fs::File::open(path).with_context(|| format!("{shown} cannot be read"))?;
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).with_context(|| format!("{shown} cannot be read"))?;
    if bytes.len() > MAX_FILE_BYTES {
        bail!("{shown} is over {MAX_FILE_BYTES} bytes; a configuration is smaller");
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        anyhow!("{shown}:{line}: error: this line is not UTF-8")
    })
}

/// A file that says nothing.
pub(super) fn empty() -> anyhow::Result<File> {
    parse("no configuration", "{}").map_err(Into::into)
}

/// The file that `--model` stands for.
pub(super) fn of_model(model: &str, flags: &Models) -> anyhow::Result<File> {
    let mut params = json!({ "model": model });
    let given = [("api_base", &flags.api_base), ("api_version", &flags.api_version)];
    for (name, value) in given.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
        if let Some(params) = params.as_object_mut() {
            params.insert(name.to_owned(), json!(value));
        }
    }
    let name = flags.alias.as_deref().unwrap_or(model);
    let file = json!({ "model_list": [{ "model_name": name, "litellm_params": params }] });
    // JSON is YAML, and quotes every text: a model called `yes` stays one.
    parse("--model", &file.to_string()).map_err(Into::into)
}
