//! The start commands of the seeds: keys from the environment and nothing else, the answer always in the same place.

use serde_json::{Value, json};
use tollgate_kit::Answer;

use crate::world::{World, hi};

/// A start command's model, where its provider is, the keys it reads, and how its provider is asked and answers.
struct Start {
    model: &'static str,
    address: &'static str,
    keys: &'static [(&'static str, &'static str)],
    path: &'static str,
    credential: (&'static str, &'static str),
    answer: Value,
}

const AWS: &[(&str, &str)] =
    &[("AWS_ACCESS_KEY_ID", "AKIAENV"), ("AWS_SECRET_ACCESS_KEY", "environment"), ("AWS_REGION_NAME", "eu-west-3")];

fn starts() -> Vec<Start> {
    let completion = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hello"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}});
    vec![
        Start {
            model: "bedrock/anthropic.claude-v2",
            address: "AWS_BEDROCK_RUNTIME_ENDPOINT",
            keys: AWS,
            path: "/model/anthropic.claude-v2/converse",
            credential: ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAENV/"),
            answer: json!({"output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
                "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
        },
        Start {
            model: "sagemaker/jumpstart-dft-meta-textgeneration-llama-2-7b",
            address: "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME",
            keys: AWS,
            path: "/endpoints/jumpstart-dft-meta-textgeneration-llama-2-7b/invocations",
            credential: ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAENV/"),
            answer: json!([{"generated_text": "hello"}]),
        },
        Start {
            model: "azure/my-deployment-name",
            address: "AZURE_API_BASE",
            keys: &[("AZURE_API_KEY", "azure-of-the-environment")],
            path: "/openai/deployments/my-deployment-name/chat/completions",
            credential: ("api-key", "azure-of-the-environment"),
            answer: completion.clone(),
        },
        Start {
            model: "claude-instant-1",
            address: "ANTHROPIC_API_BASE",
            keys: &[("ANTHROPIC_API_KEY", "anthropic-of-the-environment")],
            path: "/v1/complete",
            credential: ("x-api-key", "anthropic-of-the-environment"),
            answer: json!({"id": "c", "type": "completion", "completion": "hello", "stop_reason": "stop_sequence"}),
        },
        Start {
            model: "together_ai/lmsys/vicuna-13b-v1.5-16k",
            address: "TOGETHER_AI_API_BASE",
            keys: &[("TOGETHERAI_API_KEY", "together-of-the-environment")],
            path: "/chat/completions",
            credential: ("authorization", "Bearer together-of-the-environment"),
            answer: completion,
        },
    ]
}

#[tokio::test]
async fn the_start_commands_of_the_seeds_need_the_environment_alone() {
    for start in starts() {
        let model = start.model;
        let config = format!(
            "model_list: [{{model_name: asked, litellm_params: {{model: '{model}'}}}}]\n\
             environment_variables: {{{}: '{{provider}}'}}\n",
            start.address
        );
        let mut world = World::of(&config);
        for (name, value) in start.keys {
            world = world.environment(name, value);
        }
        let world = world.start().await;
        world.provider.always("*", Answer::json(200, start.answer));
        let reply = world.chat(&hi("asked")).await;
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "hello", "{model}: {}", reply.text());
        let calls = world.provider.calls();
        let [call] = &calls[..] else { panic!("{model}: {calls:?}") };
        assert_eq!(call.path.split('?').next(), Some(start.path), "{model}");
        let (header, value) = start.credential;
        assert!(call.header(header).is_some_and(|sent| sent.starts_with(value)), "{model}: {:?}", call.headers);
        let is_aws = value.starts_with("AWS4");
        assert!(!is_aws || call.header(header).is_some_and(|sent| sent.contains("/eu-west-3/")), "{model}");
    }
}
