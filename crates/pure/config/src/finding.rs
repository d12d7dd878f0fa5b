//! What a check has to say about a configuration: one finding per thing, each with its place.

use std::fmt;

use crate::Location;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The start is refused, or a reload keeps the configuration it has.
    Fatal,
    /// One deployment cannot be served; everything else starts. `check` and `--strict` treat it as an error.
    Deployment,
    /// Probably not what was meant; the start goes on.
    Warning,
    /// Worth knowing, nothing to do.
    Note,
}

impl Severity {
    /// The word printed in front of the message.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fatal => "error",
            Self::Deployment => "unservable",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing found in a configuration. Messages never hold a value of the file, so they never hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The key, as in `model_list[2].litellm_params.api_base`; empty for the file as a whole.
    pub path: String,
    /// Where it stands.
    pub at: Location,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Finding {
    /// A finding of `severity` about `path`.
    #[must_use]
    pub fn new(severity: Severity, path: impl Into<String>, at: &Location, message: impl Into<String>) -> Self {
        Self { severity, path: path.into(), at: at.clone(), message: message.into() }
    }

    /// A finding that refuses the start.
    #[must_use]
    pub fn fatal(path: impl Into<String>, at: &Location, message: impl Into<String>) -> Self {
        Self::new(Severity::Fatal, path, at, message)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.at, self.severity.word())?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}
