//! `router_settings.hedging`: a second attempt beside a first one.

use super::{Flag, Number, Seconds, Section, Texts, Unknown, ours};

/// `router_settings.hedging`.
pub(crate) static HEDGING: Section = Section {
    name: "router_settings.hedging",
    about: "A second attempt at another deployment of the group, beside one that has said nothing for long.",
    unknown: Unknown::Warn,
    keys: &[
        ours("enabled", Flag, "false", "Calls are hedged."),
        ours(
            "after",
            Seconds,
            "p95",
            "How long the first attempt may say nothing. Without it: as long as 95 of 100 of its deployment's last answers took, \
             streams by their first content, from 20 answers on.",
        ),
        ours("min_delay", Seconds, "1", "Never sooner; what holds while a deployment has answered too seldom."),
        ours("max_share", Number, "0.05", "Second attempts are at most this share of the calls that may have one."),
        ours("model_groups", Texts, "", "Only calls of these groups; none: of all."),
    ],
    groups: &[],
    families: &[],
};
