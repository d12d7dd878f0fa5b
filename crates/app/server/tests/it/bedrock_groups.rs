//! The seeds' groups on Bedrock: two regions balanced, and a fallback from one model to another.

use std::collections::HashMap;

use serde_json::json;
use tollgate_kit::{Answer, Call};

use crate::world::{World, hi};

const GROUPS: &str = "
model_list:
  - model_name: bedrock-claude-v3-sonnet
    litellm_params:
      model: bedrock/anthropic.claude-3-sonnet-20240229-v1:0
      aws_region_name: us-west-2
      aws_access_key_id: AKIAWEST
      aws_secret_access_key: secret-west
      aws_bedrock_runtime_endpoint: '{provider}'
      rpm: 30
  - model_name: bedrock-claude-v3-sonnet
    litellm_params:
      model: bedrock/anthropic.claude-3-sonnet-20240229-v1:0
      aws_region_name: us-east-1
      aws_access_key_id: AKIAEAST
      aws_secret_access_key: secret-east
      aws_bedrock_runtime_endpoint: '{provider}'
      rpm: 30
  - model_name: bedrock-claude-v3-haiku
    litellm_params:
      model: bedrock/anthropic.claude-3-haiku-20240307-v1:0
      aws_region_name: us-west-2
      aws_access_key_id: AKIAWEST
      aws_secret_access_key: secret-west
      aws_bedrock_runtime_endpoint: '{provider}'
litellm_settings:
  num_retries: 0
  fallbacks: [{'bedrock-claude-v3-sonnet': ['bedrock-claude-v3-haiku']}]
";

fn said() -> Answer {
    Answer::json(
        200,
        json!({
            "output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
            "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
        }),
    )
}

/// Whose key signed a call, and for which region.
fn signed_by(call: &Call) -> String {
    let header = call.header("authorization").unwrap_or_default();
    let scope = header.split("Credential=").nth(1).unwrap_or_default();
    let parts: Vec<&str> = scope.split('/').collect();
    format!("{} {}", parts[0], parts[2])
}

/// SEED-112.
#[tokio::test]
async fn two_regions_of_a_group_are_both_used_each_with_its_own_key() {
    let world = World::start(GROUPS).await;
    world.provider.always("/model/*", said());
    let mut ids: HashMap<String, u32> = HashMap::new();
    for _ in 0..40 {
        let reply = world.chat(&hi("bedrock-claude-v3-sonnet")).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        *ids.entry(reply.header("x-litellm-model-id").unwrap().to_owned()).or_default() += 1;
    }
    let mut by: HashMap<String, u32> = HashMap::new();
    world.provider.calls().iter().for_each(|call| *by.entry(signed_by(call)).or_default() += 1);
    let (west, east) = (by["AKIAWEST us-west-2"], by["AKIAEAST us-east-1"]);
    // 40 calls, half each: the chance that one has fewer than five is one in ten million.
    assert!(west + east == 40 && west.min(east) >= 5 && ids.len() == 2, "{by:?} {ids:?}");
}

/// SEED-112: each takes 30 a minute, so that the group takes 60 and no more.
#[tokio::test]
async fn the_group_takes_what_its_regions_take_together() {
    let world = World::start(&GROUPS.replace("  fallbacks:", "  context_window_fallbacks:")).await;
    world.provider.always("/model/*", said());
    let mut statuses: HashMap<u16, u32> = HashMap::new();
    let body = json!({"model": "bedrock-claude-v3-sonnet", "messages": hi("x")["messages"], "timeout": 1});
    for _ in 0..62 {
        *statuses.entry(world.chat(&body).await.status).or_default() += 1;
    }
    assert_eq!((statuses[&200], statuses[&429]), (60, 2), "{statuses:?}");
}

/// SEED-114.
#[tokio::test]
async fn one_group_on_bedrock_falls_back_to_another() {
    let world = World::start(GROUPS).await;
    world.provider.always("/model/anthropic.claude-3-sonnet*", Answer::json(503, json!({"message": "down"})));
    world.provider.always("/model/anthropic.claude-3-haiku*", said());
    let reply = world.chat(&hi("bedrock-claude-v3-sonnet")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("x-litellm-model-group"), Some("bedrock-claude-v3-haiku"));
    assert_eq!(reply.header("x-litellm-attempted-fallbacks"), Some("1"));
}
