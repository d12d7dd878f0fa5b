//! `--debug`: the command that would send the same call, with the key masked.

use tollgate_kit::{FakeProvider, Gateway, provider::KEY};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn debug_prints_a_curl_with_the_key_masked() {
    let provider = FakeProvider::start().await;
    let file = format!(
        "model_list:\n  - model_name: gpt-3.5-turbo\n    litellm_params: {{model: openai/a, api_base: '{}/v1', api_key: {KEY}}}\n",
        provider.url()
    );
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).argument("--debug");
    let gateway = start.start().await;
    let port = gateway.url().rsplit(':').next().unwrap_or_default().to_owned();

    World::new().run(&format!("--test --port {port}")).went_well();

    gateway.wait_for_line("Authorization: Bearer").await;
    let output = gateway.stop().await.output;
    let mut lines = output.lines().skip_while(|line| *line != "POST Request Sent from LiteLLM:");
    assert!(lines.next().is_some(), "{output}");
    assert!(lines.next().is_some_and(|line| line.starts_with("curl -X POST")), "{output}");
    assert!(output.contains("*") && !output.contains(KEY), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vllm_is_a_server_on_this_machine() {
    let provider = FakeProvider::start_on(0, None).await;
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).argument("--model");
    let start =
        start.argument("vllm/facebook/opt-125m").environment("VLLM_API_BASE", &format!("{}/v1", provider.url()));
    let gateway = start.port(tollgate_kit::gateway::free_port()).start().await;
    let port = gateway.url().rsplit(':').next().unwrap_or_default().to_owned();

    World::new().run(&format!("--test --port {port}")).went_well();

    let calls = provider.calls();
    assert!(!calls.is_empty() && calls.iter().all(|call| call.json()["model"] == "facebook/opt-125m"), "{calls:?}");
}
