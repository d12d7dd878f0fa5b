//! What counts toward the limits of a deployment.

use serde_json::json;
use tollgate_kit::{Answer, Place, SseItem};

use crate::world::{ONE_MODEL, World, hi, hi_streamed, refused};

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

fn piece(content: &str) -> SseItem {
    SseItem::data(
        json!({"id": "x", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"role": "assistant", "content": content}}]}),
    )
}

#[tokio::test]
async fn a_stream_that_breaks_counts_what_it_said() {
    let world = World::start(&ONE_MODEL.replace("api_key:", "tpm: 100, api_key:")).await;
    let words = "many words of an answer that never came to its end, ".repeat(40);
    world.provider.script([Answer::sse([piece(&words), piece("more")]).cut(Place::AfterEvents(1))]);
    let reply = world.chat(&hi_streamed("gpt")).await;
    assert!(reply.text().contains("many words") && reply.text().contains("\"error\""), "{}", reply.text());
    let totals = world.settled(1).await;
    assert!(totals.output > 100, "{totals:?}");
    let mut next = hi("gpt");
    next["timeout"] = json!(5);
    refused(&world.chat(&next).await, 429);
}

#[tokio::test]
async fn a_stream_whose_client_leaves_counts_what_it_said() {
    let world = World::start(&ONE_MODEL.replace("api_key:", "tpm: 100, api_key:")).await;
    let words = "many words of an answer that nobody waited for, ".repeat(40);
    world.provider.script([Answer::sse([piece(&words), piece("more")]).stall(Place::AfterEvents(1))]);
    {
        let mut connection = world.connect().await;
        connection.ask_json("/v1/chat/completions", &[], &hi_streamed("gpt")).await;
        let (_, mut body) = connection.answer().await;
        body.event().await.expect("the words");
    }
    world.settled(1).await;
    let mut next = hi("gpt");
    next["timeout"] = json!(5);
    refused(&world.chat(&next).await, 429);
}
