//! Names that Anthropic takes: tools and calls are letters, digits, `_` and `-` only.

use std::borrow::Cow;

/// Longest name of a tool.
const LONGEST_TOOL_NAME: usize = 128;

/// A tool's name as Anthropic takes it.
pub(super) fn tool(name: &str) -> Cow<'_, str> {
    match plain(name) {
        Cow::Borrowed(name) if name.len() > LONGEST_TOOL_NAME => name.chars().take(LONGEST_TOOL_NAME).collect(),
        Cow::Owned(name) if name.len() > LONGEST_TOOL_NAME => name.chars().take(LONGEST_TOOL_NAME).collect(),
        name => name,
    }
}

/// A call's id as Anthropic takes it; ids of other providers are found in conversations that move.
pub(super) fn call(id: &str) -> Cow<'_, str> {
    plain(id)
}

fn plain(text: &str) -> Cow<'_, str> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    if text.chars().all(fits) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use tollgate_wire::chat::{ChatRequest, Tool};

    use super::*;
    use crate::dialects::renamed::Renamed;

    #[test]
    fn a_name_that_had_to_change_is_found_again() {
        let function = |name: &str| Tool::Function {
            name: name.to_owned(),
            description: None,
            parameters: None,
            strict: None,
            extras: serde_json::Map::new(),
        };
        let tools = vec![function("files.read"), function("plain_one")];
        let renamed = Renamed::of(&ChatRequest { tools, ..ChatRequest::default() }, tool);
        assert_eq!(tool("files.read"), "files_read");
        assert_eq!(renamed.back("files_read"), "files.read");
        assert_eq!(renamed.back("plain_one"), "plain_one");
        assert_eq!(tool(&"ä".repeat(200)).len(), LONGEST_TOOL_NAME);
    }
}
