//! What counts toward the limits of a deployment.

use serde_json::json;
use tollgate_kit::Answer;

use crate::world::{World, hi, refused};

/// Two pictures, where one is allowed: refused while the provider's request is made.
#[tokio::test]
async fn a_call_that_is_refused_here_counts_toward_no_limit() {
    let world = World::start(
        "
model_list:
  - model_name: gpt
    litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: '{provider}', api_key: k, rpm: 1, tpm: 100}
router_settings: {num_retries: 0}
general_settings: {max_media_pieces: 1}
",
    )
    .await;
    let said = json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "a dot"}], "usage": {"input_tokens": 3, "output_tokens": 2}});
    world.provider.always("*", Answer::json(200, said));
    let picture = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let content = [picture("http://127.0.0.1:1/a"), picture("http://127.0.0.1:1/b")];
    for _ in 0..3 {
        let body = json!({"model": "gpt", "messages": [{"role": "user", "content": content}]});
        assert!(refused(&world.chat(&body).await, 400).contains("1 are allowed"));
    }
    let reply = world.chat(&hi("gpt")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut hurried = hi("gpt");
    hurried["timeout"] = json!(5);
    refused(&world.chat(&hurried).await, 429);
}
