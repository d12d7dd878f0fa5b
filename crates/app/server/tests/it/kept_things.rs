//! Files, batches and jobs at providers: by ids that say where they are and whose.

use serde_json::{Value, json};
use tollgate_kit::{
    Answer,
    http::{Reply, get, post},
};

use crate::{
    sounds::{form, send},
    world::{Plan, WITH_MASTER, World, refused, snapshot},
};

const SALT: (&str, &str) = ("LITELLM_SALT_KEY", "a-salt-for-tests");

/// Two accounts at `OpenAI`, the second with two models, and a cloud.
const MODELS: &str = "
model_list:
  - model_name: first
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/a', api_key: sk-fake-provider-key}
    model_info: {id: first-1}
  - model_name: second
    litellm_params: {model: openai/gpt-4o-mini, api_base: '{provider}/b', api_key: sk-fake-provider-key}
    model_info: {id: second-1}
  - model_name: third
    litellm_params: {model: openai/gpt-4.1, api_base: '{provider}/b', api_key: sk-fake-provider-key}
  - model_name: cloud
    litellm_params: {model: azure/dep, api_base: '{provider}/az', api_key: sk-fake-provider-key, api_version: '2024-10-21'}
router_settings: {num_retries: 0}
";

fn plan(more: &str) -> Plan {
    World::of(&format!("{MODELS}{more}")).environment(SALT.0, SALT.1)
}

fn file(id: &str) -> Value {
    json!({"id": id, "object": "file", "bytes": 3, "created_at": 1, "filename": "a.jsonl", "purpose": "batch", "of_tomorrow": 1.50})
}

async fn upload(world: &World, model: &str, id: &str) -> String {
    world.provider.script_for("POST */files", [Answer::json(200, file(id))]);
    let reply = send(world, "/v1/files", &form(&[("purpose", "batch"), ("target_model_names", model)], "file")).await;
    id_of(&reply)
}

fn id_of(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["id"].as_str().unwrap().to_owned()
}

async fn ask(world: &World, method: &str, path: &str) -> Reply {
    let mut connection = world.connect().await;
    connection.ask(method, path, &[], b"").await;
    connection.reply().await
}

fn last_path(world: &World) -> String {
    let call = world.provider.calls().pop().unwrap();
    format!("{} {}?{}", call.method, call.path, call.query)
}

#[tokio::test]
async fn an_id_leads_to_its_deployment_without_a_word_about_the_provider() {
    let world = plan("").start().await;
    let id = upload(&world, "second", "file-up1").await;
    assert!(id.starts_with("file-") && !id.contains("up1"), "{id}");
    world.provider.always("GET /b/files/file-up1", Answer::json(200, file("file-up1")));
    let shown = ask(&world, "GET", &format!("/v1/files/{id}")).await;
    assert_eq!(id_of(&shown), id);
    assert_eq!((&shown.json()["filename"], &shown.json()["of_tomorrow"]), (&json!("a.jsonl"), &json!(1.5)));
    // Its content is handed on as it is, documents too.
    let content = Answer::json(200, json!({"id": "file-up1"}));
    world.provider.always("GET /b/files/file-up1/content", content);
    assert_eq!(ask(&world, "GET", &format!("/files/{id}/content")).await.json(), json!({"id": "file-up1"}));
    let gone = json!({"id": "file-up1", "object": "file", "deleted": true});
    world.provider.always("DELETE /b/files/file-up1", Answer::json(200, gone));
    assert_eq!(
        ask(&world, "DELETE", &format!("/v1/files/{id}?custom_llm_provider=azure")).await.json()["id"],
        id.as_str()
    );
    // The cloud's things are found below its resource.
    let id = upload(&world, "cloud", "assistant-x1").await;
    assert!(id.starts_with("assistant-"), "{id}");
    ask(&world, "GET", &format!("/v1/files/{id}")).await;
    assert_eq!(last_path(&world), "GET /az/openai/files/assistant-x1?api-version=2024-10-21");
}

#[tokio::test]
async fn ids_within_documents_are_told_both_ways() {
    let world = plan("general_settings: {proxy_batch_polling_interval: 3600}\n").start().await;
    let input = upload(&world, "third", "file-in").await;
    let made = json!({"id": "batch_b1", "object": "batch", "status": "in_progress", "input_file_id": "file-in",
        "output_file_id": "file-out", "error_file_id": null, "metadata": {"file_id": "file-in"}});
    world.provider.always("POST /b/batches", Answer::json(200, made.clone()));
    let asked = json!({"input_file_id": input, "endpoint": "/v1/chat/completions", "metadata": {"file_id": input}});
    let reply = world.post("/v1/batches", &asked).await.json();
    let sent = world.provider.calls().pop().unwrap().json();
    assert_eq!((&sent["input_file_id"], &sent["metadata"]["file_id"]), (&json!("file-in"), &json!(input)));
    assert_eq!((&reply["input_file_id"], &reply["metadata"]["file_id"]), (&json!(input), &json!("file-in")));
    let (id, output) = (reply["id"].as_str().unwrap(), reply["output_file_id"].as_str().unwrap());
    assert!(id.starts_with("batch_") && output.starts_with("file-"), "{reply}");

    world.provider.always("GET /b/files/file-out/content", Answer::text(200, "{}"));
    assert_eq!(ask(&world, "GET", &format!("/v1/files/{output}/content")).await.text(), "{}");
    let list =
        json!({"object": "list", "data": [made], "first_id": "batch_b1", "last_id": "batch_b1", "has_more": true});
    world.provider.always("GET /b/batches", Answer::json(200, list));
    let page = ask(&world, "GET", &format!("/v1/batches?limit=1&after={id}")).await.json();
    assert_eq!(last_path(&world), "GET /b/batches?limit=1&after=batch_b1");
    assert_eq!((page["data"][0]["id"].as_str(), page["last_id"].as_str()), (Some(id), Some(id)));

    let job = json!({"id": "ftjob-1", "object": "fine_tuning.job", "training_file": "file-in", "result_files": ["file-of-results"]});
    world.provider.always("POST /b/fine_tuning/jobs", Answer::json(200, job));
    let body = json!({"training_file": input, "model": "second", "hyperparameters": {"n_epochs": 1}});
    let reply = world.post("/v1/fine_tuning/jobs", &body).await.json();
    let sent = world.provider.calls().pop().unwrap().json();
    assert_eq!(sent, json!({"training_file": "file-in", "model": "gpt-4o-mini", "hyperparameters": {"n_epochs": 1}}));
    assert!(reply["id"].as_str().unwrap().starts_with("ftjob-") && reply["training_file"] == input.as_str(), "{reply}");
    // A shorter one would stand in every sixtieth id of ours.
    assert!(!reply.to_string().contains("file-of-results"), "{reply}");
}

#[tokio::test]
async fn any_instance_with_the_salt_reads_an_id_but_for_its_owner_only() {
    let first = plan("").start().await;
    let id = upload(&first, "second", "file-up1").await;
    let second = plan("").start().await;
    second.provider.always("GET /b/files/file-up1", Answer::json(200, file("file-up1")));
    assert_eq!(id_of(&ask(&second, "GET", &format!("/v1/files/{id}")).await), id);

    let owned = plan("general_settings: {master_key: '{master}'}\n").start().await;
    let words = refused(&get(&owned.at(&format!("/v1/files/{id}")), &[WITH_MASTER]).await, 404);
    assert!(words.starts_with("No such File object: file-"), "{words}");
    let body = json!({"input_file_id": id, "endpoint": "/v1/chat/completions"});
    refused(&post(&owned.at("/v1/batches"), &[WITH_MASTER], &body).await, 404);
    refused(&get(&owned.at(&format!("/v1/files?after={id}")), &[WITH_MASTER]).await, 404);
    let chat = json!({"model": "second", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": id}}]}]});
    refused(&post(&owned.at("/v1/chat/completions"), &[WITH_MASTER], &chat).await, 404);
    assert!(owned.provider.calls().is_empty());
}

#[tokio::test]
async fn a_providers_own_id_is_taken_as_it_is() {
    let world = plan("").start().await;
    world.provider.always("GET /a/files/file-raw", Answer::json(200, file("file-raw")));
    let shown = id_of(&ask(&world, "GET", "/v1/files/file-raw").await);
    assert!(shown.starts_with("file-") && shown != "file-raw", "{shown}");
    assert_eq!(last_path(&world), "GET /a/files/file-raw?");
    ask(&world, "GET", "/v1/files/file-raw?model=second").await;
    assert_eq!(last_path(&world), "GET /b/files/file-raw?");
}

#[tokio::test]
async fn a_refusal_repeats_the_id_that_was_asked_for() {
    let world = plan("").start().await;
    let id = upload(&world, "second", "file-up1").await;
    let gone = json!({"error": {"message": "No such File object: file-up1", "type": "invalid_request_error"}});
    world.provider.always("GET /b/files/file-up1", Answer::json(404, gone));
    let reply = ask(&world, "GET", &format!("/v1/files/{id}")).await;
    assert_eq!(
        (reply.status, reply.json()["error"]["message"].as_str().unwrap()),
        (404, format!("No such File object: {id}").as_str())
    );
}

#[tokio::test]
async fn things_of_two_accounts_do_not_go_together() {
    let world = plan("").start().await;
    let (here, there) = (upload(&world, "first", "file-a").await, upload(&world, "second", "file-b").await);
    let body = json!({"training_file": here, "validation_file": there, "model": "gpt-4o"});
    let words = refused(&world.post("/v1/fine_tuning/jobs", &body).await, 400);
    assert!(words.contains("another provider's account"), "{words}");
    let both = upload(&world, "third", "file-c").await;
    let body = json!({"training_file": both, "validation_file": there, "model": "gpt-4o"});
    world.post("/v1/fine_tuning/jobs", &body).await;
    let sent = world.provider.calls().pop().unwrap();
    assert_eq!((sent.path.as_str(), &sent.json()["validation_file"]), ("/b/fine_tuning/jobs", &json!("file-b")));
}

#[tokio::test]
async fn a_prompt_that_names_a_file_goes_where_the_file_is() {
    let world = plan("").start().await;
    let id = upload(&world, "second", "file-b").await;
    let content = |id: &str| json!([{"type": "text", "text": "file_id"}, {"type": "file", "file": {"file_id": id}}]);
    let chat = |model: &str| json!({"model": model, "messages": [{"role": "user", "content": content(&id)}]});
    // The file's own deployment, and another of the same account.
    for model in ["second", "third"] {
        let reply = world.post("/v1/chat/completions", &chat(model)).await;
        assert_eq!(
            world.provider.calls().pop().unwrap().json()["messages"][0]["content"],
            content("file-b"),
            "{}",
            reply.text()
        );
    }
    let words = refused(&world.post("/v1/chat/completions", &chat("first")).await, 400);
    assert!(words.contains("is not kept where the model 'first' is"), "{words}");
    let input = json!([{"role": "user", "content": [{"type": "input_file", "file_id": id}]}]);
    let tools = json!([{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [id]}}]);
    world.post("/v1/responses", &json!({"model": "third", "input": input, "tools": tools})).await;
    let sent = world.provider.calls().pop().unwrap().json();
    assert_eq!(
        (&sent["input"][0]["content"][0]["file_id"], &sent["tools"][0]["container"]["file_ids"][0]),
        (&json!("file-b"), &json!("file-b"))
    );
}

#[tokio::test]
async fn a_thing_outlives_the_deployment_that_it_was_sent_to() {
    let world = plan("").start().await;
    let id = upload(&world, "second", "file-b").await;
    for (base, key, expected) in
        [("b", "sk-fake-provider-key", "b"), ("b", "sk-another", "b"), ("c", "sk-another", "a")]
    {
        let text = format!(
            "
model_list:
  - model_name: x
    litellm_params: {{model: openai/x, api_base: '{url}/a', api_key: sk-x}}
  - model_name: y
    litellm_params: {{model: openai/y, api_base: '{url}/{base}', api_key: {key}}}
",
            url = world.provider.url()
        );
        world.gateway.swap(snapshot(&text, [(SALT.0.to_owned(), SALT.1.to_owned())].into()));
        ask(&world, "GET", &format!("/v1/files/{id}")).await;
        assert_eq!(last_path(&world), format!("GET /{expected}/files/file-b?"));
    }
}
