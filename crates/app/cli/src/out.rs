//! What people and scripts read: answers on standard output, everything else on standard error.
//!
//! A reader that has gone (`tollgate schema | head`) is no failure, so nothing here fails.

use std::io::Write;

/// Writes a line of what was asked for.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

/// Writes a piece of a line at once, for answers that come bit by bit.
pub(crate) fn piece(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line of what went wrong or is worth knowing.
pub(crate) fn aside(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
