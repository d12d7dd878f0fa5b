//! How many tokens a request comes to, where no provider counts it.

use tollgate_wire::chat::{ChatRequest, Part, Tool};

/// Counts tokens.
pub(crate) trait Counter: Sync {
    /// The tokens of this text for this model.
    fn text(&self, model: &str, text: &str) -> u64;
}

/// Four bytes a token: what English and code come to for today's tokenizers, erring to the high side.
struct Bytes;

impl Counter for Bytes {
    fn text(&self, _model: &str, text: &str) -> u64 {
        (text.len() as u64).div_ceil(4)
    }
}

/// The counter of all models.
static COUNTER: &dyn Counter = &Bytes;

/// Tokens that stand around each message.
const PER_MESSAGE: u64 = 3;
/// Tokens of a picture or page whose size is not known (Anthropic: width × height / 750, at most about 1600).
const PER_PICTURE: u64 = 1600;

/// The tokens of a request's messages and tools.
pub(crate) fn input_tokens(request: &ChatRequest, model: &str) -> u64 {
    let messages = request.messages.iter().map(|message| parts(&message.parts, model).saturating_add(PER_MESSAGE));
    messages.chain(request.tools.iter().map(|offered| tool(offered, model))).fold(0, u64::saturating_add)
}

fn parts(parts: &[Part], model: &str) -> u64 {
    parts.iter().map(|said| part(said, model)).fold(0, u64::saturating_add)
}

fn part(said: &Part, model: &str) -> u64 {
    match said {
        Part::Text { text, .. } | Part::Thinking { text, .. } | Part::Refusal(text) => COUNTER.text(model, text),
        Part::Image { .. } | Part::Document { .. } => PER_PICTURE,
        Part::Audio { data, .. } | Part::RedactedThinking { data } => COUNTER.text(model, data),
        Part::ToolCall(call) => COUNTER.text(model, &call.name).saturating_add(COUNTER.text(model, &call.arguments)),
        Part::ToolResult { parts: inner, .. } => parts(inner, model),
        Part::Opaque { raw, .. } => COUNTER.text(model, &raw.to_string()),
    }
}

fn tool(offered: &Tool, model: &str) -> u64 {
    match offered {
        Tool::Function { name, description, parameters, .. } => {
            let schema = parameters.as_ref().map(ToString::to_string).unwrap_or_default();
            let texts = [name.as_str(), description.as_deref().unwrap_or_default(), schema.as_str()];
            texts.iter().map(|text| COUNTER.text(model, text)).fold(0, u64::saturating_add)
        }
        Tool::Native(raw) => COUNTER.text(model, &raw.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_providers::codec::ClientDialect as _;
    use tollgate_providers::dialects::anthropic::MESSAGES_CLIENT;
    use tollgate_wire::RawBody;

    use super::*;

    fn count(body: &serde_json::Value) -> u64 {
        let body = RawBody::parse(&body.to_string().into()).unwrap();
        input_tokens(&MESSAGES_CLIENT.read(&body).unwrap(), "m")
    }

    #[test]
    fn whatever_is_said_counts() {
        let said = serde_json::json!([{"role": "user", "content": "twelve bytes"}]);
        assert_eq!(count(&serde_json::json!({"messages": said})), 3 + PER_MESSAGE);
        let with_tool = serde_json::json!({"messages": said, "system": "four", "tools": [{"name": "f"}]});
        assert_eq!(count(&with_tool), 3 + 1 + 1 + 2 * PER_MESSAGE);
    }
}
