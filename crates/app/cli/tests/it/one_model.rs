//! One model from the command line, at providers that are sent prompts: where the call goes, with what, and what comes back.

use serde_json::{Value, json};
use tollgate_kit::{
    Answer, FakeProvider, Gateway,
    gateway::{Start, free_port},
    http,
};

/// Starts the command as a person does, with these variables.
async fn started(arguments: &[&str], environment: &[(&str, &str)]) -> Gateway {
    let start = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).port(free_port());
    let start = arguments.iter().copied().fold(start, Start::argument);
    environment.iter().fold(start, |start, (name, value)| start.environment(name, value)).start().await
}

/// What a client of that time says.
async fn said(gateway: &Gateway) -> Value {
    let body = json!({"model": "gpt-3.5-turbo", "max_tokens": 9,
        "messages": [{"role": "system", "content": "Brief"}, {"role": "user", "content": "Hi"}]});
    let reply = http::post(&gateway.at("/chat/completions"), &[], &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json().pointer("/choices/0/message/content").cloned().unwrap_or_default()
}

async fn stranger() -> FakeProvider {
    FakeProvider::start_on(0, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_hugging_face_needs_nothing_to_start() {
    let gateway = started(&["--model", "huggingface/bigcode/starcoder"], &[]).await;
    let models = http::get(&gateway.at("/models"), &[]).await.json();
    assert!(models["data"].to_string().contains("starcoder"), "{models}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inference_endpoint_is_sent_chat_with_the_key() {
    let provider = stranger().await;
    let arguments = ["--model", "huggingface/org/model", "--api_base", &provider.url()];
    let gateway = started(&arguments, &[("HUGGINGFACE_API_KEY", "hf_mine")]).await;

    assert!(said(&gateway).await.is_string());

    let call = provider.only_call();
    assert_eq!((call.path.as_str(), call.header("authorization")), ("/v1/chat/completions", Some("Bearer hf_mine")));
    assert_eq!(call.json()["model"], "org/model");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_server_from_before_chat_is_sent_a_prompt() {
    let provider = stranger().await;
    provider.script([
        Answer::text(404, ""),
        Answer::json(200, json!([{"generated_text": "Hello", "details": {"finish_reason": "eos_token"}}])),
    ]);
    let arguments = ["--model", "huggingface/meta-llama/Llama-2-7b-chat-hf", "--api_base", &provider.url()];
    let gateway = started(&arguments, &[]).await;

    assert_eq!(said(&gateway).await, "Hello");

    let calls = provider.calls();
    assert_eq!((calls[0].path.as_str(), calls[1].path.as_str()), ("/v1/chat/completions", "/"));
    assert_eq!(calls[1].header("authorization"), None);
    let body = calls[1].json();
    assert_eq!(body["inputs"], "<s>[INST] <<SYS>>\nBrief\n<</SYS>>\n [/INST]\n[INST] Hi [/INST]\n");
    assert_eq!(body["parameters"]["max_new_tokens"], 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_at_replicate_is_predicted_and_asked_for() {
    let provider = stranger().await;
    let url = provider.url();
    let prediction = |status: &str, output: Value| json!({"id": "p", "status": status, "output": output, "urls": {"get": format!("{url}/v1/predictions/p")}});
    provider.script([
        Answer::json(201, prediction("starting", Value::Null)),
        Answer::json(200, prediction("succeeded", json!(["Hel", "lo"]))),
    ]);
    let version = "02e509c789964a7ea8736978a43525956ef40397be9033abf9fd2badfe68c9e3";
    let model = format!("replicate/meta/llama-2-70b-chat:{version}");
    let arguments = ["--model", &model, "--api_base", &format!("{url}/v1")];
    let gateway = started(&arguments, &[("REPLICATE_API_KEY", "r8_mine")]).await;

    assert_eq!(said(&gateway).await, "Hello");

    let calls = provider.calls();
    let asked: Vec<_> = calls.iter().map(|call| (call.method.as_str(), call.path.as_str())).collect();
    assert_eq!(asked, [("POST", "/v1/predictions"), ("GET", "/v1/predictions/p")]);
    assert!(calls.iter().all(|call| call.header("authorization") == Some("Token r8_mine")), "{calls:?}");
    assert_eq!(calls[0].json()["version"], version);
    assert!(calls[0].json()["input"]["prompt"].as_str().is_some_and(|prompt| prompt.starts_with("<s>[INST]")));
}

#[tokio::test(flavor = "multi_thread")]
async fn petals_is_asked_with_a_form_at_an_address_of_ones_own() {
    let provider = stranger().await;
    provider.script([Answer::json(200, json!({"ok": true, "outputs": "Hello"}))]);
    let model = "petals/meta-llama/Llama-2-70b-chat-hf";
    let gateway = started(&["--model", model, "--api_base", &provider.url()], &[]).await;

    assert_eq!(said(&gateway).await, "Hello");

    let call = provider.only_call();
    assert_eq!(call.path, "/api/v1/generate");
    assert!(call.text().starts_with("model=meta-llama%2FLlama-2-70b-chat-hf&inputs=%3Cs%3E"), "{}", call.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn jurassic_is_known_by_its_bare_name() {
    let provider = stranger().await;
    let told = json!({"completions": [{"data": {"text": "Hello"}, "finishReason": {"reason": "endoftext"}}]});
    provider.script([Answer::json(200, told)]);
    let base = format!("{}/studio/v1", provider.url());
    let environment = [("AI21_API_KEY", "ai-mine"), ("AI21_API_BASE", base.as_str())];
    let gateway = started(&["--model", "j2-light"], &environment).await;

    assert_eq!(said(&gateway).await, "Hello");

    let call = provider.only_call();
    assert_eq!(
        (call.path.as_str(), call.header("authorization")),
        ("/studio/v1/j2-light/complete", Some("Bearer ai-mine"))
    );
    assert_eq!(call.json(), json!({"prompt": "Brief Hi", "maxTokens": 9}));
}

#[tokio::test(flavor = "multi_thread")]
async fn ollama_is_asked_where_it_is_and_shapes_hold() {
    let provider = stranger().await;
    provider.script([Answer::json(200, json!({"response": "Hello", "done": true, "eval_count": 1}))]);
    let arguments = ["--model", "ollama/codellama", "--temperature", "0.3", "--max_tokens", "2048", "--drop_params"];
    let gateway = started(&arguments, &[("OLLAMA_API_BASE", &provider.url())]).await;

    assert_eq!(said(&gateway).await, "Hello");

    let call = provider.only_call();
    let body = call.json();
    assert_eq!((call.path.as_str(), &body["model"]), ("/api/generate", &json!("codellama")));
    assert_eq!(body["prompt"], "### System:\nBrief\n\n### User:\nHi\n\n");
    assert_eq!(body["options"], json!({"temperature": 0.3, "num_predict": 9}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_template_of_the_configuration_makes_the_prompt() {
    let provider = stranger().await;
    provider.script([Answer::json(200, json!([{"generated_text": "Hello"}]))]);
    let file = format!(
        r#"model_list:
  - model_name: mistral-7b
    litellm_params:
      model: "huggingface/mistralai/Mistral-7B-Instruct-v0.1"
      api_base: "{}"
      initial_prompt_value: "\n"
      roles: {{"system":{{"pre_message":"<|im_start|>system\n", "post_message":"<|im_end|>"}}, "assistant":{{"pre_message":"<|im_start|>assistant\n","post_message":"<|im_end|>"}}, "user":{{"pre_message":"<|im_start|>user\n","post_message":"<|im_end|>"}}}}
      final_prompt_value: "\n"
      bos_token: "<s>"
      eos_token: "</s>"
      max_tokens: 4096
"#,
        provider.url()
    );
    let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).start().await;
    let body = json!({"model": "mistral-7b", "messages": [{"role": "system", "content": "Brief"}, {"role": "user", "content": "Hi"}]});

    let reply = http::post(&gateway.at("/chat/completions"), &[], &body).await;

    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello", "{}", reply.text());
    let call = provider.only_call();
    assert_eq!(call.path, "/");
    assert_eq!(call.json()["inputs"], "<s>\n<|im_start|>system\nBrief<|im_end|><|im_start|>user\nHi<|im_end|>\n");
    assert_eq!(call.json()["parameters"]["max_new_tokens"], 4096);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_become_part_of_the_prompt_where_that_is_asked_for() {
    let provider = stranger().await;
    provider.script([Answer::json(200, json!({"response": "{}", "done": true}))]);
    let arguments = ["--model", "ollama/codellama", "--add_function_to_prompt", "--api_base", &provider.url()];
    let gateway = started(&arguments, &[]).await;
    let body = json!({"model": "any", "messages": [{"role": "user", "content": "Hi"}],
        "functions": [{"name": "get_weather"}], "function_call": "auto"});

    let reply = http::post(&gateway.at("/chat/completions"), &[], &body).await;

    assert_eq!(reply.status, 200, "{}", reply.text());
    let prompt = provider.only_call().json()["prompt"].to_string();
    assert!(prompt.contains("### System:") && prompt.contains("get_weather"), "{prompt}");
}

/// The words of a streamed answer.
async fn streamed(gateway: &Gateway) -> String {
    let body = json!({"model": "any", "stream": true, "messages": [{"role": "user", "content": "Hi"}]});
    let reply = http::post(&gateway.at("/chat/completions"), &[], &body).await;
    let text = reply.text();
    assert!(reply.status == 200 && text.trim_end().ends_with("data: [DONE]"), "{text}");
    let chunks = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    chunks.filter_map(|chunk| Some(chunk.pointer("/choices/0/delta/content")?.as_str()?.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_prediction_is_read_at_its_own_address() {
    let provider = stranger().await;
    let url = provider.url();
    let urls = json!({"get": format!("{url}/v1/predictions/p"), "stream": format!("{url}/v1/streams/p")});
    provider.script([
        Answer::json(201, json!({"id": "p", "status": "starting", "urls": urls})),
        Answer::sse_text("event: output\ndata: Hel\n\nevent: output\ndata: lo\n\nevent: done\ndata: {}\n\n"),
    ]);
    let arguments = ["--model", "replicate/meta/meta-llama-3-8b-instruct", "--api_base", &format!("{url}/v1")];
    let gateway = started(&arguments, &[("REPLICATE_API_KEY", "r8_mine")]).await;

    assert_eq!(streamed(&gateway).await, "Hello");
    assert_eq!(provider.calls()[1].path, "/v1/streams/p");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_from_before_chat_streams_its_tokens() {
    let provider = stranger().await;
    let events =
        "data:{\"token\":{\"text\":\"Hel\"}}\n\ndata:{\"token\":{\"text\":\"lo\"},\"generated_text\":\"Hello\"}\n\n";
    provider.script([Answer::text(404, ""), Answer::sse_text(events)]);
    let gateway = started(&["--model", "huggingface/org/model", "--api_base", &provider.url()], &[]).await;

    assert_eq!(streamed(&gateway).await, "Hello");
    assert_eq!(provider.calls()[1].json()["stream"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_could_not_be_streamed_is_told_as_a_stream() {
    let provider = stranger().await;
    provider.script([Answer::json(200, json!({"ok": true, "outputs": "Hello"}))]);
    let gateway = started(&["--model", "petals/org/model", "--api_base", &provider.url()], &[]).await;

    assert_eq!(streamed(&gateway).await, "Hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_come_from_azure_openai_and_hugging_face() {
    let provider = stranger().await;
    let url = provider.url();
    let told = json!({"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1}});
    provider.script_for("POST /openai/*", [Answer::json(200, told.clone())]);
    provider.script_for("POST /v1/embeddings", [Answer::json(200, told)]);
    provider.script_for("POST /", [Answer::json(200, json!([[0.5]]))]);
    let file = format!(
        "model_list:
  - {{model_name: a, litellm_params: {{model: azure/ada, api_base: '{url}', api_key: k, api_version: 2024-02-01}}}}
  - {{model_name: o, litellm_params: {{model: openai/text-embedding-3-small, api_base: '{url}/v1', api_key: k}}}}
  - {{model_name: h, litellm_params: {{model: huggingface/BAAI/bge-small-en, api_base: '{url}'}}}}
"
    );
    let gateway = Gateway::with().binary(env!("CARGO_BIN_EXE_tollgate")).config(&file).start().await;

    for model in ["a", "o", "h"] {
        let reply = http::post(&gateway.at("/embeddings"), &[], &json!({"model": model, "input": ["Hi"]})).await;
        let answer = reply.json();
        assert_eq!(reply.status, 200, "{model}: {answer}");
        assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!(model)));
        assert_eq!(answer["data"], json!([{"object": "embedding", "index": 0, "embedding": [0.5]}]), "{model}");
    }
}
