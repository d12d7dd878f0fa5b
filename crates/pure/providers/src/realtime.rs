//! `OpenAI`'s realtime API: where it is, and what of its events concerns the bill. The events themselves pass as they are.

use serde_json::Value;
use tollgate_wire::{Usage, percent};

use crate::{
    dialects::azure::{self, DEFAULT_API_VERSION},
    gauge::millis,
    provider::Auth,
    target::Target,
};

/// The address of a socket, or none where the provider has no such API. `intent` is the client's (`transcription`).
#[must_use]
pub fn address(target: &Target, intent: Option<&str>) -> Option<String> {
    let model = percent::encoded(&target.model);
    let (root, query) = match target.provider.auth {
        Auth::Bearer => (target.base_url.clone(), format!("model={model}")),
        Auth::Azure if azure::is_v1(target) => (azure_root(target), format!("model={model}")),
        Auth::Azure => {
            let version = target.api_version.as_deref().unwrap_or(DEFAULT_API_VERSION);
            (azure_root(target), format!("api-version={version}&deployment={model}"))
        }
        _ => return None,
    };
    let intent = intent.map(|intent| format!("&intent={}", percent::encoded(intent))).unwrap_or_default();
    Some(format!("{root}/realtime?{query}{intent}"))
}

/// The address of a document beside it: `/realtime/client_secrets`, `/realtime/sessions`, ….
#[must_use]
pub fn document_address(target: &Target, path: &str) -> Option<String> {
    match target.provider.auth {
        Auth::Bearer => Some(format!("{}{path}", target.base_url)),
        // These came with the v1 form.
        Auth::Azure => Some(format!("{}{path}", azure_v1(target))),
        _ => None,
    }
}

fn azure_root(target: &Target) -> String {
    if azure::is_v1(target) {
        return azure_v1(target);
    }
    format!("{}/openai", resource(target))
}

fn azure_v1(target: &Target) -> String {
    format!("{}/openai/v1", resource(target))
}

/// The address of an Azure resource, however much of a path was configured.
fn resource(target: &Target) -> &str {
    let base = target.base_url.split_once('?').map_or(target.base_url.as_str(), |(base, _)| base).trim_end_matches('/');
    let host = base.find("://").map_or(0, |colon| colon + 3);
    let path = base.get(host..).and_then(|rest| rest.find("/openai"));
    path.and_then(|path| base.get(..host + path)).unwrap_or(base)
}

/// What an event of the provider means for the bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A turn begins.
    Begun,
    /// Words of the turn.
    Said(String),
    /// The turn is over; with its usage, if told.
    Done(Option<Usage>),
    /// What the client says is written down by this model.
    Listener(String),
    /// Something that the client said is written down, beside whatever turn there is: tokens, or milliseconds of sound.
    Heard(Option<Usage>, Option<u64>),
}

/// What ends the writing down of something that was said.
const WRITTEN_DOWN: &str = "conversation.item.input_audio_transcription.completed";

/// Reads an event, if it concerns the bill. Most do not, and are not parsed.
#[must_use]
pub fn event(text: &str) -> Option<Event> {
    let concerns = |word: &&str| memchr::memmem::find(text.as_bytes(), word.as_bytes()).is_some();
    let words = ["\"response.created\"", "\"response.done\"", "text.delta\"", "transcript.delta\"", WRITTEN_DOWN];
    if !words.iter().any(concerns) && !["\"session.", "\"transcription_session."].iter().any(concerns) {
        return None;
    }
    let event: Value = serde_json::from_str(text).ok()?;
    match event.get("type")?.as_str()? {
        "response.created" => Some(Event::Begun),
        "response.done" => Some(Event::Done(event.pointer("/response/usage").and_then(usage))),
        WRITTEN_DOWN => {
            let said = event.get("usage");
            let seconds = said.and_then(|said| said.get("seconds")).and_then(millis);
            Some(Event::Heard(said.filter(|_| seconds.is_none()).and_then(usage), seconds))
        }
        "session.created" | "session.updated" | "transcription_session.created" | "transcription_session.updated" => {
            let places = ["/session/audio/input/transcription/model", "/session/input_audio_transcription/model"];
            let model = places.iter().find_map(|place| event.pointer(place)?.as_str());
            model.map(|model| Event::Listener(model.to_owned()))
        }
        kind if kind.starts_with("response.") && kind.ends_with(".delta") => {
            Some(Event::Said(event.get("delta")?.as_str()?.to_owned()))
        }
        _ => None,
    }
}

fn usage(usage: &Value) -> Option<Usage> {
    let number = |path: &str| usage.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    usage.is_object().then(|| Usage {
        input: number("/input_tokens"),
        output: number("/output_tokens"),
        cache_read: number("/input_token_details/cached_tokens"),
        audio_input: number("/input_token_details/audio_tokens"),
        audio_output: number("/output_token_details/audio_tokens"),
        cache_read_audio: number("/input_token_details/cached_tokens_details/audio_tokens"),
        image_input: number("/input_token_details/image_tokens"),
        ..Usage::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_wire::Secret;

    use super::*;
    use crate::resolve;

    #[test]
    fn only_events_that_concern_the_bill_are_read() {
        let read = |value: Value| event(&value.to_string());
        assert_eq!(read(json!({"event_id": "e", "type": "response.created"})), Some(Event::Begun));
        for kind in ["response.output_text.delta", "response.text.delta", "response.output_audio_transcript.delta"] {
            assert_eq!(read(json!({"type": kind, "delta": "hi"})), Some(Event::Said("hi".to_owned())), "{kind}");
        }
        for other in [
            json!({"type": "response.output_audio.delta", "delta": "AAAA"}),
            json!({"type": "session.created", "session": {"model": "gpt-realtime"}}),
            json!({"type": "conversation.item.created", "item": {"text": "\"response.done\""}}),
            json!(3),
        ] {
            assert_eq!(read(other.clone()), None, "{other}");
        }
        assert_eq!(event("response.done"), None);
    }

    #[test]
    fn what_was_written_down_tells_its_usage() {
        let read = |usage: Value| {
            event(&json!({"type": WRITTEN_DOWN, "item_id": "i", "transcript": "hi", "usage": usage}).to_string())
        };
        let tokens = json!({"type": "tokens", "total_tokens": 30, "input_tokens": 26, "output_tokens": 4,
            "input_token_details": {"text_tokens": 2, "audio_tokens": 24}});
        let expected = Usage { input: 26, output: 4, audio_input: 24, ..Usage::default() };
        assert_eq!(read(tokens), Some(Event::Heard(Some(expected), None)));
        assert_eq!(read(json!({"type": "duration", "seconds": 1.5})), Some(Event::Heard(None, Some(1500))));
        assert_eq!(read(Value::Null), Some(Event::Heard(None, None)));
        for session in [
            json!({"audio": {"input": {"transcription": {"model": "whisper-1"}}}}),
            json!({"input_audio_transcription": {"model": "whisper-1"}}),
        ] {
            let told = event(&json!({"type": "session.updated", "session": session}).to_string());
            assert_eq!(told, Some(Event::Listener("whisper-1".to_owned())));
        }
    }

    #[test]
    fn each_provider_has_its_address() {
        let of = |settings: resolve::TargetSettings| {
            let around = resolve::Surroundings {
                env: &|_| None,
                provider_of: &|_| None,
                facts: &|_, _| tollgate_wire::facts::ModelFacts::default(),
            };
            resolve::resolve(settings, &around).unwrap()
        };
        let settings = |model: &str, base: Option<&str>, version: Option<&str>| resolve::TargetSettings {
            model: model.to_owned(),
            api_base: base.map(str::to_owned),
            api_key: Some(Secret::new("k".to_owned())),
            api_version: version.map(str::to_owned),
            ..resolve::TargetSettings::default()
        };
        let openai = of(settings("openai/gpt realtime", None, None));
        assert_eq!(
            address(&openai, Some("transcription")).unwrap(),
            "https://api.openai.com/v1/realtime?model=gpt%20realtime&intent=transcription"
        );
        assert_eq!(
            document_address(&openai, "/realtime/sessions").unwrap(),
            "https://api.openai.com/v1/realtime/sessions"
        );
        for base in ["https://r.openai.azure.com", "https://r.openai.azure.com/openai/deployments/d/"] {
            let azure = of(settings("azure/d", Some(base), Some("2025-04-01-preview")));
            let expected = "https://r.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&deployment=d";
            assert_eq!(address(&azure, None).unwrap(), expected);
        }
        let v1 = of(settings("azure/d", Some("https://r.openai.azure.com/openai/v1"), Some("v1")));
        assert_eq!(address(&v1, None).unwrap(), "https://r.openai.azure.com/openai/v1/realtime?model=d");
        let anthropic = of(settings("anthropic/claude", None, None));
        assert_eq!(address(&anthropic, None), None);
        assert_eq!(document_address(&anthropic, "/x"), None);
    }

    #[test]
    fn a_turn_tells_its_usage_at_its_end() {
        let usage = json!({"total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
            "input_token_details": {"cached_tokens": 8, "audio_tokens": 5, "text_tokens": 15},
            "output_token_details": {"audio_tokens": 6, "text_tokens": 4}});
        let done = event(&json!({"type": "response.done", "response": {"usage": usage}}).to_string());
        let expected =
            Usage { input: 20, output: 10, cache_read: 8, audio_input: 5, audio_output: 6, ..Usage::default() };
        assert_eq!(done, Some(Event::Done(Some(expected))));
        let silent = json!({"type": "response.done", "response": {"status": "cancelled", "usage": null}}).to_string();
        assert_eq!(event(&silent), Some(Event::Done(None)));
    }
}
