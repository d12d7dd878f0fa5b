//! Refusals of ours, in the words of those who ask: whichever path, whatever is wrong.

use serde_json::{Value, json};
use tollgate_kit::{Answer, Place, http::Reply};

use crate::world::{MASTER, World, error_of};

const EVERYONE: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: claude
    litellm_params: {model: anthropic/claude-haiku-4-5, api_base: '{provider}', api_key: sk-ant-fake}
  - model_name: gem
    litellm_params: {model: gemini/gemini-2.5-flash, api_base: '{provider}', api_key: g-fake}
general_settings:
  master_key: '{master}'
  pass_through_endpoints: [{path: /mine, target: '{provider}/theirs', methods: [GET, POST], timeout: 0.2}]
litellm_settings: {request_timeout: 0.2}
router_settings: {num_retries: 0}
";

/// In whose envelope a refusal is.
#[derive(Clone, Copy, Debug)]
enum Words {
    OpenAi,
    Anthropic,
    Google,
}

use Words::{Anthropic, Google, OpenAi};

impl Words {
    /// Fails unless this is a refusal with this status in these words.
    #[track_caller]
    fn expect(self, reply: &Reply, status: u16, what: &str) {
        assert_eq!(reply.status, status, "{what}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
        let body = reply.json();
        let message = body["error"]["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{what}: {body}");
        match self {
            OpenAi => drop(error_of(&body, status)),
            Anthropic => {
                assert_eq!(body["type"], "error", "{what}: {body}");
                assert_eq!(body["error"]["type"], anthropics(status), "{what}: {body}");
                assert!(body["error"]["code"].is_null(), "{what}: {body}");
            }
            Google => {
                assert_eq!(body["error"]["code"], status, "{what}: {body}");
                assert_eq!(body["error"]["status"], googles(status), "{what}: {body}");
            }
        }
    }
}

/// «Errors» in Anthropic's API reference.
fn anthropics(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        404 => "not_found_error",
        408 => "timeout_error",
        413 => "request_too_large",
        500 => "api_error",
        _ => "invalid_request_error",
    }
}

/// google.rpc.Code.
fn googles(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        404 => "NOT_FOUND",
        408 => "DEADLINE_EXCEEDED",
        500 => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// Paths that call a model of ours: the path and the model that the body names.
const ROUTES: &[(&str, &str, Words)] = &[
    ("/v1/chat/completions", "gpt", OpenAi),
    ("/v1/responses", "gpt", OpenAi),
    ("/engines/gpt/completions", "gpt", OpenAi),
    ("/v1/messages", "claude", Anthropic),
    ("//v1/messages/", "claude", Anthropic),
    ("/v1/messages/count_tokens", "claude", Anthropic),
    ("/v1beta/models/gem:generateContent", "", Google),
    ("/v1beta/models/gem:streamGenerateContent", "", Google),
    ("/v1beta/models/gem:streamGenerateContent?alt=sse", "", Google),
    ("/v1/models/gem:generateContent", "", Google),
    ("/models/gem:countTokens", "", Google),
];

/// Paths that are passed on.
const PASSED: &[(&str, Words)] = &[
    ("/openai/v1/things", OpenAi),
    ("/v1/files", OpenAi),
    ("/mine", OpenAi),
    ("/anthropic/v1/messages", Anthropic),
    ("/anthropic/v1/files", Anthropic),
    ("/gemini/v1beta/models/gemini-2.5-flash:generateContent", Google),
];

/// A request that every route takes.
fn good(model: &str) -> String {
    let turns = json!([{"role": "user", "content": "hi"}]);
    let contents = json!([{"role": "user", "parts": [{"text": "hi"}]}]);
    let mut body = json!({"messages": turns, "max_tokens": 9, "prompt": "hi", "input": "hi", "contents": contents});
    if !model.is_empty() {
        body["model"] = Value::from(model);
    }
    body.to_string()
}

/// Everything that is asked.
fn all() -> impl Iterator<Item = (&'static str, &'static str, Words)> {
    ROUTES.iter().copied().chain(PASSED.iter().map(|(path, words)| (*path, "", *words)))
}

async fn ask(world: &World, method: &str, path: &str, key: &str, body: &str) -> Reply {
    let bearer = format!("Bearer {key}");
    let mut headers = vec![("content-type", "application/json")];
    if !key.is_empty() {
        headers.push(("authorization", bearer.as_str()));
    }
    let mut connection = world.connect().await;
    connection.ask(method, path, &headers, body.as_bytes()).await;
    connection.reply().await
}

#[tokio::test]
async fn a_missing_or_wrong_key_is_told_in_the_askers_words() {
    let world = World::start(EVERYONE).await;
    for (path, model, words) in all() {
        for key in ["", "sk-wrong", "no-key-at-all"] {
            words.expect(&ask(&world, "POST", path, key, &good(model)).await, 401, &format!("{path} with {key:?}"));
        }
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn too_large_a_body_is_told_in_the_askers_words() {
    let world = World::of(EVERYONE).bounds(|bounds| (bounds.max_body_bytes, bounds.max_file_bytes) = (64, 64));
    let world = world.start().await;
    for (path, model, words) in all() {
        let reply = ask(&world, "POST", path, MASTER, &format!("{}{}", good(model), " ".repeat(64))).await;
        words.expect(&reply, 413, path);
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn what_is_no_request_is_told_in_the_askers_words() {
    let world = World::start(EVERYONE).await;
    for (path, _, words) in ROUTES.iter().copied() {
        for body in ["", "{", "[]", "{\"stream\": \"perhaps\"}", "\u{1}"] {
            words.expect(&ask(&world, "POST", path, MASTER, body).await, 400, &format!("{path} with {body:?}"));
        }
        words.expect(&ask(&world, "POST", path, MASTER, "{\"model\": \"none\"}").await, 400, path);
    }
    for (path, words) in [("/anthropic/../v1", Anthropic), ("/gemini/%2e%2e/v1", Google), ("/openai/../v1", OpenAi)] {
        words.expect(&ask(&world, "POST", path, MASTER, "{}").await, 400, path);
    }
}

#[tokio::test]
async fn a_wrong_method_is_told_in_the_askers_words_and_names_the_right_one() {
    let world = World::start(EVERYONE).await;
    let endpoint = [("/mine", "", OpenAi)];
    for (path, _, words) in ROUTES.iter().copied().chain(endpoint).filter(|(path, ..)| *path != "/v1/responses") {
        let reply = ask(&world, "DELETE", path, MASTER, "").await;
        words.expect(&reply, 405, path);
        assert!(
            reply.header("allow").is_some_and(|allowed| allowed.contains("POST")),
            "{path}: {:?}",
            reply.header("allow")
        );
    }
}

#[tokio::test]
async fn an_unknown_path_is_told_in_the_words_of_its_neighbours() {
    let world = World::start(EVERYONE).await;
    for (path, words) in [
        ("/v1/nothing", OpenAi),
        ("/v1/chat/completions/x", OpenAi),
        ("/v1/messages/batches", Anthropic),
        ("//v1/messages/nothing/", Anthropic),
        ("/anthropic", Anthropic),
        ("/v1beta/nothing", Google),
        ("/v1beta/models/gem:embedContent", Google),
        ("/v1/models/gem:embedContent", Google),
        ("/v1beta/models/%FF:generateContent", Google),
        ("/gemini", Google),
        ("/vertex_ai", Google),
    ] {
        words.expect(&ask(&world, "POST", path, MASTER, "{}").await, 404, path);
    }
}

#[tokio::test]
async fn a_silent_provider_is_told_in_the_askers_words() {
    let world = World::start(EVERYONE).await;
    world.provider.always("*", Answer::json(200, json!({})).stall(Place::BeforeHead));
    // What is passed on waits as long as its endpoint says, and by default for minutes.
    for (path, model, words) in ROUTES.iter().copied().chain([("/mine", "", OpenAi)]) {
        // Counted by ourselves.
        if !path.contains("count") {
            words.expect(&ask(&world, "POST", path, MASTER, &good(model)).await, 408, path);
        }
    }
}

#[tokio::test]
async fn an_unreachable_provider_is_told_in_the_askers_words() {
    let world = World::start(&EVERYONE.replace("{provider}", "http://127.0.0.1:1")).await;
    for (path, model, words) in all().filter(|(path, ..)| !path.contains("count")) {
        words.expect(&ask(&world, "POST", path, MASTER, &good(model)).await, 500, path);
    }
}
