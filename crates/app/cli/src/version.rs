//! `--version`.

use crate::out;

/// The version of LiteLLM whose surface this one has; scripts read it from `--version`.
const LITELLM: &str = "1.106.2";

/// Prints the line that scripts look for, then our own.
pub(crate) fn print() {
    out::line(&format!("LiteLLM: Current Version = {LITELLM}"));
    out::line(&format!("tollgate {}", env!("CARGO_PKG_VERSION")));
}
