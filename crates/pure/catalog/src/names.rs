//! Names of models and providers: which are the same, and whose a bare name is.

/// Providers that the source keeps apart by operation, and the provider they belong to. (`vertex_ai-…` is a rule.)
const BELONGS: [(&str, &str); 8] = [
    ("amazon-nova", "amazon_nova"),
    ("anthropic_text", "anthropic"),
    ("azure_text", "azure"),
    ("bedrock_converse", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai-embedding-models", "fireworks_ai"),
    ("ollama_chat", "ollama"),
    ("text-completion-openai", "openai"),
];

/// Of the above, those that a call names as they are: another path or dialect answers there.
const CALLED_APART: [&str; 2] = ["cohere_chat", "text-completion-openai"];

/// What a bare name that is in no list begins with, and whose it is; the first that fits counts.
/// Names of retired models belong here: configurations still hold them.
const BEGINNINGS: [(&str, &str); 33] = [
    ("gpt-3.5-turbo-instruct", "text-completion-openai"),
    ("text-davinci-", "text-completion-openai"),
    ("text-curie-", "text-completion-openai"),
    ("text-babbage-", "text-completion-openai"),
    ("text-ada-", "text-completion-openai"),
    ("davinci-", "text-completion-openai"),
    ("babbage-", "text-completion-openai"),
    ("ft:davinci-", "text-completion-openai"),
    ("ft:babbage-", "text-completion-openai"),
    ("ft:", "openai"),
    ("gpt-", "openai"),
    ("chatgpt-", "openai"),
    ("o1-", "openai"),
    ("o3-", "openai"),
    ("o4-", "openai"),
    ("text-embedding-", "openai"),
    ("text-moderation-", "openai"),
    ("omni-moderation-", "openai"),
    ("dall-e-", "openai"),
    ("whisper-", "openai"),
    ("tts-", "openai"),
    ("claude-", "anthropic"),
    ("command-r", "cohere_chat"),
    ("command-a", "cohere_chat"),
    ("command", "cohere"),
    ("embed-", "cohere"),
    ("rerank-", "cohere"),
    ("gemini-", "vertex_ai"),
    ("j2-", "ai21"),
    ("jamba-", "ai21"),
    ("mistral-", "mistral"),
    ("grok-", "xai"),
    ("deepseek-", "deepseek"),
];

/// Whose models Bedrock serves, as its model ids begin.
const BEDROCK_VENDORS: [&str; 18] = [
    "ai21.",
    "amazon.",
    "anthropic.",
    "cohere.",
    "deepseek.",
    "google.",
    "meta.",
    "minimax.",
    "mistral.",
    "moonshot.",
    "moonshotai.",
    "nvidia.",
    "openai.",
    "qwen.",
    "stability.",
    "twelvelabs.",
    "writer.",
    "zai.",
];

/// Regions that a Bedrock inference profile may put before the model id.
const BEDROCK_REGIONS: [&str; 9] = ["apac.", "au.", "ca.", "eu.", "global.", "in.", "jp.", "us-gov.", "us."];

/// The provider that this one belongs to; itself, as a rule.
pub(crate) fn family(provider: &str) -> &str {
    if provider.starts_with("vertex_ai") {
        return "vertex_ai";
    }
    BELONGS.iter().find_map(|(name, family)| (*name == provider).then_some(*family)).unwrap_or(provider)
}

/// The provider to call for a row of this provider.
pub(crate) fn called(provider: &str) -> &str {
    if CALLED_APART.contains(&provider) { provider } else { family(provider) }
}

/// A provider whose prices stand in for rows that this one does not have.
pub(crate) fn stand_in(provider: &str) -> Option<&'static str> {
    // Azure AI Foundry sells OpenAI's models at Azure's prices.
    (provider == "azure_ai").then_some("azure")
}

/// What rows of this provider have before the model's name, without the slash.
pub(crate) fn row_prefix(provider: &str) -> &str {
    if provider == "amazon_nova" { "amazon-nova" } else { provider }
}

/// A fine-tuned model's name without its owner: `ft:gpt-4o` for `ft:gpt-4o:company::id`.
pub(crate) fn without_owner(name: &str) -> Option<&str> {
    let base = name.strip_prefix("ft:")?.split(':').next()?;
    name.get(..base.len() + 3).filter(|tuned| tuned.len() < name.len())
}

/// A model of Replicate's without the version: `meta/llama-2-70b-chat` for `meta/llama-2-70b-chat:02e5…` (64 digits).
pub(crate) fn without_hash(name: &str) -> Option<&str> {
    let (base, hash) = name.rsplit_once(':')?;
    (hash.len() == 64 && hash.bytes().all(|sign| sign.is_ascii_hexdigit())).then_some(base)
}

/// The name without the date or version at its end: `-2024-08-06`, `-20241022`, `-240715`, `-0613`, `-08-2024`, `@001`.
pub(crate) fn without_date(name: &str) -> Option<&str> {
    let (base, last) = name.rsplit_once(['-', '@'])?;
    let number = last.bytes().all(|sign| sign.is_ascii_digit());
    if !number || last.is_empty() || base.is_empty() {
        return None;
    }
    if name.get(base.len()..).is_some_and(|rest| rest.starts_with('@')) {
        return Some(base);
    }
    let year = |text: &str| text.len() == 4 && text.starts_with("20");
    let part =
        |text: Option<&str>, most: u8| text.and_then(|text| text.parse().ok()).is_some_and(|n| (1..=most).contains(&n));
    let month_and_day = |text: &str| part(text.get(..2), 12) && part(text.get(2..), 31);
    match last.len() {
        8 if last.starts_with("20") => last.get(4..).is_some_and(month_and_day).then_some(base),
        6 => last.get(2..).is_some_and(month_and_day).then_some(base),
        4 if year(last)
            && base.rsplit_once('-').is_some_and(|(_, month)| month.len() == 2 && part(Some(month), 12)) =>
        {
            base.rsplit_once('-').map(|(base, _)| base)
        }
        4 => (month_and_day(last) || (last.starts_with('2') && part(last.get(2..), 12))).then_some(base),
        2 if part(Some(last), 31) => {
            let (rest, month) = base.rsplit_once('-')?;
            let (rest, year_text) = rest.rsplit_once('-')?;
            (year(year_text) && month.len() == 2 && part(Some(month), 12)).then_some(rest)
        }
        _ => None,
    }
}

/// Whose a bare name is by how it begins.
pub(crate) fn provider_by_beginning(name: &str) -> Option<&'static str> {
    // A slash means that a provider was named, and one that nobody knows.
    if name.contains('/') {
        return None;
    }
    let unregional = BEDROCK_REGIONS.iter().find_map(|region| name.strip_prefix(region)).unwrap_or(name);
    if BEDROCK_VENDORS.iter().any(|vendor| unregional.starts_with(vendor)) {
        return Some("bedrock");
    }
    BEGINNINGS.iter().find_map(|(beginning, provider)| name.starts_with(beginning).then_some(*provider))
}

/// A row that prices one size or quality of a model, or a size class of models: nobody calls it by this name.
pub(crate) fn is_price_row(name: &str) -> bool {
    let size = |part: &str| {
        part.split_once("-x-").is_some_and(|(width, height)| {
            [width, height].iter().all(|side| !side.is_empty() && side.bytes().all(|sign| sign.is_ascii_digit()))
        })
    };
    name.split('/').any(size) || name.starts_with("together-ai-") || name.starts_with("fireworks-ai-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_at_the_end_is_taken_off_in_every_spelling() {
        let check = |name, expected| assert_eq!(without_date(name), expected, "{name}");
        check("gpt-4o-2024-08-06", Some("gpt-4o"));
        check("claude-3-5-sonnet-20241022", Some("claude-3-5-sonnet"));
        check("claude-3-5-sonnet@20241022", Some("claude-3-5-sonnet"));
        check("text-unicorn@001", Some("text-unicorn"));
        check("gpt-4-0613", Some("gpt-4"));
        check("mistral-large-2402", Some("mistral-large"));
        check("command-r-08-2024", Some("command-r"));
        check("doubao-embedding-text-240715", Some("doubao-embedding-text"));
    }

    #[test]
    fn a_number_that_is_no_date_stays() {
        for name in [
            "gpt-4",
            "gpt-4o",
            "whisper-1",
            "claude-sonnet-4-5",
            "grok-9999",
            "m-20249999",
            "o1",
            "",
            "-0613",
            "a-",
            "a@",
        ] {
            assert_eq!(without_date(name), None, "{name}");
        }
    }

    #[test]
    fn a_fine_tuned_name_loses_its_owner() {
        assert_eq!(without_owner("ft:gpt-4o-2024-08-06:org::id"), Some("ft:gpt-4o-2024-08-06"));
        assert_eq!(without_owner("ft:gpt-4o:org:name:id"), Some("ft:gpt-4o"));
        assert_eq!(without_owner("ft:gpt-4o"), None);
        assert_eq!(without_owner("gpt-4o:org"), None);
    }

    #[test]
    fn a_row_for_a_size_is_told_from_a_model() {
        for name in ["1024-x-1024/gpt-image-1.5", "azure/hd/1024-x-1792/dall-e-3", "together-ai-4.1b-8b"] {
            assert!(is_price_row(name), "{name}");
        }
        for name in ["gpt-4o", "groq/llama-x-1", "a-x-b/c"] {
            assert!(!is_price_row(name), "{name}");
        }
    }
}
