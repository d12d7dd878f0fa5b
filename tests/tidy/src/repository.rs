//! The files of the repository, read once. Rules see paths from its root, with forward slashes.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Folders that hold what tools make, beside those that `.gitignore` names.
const MADE_BY_TOOLS: [&str; 4] = [".git", "target", "node_modules", "__pycache__"];

/// All files of a working tree.
#[derive(Debug, Default)]
pub struct Repository {
    files: Vec<File>,
}

/// One file.
#[derive(Debug)]
pub struct File {
    /// The path from the root: `crates/pure/wire/src/lib.rs`.
    pub path: String,
    /// The text; `None` if the file is no UTF-8 text.
    pub text: Option<String>,
}

impl Repository {
    /// Reads a tree, without what `.gitignore` names and what tools make.
    ///
    /// # Errors
    /// When a folder or a file cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        walk(root, root, &ignored(root), &mut files)?;
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self { files })
    }

    /// A tree made of pairs of path and text.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: Some((*text).to_owned()) };
        Self { files: files.iter().map(file).collect() }
    }

    /// Every file, in the order of paths.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.iter()
    }

    /// Every text file: its path and its text.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|file| Some((file.path.as_str(), file.text.as_deref()?)))
    }

    /// The text of one file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts().find(|(known, _)| *known == path).map(|(_, text)| text)
    }

    /// Whether there is such a file, or a folder with files.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty()
            || self
                .files
                .iter()
                .any(|file| file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }

    /// Every text file of Rust in `crates/` and `tests/`.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| {
            has_extension(path, &["rs"]) && (path.starts_with("crates/") || path.starts_with("tests/"))
        })
    }
}

/// Whether a path ends in one of these extensions.
#[must_use]
pub fn has_extension(path: &str, extensions: &[&str]) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
}

fn walk(root: &Path, folder: &Path, ignored: &[String], files: &mut Vec<File>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        // Another test's folder may be gone by now.
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder != root => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if ignored.contains(&name) {
            continue;
        }
        if kind.is_dir() {
            walk(root, &entry.path(), ignored, files)?;
        } else if kind.is_file() && !has_extension(&name, &["pyc"]) {
            files.push(File { path: from_root(root, &entry.path()), text: text_of(&entry.path())? });
        }
    }
    Ok(())
}

/// `None` for files that are no text, and for those that vanished while we walked (an editor's, a compiler's).
fn text_of(path: &PathBuf) -> io::Result<Option<String>> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn from_root(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The plain names in `.gitignore`; patterns with stars name files that the rules may see.
fn ignored(root: &Path) -> Vec<String> {
    let text = fs::read_to_string(root.join(".gitignore")).unwrap_or_default();
    let names = text.lines().map(|line| line.trim().trim_matches('/').to_owned());
    let plain = names.filter(|name| !name.is_empty() && !name.contains(['*', '/', '#', '!']));
    plain.chain(MADE_BY_TOOLS.map(str::to_owned)).collect()
}
