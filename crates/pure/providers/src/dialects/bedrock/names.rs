//! What a model's name says about it, and names of tools.

use std::borrow::Cow;

use crate::target::Target;

/// Regions of inference profiles before a model's id.
const PROFILES: &[&str] = &["us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au.", "ca.", "in."];
/// Longest name of a tool.
const LONGEST_TOOL_NAME: usize = 64;

/// The model's id without the region of an inference profile.
pub(super) fn base(target: &Target) -> &str {
    let id = target.model.as_str();
    PROFILES.iter().find_map(|profile| id.strip_prefix(profile)).unwrap_or(id)
}

/// Whose model it is: `anthropic`, `meta`, …; of an ARN what the model string says.
pub(super) fn vendor(target: &Target) -> &str {
    target.fact("family").unwrap_or_else(|| base(target).split('.').next().unwrap_or_default())
}

/// Claude, whoever named it.
pub(super) fn is_claude(target: &Target) -> bool {
    vendor(target) == "anthropic" || target.model.contains("claude")
}

/// Amazon's Nova.
pub(super) fn is_nova(target: &Target) -> bool {
    target.model.contains("nova") || target.fact("family") == Some("amazon")
}

/// Families that call tools, whatever the catalog says about a model.
pub(super) fn calls_tools(target: &Target) -> bool {
    is_claude(target) || is_nova(target)
}

/// Families with a prompt cache; the others refuse the mark.
pub(super) fn keeps_prompts(target: &Target) -> bool {
    is_claude(target) || is_nova(target)
}

/// Claude from 4.5 on, which keeps prompts for an hour if told to, and makes one call at a time if told to.
pub(super) fn is_recent_claude(target: &Target) -> bool {
    const RECENT: &[&str] = &["-4-5", "-4-6", "-4-7", "-4-8", "-4-9", "opus-5", "sonnet-5", "haiku-5"];
    is_claude(target) && RECENT.iter().any(|version| target.model.contains(version))
}

/// Models whose tools may be strict and their schemas closed. Of Claude all but Sonnet 4 and, from Opus 4.7 on, the
/// newest: Converse answers those two words with a refusal (`LiteLLM`'s catalog, issue 31582 there).
pub(super) fn reads_strict_tools(target: &Target) -> bool {
    const NOT: &[&str] = &["sonnet-4-2025", "-4-7", "-4-8", "opus-5", "sonnet-5", "haiku-5"];
    is_claude(target) && !NOT.iter().any(|version| target.model.contains(version))
}

/// A tool's name as Converse takes it: letters, digits, `_` and `-`, a letter first.
pub(super) fn tool(name: &str) -> Cow<'_, str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let begins = name.chars().next().is_none_or(|letter| letter.is_ascii_alphabetic());
    if begins && name.chars().all(fits) && name.len() <= LONGEST_TOOL_NAME {
        return Cow::Borrowed(name);
    }
    let plain = name.chars().map(|letter| if fits(letter) { letter } else { '_' });
    let first = if begins { None } else { Some('a') };
    Cow::Owned(first.into_iter().chain(plain).take(LONGEST_TOOL_NAME).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_name_is_letters_digits_underscores_and_hyphens() {
        assert_eq!(tool("get_weather"), "get_weather");
        assert_eq!(tool("files.read-all"), "files_read-all");
        assert_eq!(tool("7zip"), "a7zip");
        assert_eq!(tool(&"x".repeat(70)).len(), LONGEST_TOOL_NAME);
    }
}
