//! `router_settings.continuation`: streams that go on after they broke.

use super::{Flag, Section, Unknown, Whole, ours};

/// `router_settings.continuation`.
pub(crate) static CONTINUATION: Section = Section {
    name: "router_settings.continuation",
    about: "A stream that breaks after content goes on at another deployment, which is given what was said so far.",
    unknown: Unknown::Warn,
    keys: &[
        ours("enabled", Flag, "false", "Streams are continued."),
        ours("max_continuations", Whole, "1", "So often in one answer."),
        ours("max_kept_bytes", Whole, "262144", "A longer answer is not continued: so much of it is kept in memory."),
    ],
    groups: &[],
    families: &[],
};
