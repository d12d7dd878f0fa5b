//! Forms, and answers that are no documents: sound and pictures.

use serde_json::json;
use tollgate_kit::{
    Answer, SseItem,
    answer::Place,
    http::{Connection, Reply},
};

use crate::world::{World, refused};

const MODELS: &str = "
model_list:
  - model_name: ears
    litellm_params: {model: openai/whisper-1, api_base: '{provider}/v1', api_key: sk-fake-provider-key, language: en}
  - model_name: mouth
    litellm_params: {model: openai/tts-1, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: brush
    litellm_params: {model: openai/gpt-image-1, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: cloud
    litellm_params: {model: azure/dep, api_base: '{provider}', api_key: sk-fake-provider-key, api_version: '2024-10-21'}
  - model_name: deaf
    litellm_params: {model: anthropic/claude-3-5-haiku-latest, api_base: '{provider}', api_key: sk-fake-provider-key}
router_settings: {num_retries: 0}
";

/// A form of these fields and one file.
pub(crate) fn form(fields: &[(&str, &str)], file: &str) -> Vec<u8> {
    let mut form = String::new();
    for (name, value) in fields {
        form.push_str(&format!("--edge\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    form.push_str(&format!(
        "--edge\r\nContent-Disposition: form-data; name=\"{file}\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
    ));
    let mut bytes = form.into_bytes();
    bytes.extend_from_slice(b"RIFF\x00\xff\r\n--edgy\r\n--edge--\r\n");
    bytes
}

pub(crate) async fn send(world: &World, path: &str, body: &[u8]) -> Reply {
    send_as(world, path, "multipart/form-data; boundary=edge", body).await
}

async fn send_as(world: &World, path: &str, content_type: &str, body: &[u8]) -> Reply {
    let mut connection: Connection = world.connect().await;
    connection.ask("POST", path, &[("content-type", content_type)], body).await;
    connection.reply().await
}

#[tokio::test]
async fn a_form_reaches_the_provider_with_its_model_and_without_what_is_ours() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::text(200, "1\n00:00:00,000 --> 00:00:01,000\nhello\n")]);
    let fields = [("model", "ears"), ("response_format", "srt"), ("num_retries", "0"), ("tags", "[\"a\"]")];
    let reply = send(&world, "/v1/audio/transcriptions", &form(&fields, "file")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.text(), "1\n00:00:00,000 --> 00:00:01,000\nhello\n");
    assert_eq!(reply.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.header("x-litellm-model-group"), Some("ears"));
    let call = world.provider.only_call();
    assert_eq!(call.path, "/v1/audio/transcriptions");
    let sent = call.text();
    assert!(sent.contains("name=\"model\"\r\n\r\nwhisper-1\r\n") && sent.contains("\r\n\r\nsrt\r\n"), "{sent}");
    assert!(sent.contains("name=\"language\"\r\n\r\nen\r\n"), "{sent}");
    assert!(!sent.contains("num_retries") && !sent.contains("tags"), "{sent}");
    let file = b"Content-Type: audio/wav\r\n\r\nRIFF\x00\xff\r\n--edgy\r\n--edge";
    assert!(call.body.windows(file.len()).any(|window| window == file), "{sent}");
}

#[tokio::test]
async fn sound_that_was_heard_is_booked_by_the_second() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::json(200, json!({"text": "hello", "duration": 1.5, "words": []}))]);
    let reply = send(&world, "/audio/transcriptions", &form(&[("model", "ears")], "file")).await;
    assert_eq!(reply.json(), json!({"text": "hello", "duration": 1.5, "words": []}));
    let totals = world.settled(1).await;
    assert_eq!((totals.nanos, totals.unpriced), (150_000, 0));
}

#[tokio::test]
async fn a_streamed_transcription_is_passed_on_event_by_event() {
    let world = World::start(MODELS).await;
    let done = json!({"type": "transcript.text.done", "text": "hi", "usage": {
        "type": "tokens", "input_tokens": 14, "output_tokens": 3, "total_tokens": 17}});
    world.provider.script([Answer::sse([SseItem::data(json!({"delta": "h"})), SseItem::data(done.clone())])]);
    let reply = send(&world, "/v1/audio/transcriptions", &form(&[("model", "ears"), ("stream", "true")], "file")).await;
    assert_eq!(reply.text(), format!("data: {}\n\ndata: {done}\n\n", json!({"delta": "h"})));
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output), (14, 3));
}

#[tokio::test]
async fn speech_is_bytes_and_is_booked_by_the_character() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::raw(200, "audio/mpeg", b"ID3\x04\x00\xff".to_vec()).split_every(2)]);
    let reply = world.post("/v1/audio/speech", &json!({"model": "mouth", "input": "Grüße", "voice": "alloy"})).await;
    assert_eq!((reply.status, reply.body.as_slice()), (200, &b"ID3\x04\x00\xff"[..]));
    assert_eq!(reply.header("content-type"), Some("audio/mpeg"));
    let sent = world.provider.only_call().json();
    assert_eq!(sent, json!({"model": "tts-1", "input": "Grüße", "voice": "alloy"}));
    // $15 a million characters.
    assert_eq!(world.settled(1).await.nanos, 75_000);
}

#[tokio::test]
async fn sound_that_breaks_off_is_not_taken_for_whole() {
    let world = World::start(MODELS).await;
    let cut = Answer::raw(200, "audio/mpeg", vec![7; 1000]).chunked().split_every(100).cut(Place::AfterBytes(300));
    world.provider.script([cut]);
    let reply = world.post("/v1/audio/speech", &json!({"model": "mouth", "input": "hi", "voice": "a"})).await;
    assert!(!reply.complete && reply.status == 200 && reply.body.len() <= 300, "{} {}", reply.status, reply.text());
    world.settled(1).await;
}

#[tokio::test]
async fn pictures_are_changed_by_a_form() {
    let world = World::start(MODELS).await;
    let usage = json!({"input_tokens": 10, "output_tokens": 272, "total_tokens": 282});
    world.provider.script([Answer::json(200, json!({"created": 1, "data": [{"b64_json": "AA"}], "usage": usage}))]);
    let reply = send(&world, "/v1/images/edits", &form(&[("model", "brush"), ("prompt", "a hat")], "image")).await;
    assert_eq!(reply.json()["data"][0]["b64_json"], "AA", "{}", reply.text());
    let sent = world.provider.only_call().text();
    assert!(sent.contains("name=\"image[]\"; filename=\"a.wav\"") && sent.contains("gpt-image-1"), "{sent}");
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output), (10, 272));
}

#[tokio::test]
async fn azures_clients_name_the_deployment_in_the_path() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::json(200, json!({"text": "hello"}))]);
    let reply = send(&world, "/openai/deployments/cloud/audio/translations?api-version=1", &form(&[], "file")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let call = world.provider.only_call();
    assert_eq!(call.path, "/openai/deployments/dep/audio/translations");
    assert_eq!(call.query, "api-version=2025-02-01-preview");
    assert_eq!(call.header("api-key"), Some("sk-fake-provider-key"));
}

#[tokio::test]
async fn a_refusal_is_told_as_everywhere() {
    let world = World::start(MODELS).await;
    world.provider.script([Answer::json(429, json!({"error": {"message": "slow down", "type": "x"}}))]);
    let reply = send(&world, "/v1/audio/transcriptions", &form(&[("model", "ears")], "file")).await;
    assert!(refused(&reply, 429).contains("slow down"), "{}", reply.text());
    let reply = send(&world, "/v1/audio/transcriptions", &form(&[("model", "deaf")], "file")).await;
    assert!(refused(&reply, 400).contains("transcription"), "{}", reply.text());
}

#[tokio::test]
async fn what_is_no_form_is_refused_before_anyone_is_asked() {
    let world = World::start(MODELS).await;
    let good = form(&[("model", "ears")], "file");
    let edge = "multipart/form-data; boundary=edge";
    let part = "--edge\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n";
    let giant = format!("--edge\r\nContent-Disposition: form-data; name=\"file\"\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    let nested = part.replace("\r\n\r\nx", "\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\nx");
    let cases: [(&str, Vec<u8>); 9] = [
        ("multipart/form-data", good.clone()),
        ("multipart/form-data; boundary=other", good.clone()),
        ("application/json", b"{\"model\": \"ears\"}".to_vec()),
        (edge, good.get(..good.len() - 12).unwrap().to_vec()),
        (edge, Vec::new()),
        (edge, giant.into_bytes()),
        (edge, format!("{nested}--edge--").into_bytes()),
        (edge, format!("{}--edge--", part.repeat(10_000)).into_bytes()),
        (edge, format!("{part}--edge--").into_bytes()),
    ];
    for (content_type, body) in cases {
        let reply = send_as(&world, "/v1/audio/transcriptions", content_type, &body).await;
        refused(&reply, 400);
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn a_form_has_a_bound_of_its_own() {
    let world =
        World::of(MODELS).bounds(|bounds| (bounds.max_body_bytes, bounds.max_form_bytes) = (100, 4096)).start().await;
    world.provider.script([Answer::json(200, json!({"text": "hello"}))]);
    let reply = send(&world, "/v1/audio/transcriptions", &form(&[("model", "ears")], "file")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let long = "x".repeat(5000);
    let reply = send(&world, "/v1/audio/transcriptions", &form(&[("model", &long)], "file")).await;
    assert!(refused(&reply, 413).contains("max_form_size_mb"));
}
