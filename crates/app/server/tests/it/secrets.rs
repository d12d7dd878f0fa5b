//! Secrets and prompts stay where they belong.

use serde_json::{Value, json};
use tollgate_kit::{Answer, SseItem, http::Reply};

use crate::world::{MASTER, WITH_MASTER, World, hi, hi_streamed};

const PROVIDER_KEY: &str = "sk-provider-5up3r";
const CLIENT_KEY: &str = "sk-client-5up3r";
const PROMPT: &str = "the-prompt-nobody-may-read";

const CONFIG: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1?token=sk-provider-5up3r', api_key: sk-provider-5up3r}
  - model_name: gone
    litellm_params: {model: openai/gpt-4o, api_base: 'http://user:sk-provider-5up3r@127.0.0.1:1/v1', api_key: sk-provider-5up3r}
  - model_name: wrong
    litellm_params: {model: nosuch/thing, api_key: sk-provider-5up3r}
general_settings: {master_key: '{master}'}
router_settings: {num_retries: 0}
";

#[track_caller]
fn clean(what: &str, reply: &Reply) {
    let all = format!("{:?}{}", reply.headers, reply.text());
    for secret in [PROVIDER_KEY, CLIENT_KEY, MASTER] {
        assert!(!all.contains(secret), "{what}: {secret} in {all}");
    }
    assert!(reply.status < 400 || !all.contains(PROMPT), "{what}: the prompt in {all}");
}

fn with_prompt(mut body: Value) -> Value {
    body["messages"][0]["content"] = json!(PROMPT);
    body
}

#[tokio::test]
async fn no_answer_holds_a_secret() {
    let world = World::start(CONFIG).await;
    let refusals = [
        Answer::json(401, json!({"error": {"message": format!("Incorrect API key provided: {PROVIDER_KEY}.")}})),
        Answer::json(500, json!({"error": {"message": format!("bad key {PROVIDER_KEY}")}})),
        Answer::text(502, format!("key={PROVIDER_KEY}")),
    ];
    let count = refusals.len();
    world.provider.script(refusals);
    let word = SseItem::data(json!({"choices": [{"index": 0, "delta": {"content": "x"}}]}));
    let error = SseItem::data(json!({"error": {"message": format!("bad key {PROVIDER_KEY}"), "type": "server_error"}}));
    world.provider.script([Answer::sse([word, error.clone()]), Answer::sse([error])]);
    for _ in 0..count {
        clean("a refusal of the provider", &world.chat_with(&[WITH_MASTER], &with_prompt(hi("gpt"))).await);
    }
    for _ in 0..2 {
        let reply = world.chat_with(&[WITH_MASTER], &with_prompt(hi_streamed("gpt"))).await;
        assert!(reply.text().contains("bad key"), "{}", reply.text());
        clean("a refusal in a stream", &reply);
    }
    for model in ["gpt", "gone", "wrong", "unknown"] {
        for body in [hi(model), hi_streamed(model)] {
            clean(model, &world.chat_with(&[WITH_MASTER], &with_prompt(body)).await);
        }
    }
    let client = format!("Bearer {CLIENT_KEY}");
    for value in [client.as_str(), CLIENT_KEY, MASTER] {
        clean("a wrong key", &world.chat_with(&[("authorization", value)], &with_prompt(hi("gpt"))).await);
    }
    clean("broken JSON", &world.chat_bytes(&[WITH_MASTER], format!("{{\"{PROMPT}\": ]").as_bytes()).await);
    for path in ["/model/info", "/model_group/info", "/health", "/health/readiness", "/models", "/openapi.json", "/"] {
        clean(path, &tollgate_kit::http::get(&world.at(path), &[WITH_MASTER]).await);
    }
}
