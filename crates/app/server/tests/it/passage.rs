//! Calls that are passed on as they are.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tollgate_kit::{Answer, SseItem};

use crate::{
    sounds::{form, send},
    world::{MASTER, WITH_MASTER, World, refused},
};

const PLACES: &str = "
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o, api_base: '{provider}/v1', api_key: sk-fake-provider-key}
  - model_name: claude
    litellm_params: {model: anthropic/claude-haiku-4-5, api_base: '{provider}', api_key: sk-ant-fake}
  - model_name: cloud
    litellm_params: {model: azure/dep, api_base: '{provider}/az', api_key: az-fake-key, api_version: '2024-10-21'}
general_settings:
  master_key: '{master}'
  pass_through_endpoints:
    - path: /mine
      target: '{provider}/theirs?fixed=1'
      headers: {x-their-key: 'token os.environ/THEIRS', LANGFUSE_PUBLIC_KEY: pk, LANGFUSE_SECRET_KEY: sk}
      default_query_params: {size: '9', page: '1'}
      include_subpath: true
      forward_headers: true
      cost_per_request: 0.25
      methods: [GET, POST]
    - path: /keyed
      target: '{provider}/keyed?key=fixed-query-key'
      headers: {x-own-token: header-token-1}
      default_query_params: {token: default-query-key}
    - {path: /open, target: '{provider}/open', auth: false}
router_settings: {num_retries: 0}
";

async fn world() -> World {
    World::of(PLACES).environment("THEIRS", "t-1").start().await
}

async fn ask(
    world: &World,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> tollgate_kit::http::Reply {
    let mut connection = world.connect().await;
    connection.ask(method, path, headers, body.as_bytes()).await;
    connection.reply().await
}

#[tokio::test]
async fn the_providers_key_takes_the_place_of_ours_wherever_ours_stood() {
    let world = world().await;
    world
        .provider
        .always("*", Answer::json(200, json!({"ok": true})).header("x-theirs", "1").header("set-cookie", "a=b"));
    let own = [
        ("authorization", "Bearer sk-master-0f1e2d3c"),
        ("x-api-key", MASTER),
        ("api-key", MASTER),
        ("x-goog-api-key", MASTER),
    ];
    for (name, value) in own {
        let headers = [(name, value), ("openai-beta", "assistants=v2"), ("x-litellm-tags", "a"), ("cookie", "c=d")];
        let reply = ask(&world, "PATCH", "/openai/v1/things/a%2Fb?x=%20y&x=2", &headers, "").await;
        assert_eq!((reply.status, reply.text().as_str()), (200, "{\"ok\":true}"));
        assert_eq!((reply.header("x-theirs"), reply.header("set-cookie")), (Some("1"), None));
        assert!(reply.header("x-litellm-call-id").is_some());
    }
    for call in world.provider.calls() {
        assert_eq!((call.method.as_str(), call.path.as_str()), ("PATCH", "/v1/things/a%2Fb"));
        assert_eq!(call.query, "x=%20y&x=2");
        assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
        assert_eq!(call.header("openai-beta"), Some("assistants=v2"));
        assert_eq!(call.headers.iter().filter(|(name, _)| name == "host").count(), 1);
        let all = format!("{:?}", call.headers);
        assert!(!all.contains(MASTER) && !all.contains("litellm") && !all.contains("c=d"), "{all}");
    }
    assert_eq!(world.settled(4).await.nanos, 0);
}

#[tokio::test]
async fn anthropics_own_stream_passes_unchanged_and_is_booked() {
    let world = world().await;
    let events = [
        SseItem::event(
            "message_start",
            json!({"type": "message_start", "message": {"model": "claude-haiku-4-5",
            "usage": {"input_tokens": 100, "output_tokens": 1}}}),
        ),
        SseItem::event("message_delta", json!({"type": "message_delta", "usage": {"output_tokens": 20}})),
    ];
    world.provider.script([Answer::sse(events)]);
    let headers = [("x-api-key", MASTER), ("content-type", "application/json"), ("anthropic-version", "2099-01-01")];
    let body = json!({"model": "claude", "stream": true, "messages": []}).to_string();
    let reply = ask(&world, "POST", "/anthropic/v1/messages", &headers, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().starts_with("event: message_start\ndata: {"), "{}", reply.text());
    let call = world.provider.only_call();
    assert_eq!((call.path.as_str(), call.header("x-api-key")), ("/v1/messages", Some("sk-ant-fake")));
    assert_eq!(call.header("anthropic-version"), Some("2099-01-01"));
    assert_eq!(call.json()["model"], "claude-haiku-4-5");
    // $1 and $5 a million tokens.
    let totals = world.settled(1).await;
    assert_eq!((totals.input, totals.output, totals.nanos, totals.unpriced), (100, 20, 200_000, 0));
}

#[tokio::test]
async fn an_answer_of_no_known_dialect_that_says_nothing_of_its_usage_has_no_price() {
    let world = world().await;
    world.provider.script([Answer::text(200, "hello")]);
    let headers = [WITH_MASTER, ("content-type", "application/json")];
    let reply = ask(&world, "POST", "/openai/v1/new/thing", &headers, "{\"model\":\"gpt-4o\"}").await;
    assert_eq!(reply.text(), "hello");
    assert_eq!(world.settled(1).await.unpriced, 1);
}

#[tokio::test]
async fn azures_paths_go_to_its_resource() {
    let world = world().await;
    world.provider.always("*", Answer::json(200, json!({})));
    ask(&world, "GET", "/azure/openai/models?api-version=2024-10-21", &[("api-key", MASTER)], "").await;
    ask(&world, "GET", "/azure/v1/files", &[("api-key", MASTER)], "").await;
    let seen: Vec<_> = world.provider.calls().iter().map(|call| format!("{}?{}", call.path, call.query)).collect();
    assert_eq!(seen, ["/az/openai/models?api-version=2024-10-21", "/az/openai/files?api-version=2024-10-21"]);
    // A path may name the model by the name that clients know.
    let reply = ask(&world, "POST", "/azure/openai/deployments/cloud/new/thing", &[("api-key", MASTER)], "").await;
    assert_eq!(
        (reply.status, world.provider.calls().last().unwrap().path.as_str()),
        (200, "/az/openai/deployments/dep/new/thing")
    );
}

#[tokio::test]
async fn nobody_passes_without_a_key_and_no_path_climbs() {
    let world = world().await;
    for path in ["/openai/v1/files", "/v1/files", "/cohere/v1/models", "/mine"] {
        refused(&ask(&world, "GET", path, &[], "").await, 401);
    }
    for path in ["/openai/../admin", "/openai/v1/%2e%2e/%2E%2E/admin", "/mine/../x", "/v1/files/../../x"] {
        refused(&ask(&world, "GET", path, &[WITH_MASTER], "").await, 400);
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn what_google_reads_in_a_query_in_place_of_a_header_stays_here() {
    let config = "
model_list:
  - {model_name: gem, litellm_params: {model: gemini/gemini-2.5-flash, api_base: '{provider}', api_key: g-fake}}
";
    let world = World::start(config).await;
    world.provider.always("*", Answer::json(200, json!({})));
    let asked = "key=mine&access_token=t&alt=json&%24httpMethod=DELETE&$userProject=theirs&quotaUser=u&oauth_token=o";
    assert_eq!(ask(&world, "GET", &format!("/gemini/v1beta/models?{asked}"), &[], "").await.status, 200);
    assert_eq!(world.provider.only_call().query, "alt=json");
}

#[tokio::test]
async fn a_refusal_passes_in_the_providers_words_but_for_our_key() {
    let world = world().await;
    world.provider.script([Answer::json(401, json!({"error": {"message": "wrong key sk-fake-provider-key"}}))]);
    let reply = ask(&world, "GET", "/openai/v1/models", &[WITH_MASTER], "").await;
    assert_eq!(reply.status, 401);
    assert!(reply.text().contains("wrong key") && !reply.text().contains("sk-fake-provider-key"), "{}", reply.text());
    let elsewhere = Answer::text(302, "").header("location", "http://127.0.0.1:1/");
    world.provider.script([elsewhere]);
    let reply = ask(&world, "GET", "/openai/v1/models", &[WITH_MASTER], "").await;
    assert_eq!((reply.status, reply.header("location")), (302, Some("http://127.0.0.1:1/")));
}

#[tokio::test]
async fn what_an_endpoint_of_ones_own_is_given_stays_here() {
    let world = world().await;
    let asked = "/keyed/?key=fixed-query-key&token=default-query-key";
    world.provider.script([
        Answer::text(307, "").header("location", asked),
        Answer::json(401, json!({"error": "no token header-token-1, key fixed-query-key or default-query-key"})),
    ]);
    let reply = ask(&world, "GET", "/keyed", &[WITH_MASTER], "").await;
    assert_eq!((reply.status, reply.header("location")), (307, Some("/keyed/")));
    let reply = ask(&world, "GET", "/keyed", &[WITH_MASTER], "").await;
    assert_eq!(reply.status, 401);
    for secret in ["header-token-1", "fixed-query-key", "default-query-key"] {
        assert!(!reply.text().contains(secret), "{}", reply.text());
    }
}

#[tokio::test]
async fn paths_of_the_configuration_go_to_their_targets() {
    let world = world().await;
    world.provider.always("*", Answer::text(200, "theirs"));
    let reply = ask(&world, "POST", "/mine/a/b?page=7", &[WITH_MASTER, ("x-mine", "1")], "anything").await;
    assert_eq!((reply.status, reply.text().as_str()), (200, "theirs"));
    let call = world.provider.only_call();
    assert_eq!((call.path.as_str(), call.query.as_str()), ("/theirs/a/b", "fixed=1&page=7&size=9"));
    assert_eq!((call.text().as_str(), call.header("x-mine")), ("anything", Some("1")));
    assert_eq!(call.header("x-their-key"), Some("token t-1"));
    assert_eq!(call.header("authorization"), Some("Basic cGs6c2s="));
    assert_eq!(world.settled(1).await.nanos, 250_000_000);
    refused(&ask(&world, "DELETE", "/mine", &[WITH_MASTER], "").await, 405);
    assert_eq!(ask(&world, "GET", "/open", &[("x-mine", "1")], "").await.status, 200);
    assert_eq!(world.provider.calls().last().unwrap().header("x-mine"), None);
    assert_eq!(ask(&world, "GET", "/open/below", &[WITH_MASTER], "").await.status, 404);
}

#[tokio::test]
async fn a_file_goes_to_its_provider_without_what_is_ours() {
    let world = World::start(&PLACES.replace("master_key: '{master}'", "store: 1")).await;
    world.provider.always("*", Answer::json(200, json!({"id": "file-1", "object": "file"})));
    let fields = [("purpose", "batch"), ("custom_llm_provider", "azure"), ("target_model_names", "cloud, gpt")];
    let reply = send(&world, "/v1/files", &form(&fields, "file")).await;
    assert!(reply.json()["id"].as_str().unwrap().starts_with("file-"), "{}", reply.text());
    let call = world.provider.only_call();
    assert_eq!((call.path.as_str(), call.query.as_str()), ("/az/openai/files", "api-version=2024-10-21"));
    assert_eq!(call.header("api-key"), Some("az-fake-key"));
    let plain = form(&[("purpose", "batch")], "file");
    assert_eq!(call.body, plain);
    assert_eq!(call.header("content-length"), Some(plain.len().to_string().as_str()));
    send(&world, "/openai/v1/files", &plain).await;
    assert_eq!(world.provider.calls().last().unwrap().path, "/v1/files");
}

#[tokio::test]
async fn a_field_of_ours_behind_the_file_is_refused() {
    let world = World::start(&PLACES.replace("master_key: '{master}'", "store: 1")).await;
    let mut body = form(&[("purpose", "batch")], "file");
    body.truncate(body.len() - 4);
    body.extend_from_slice(
        b"\r\nContent-Disposition: form-data; name=\"custom_llm_provider\"\r\n\r\nazure\r\n--edge--\r\n",
    );
    let reply = send(&world, "/v1/files", &body).await;
    assert!(refused(&reply, 400).contains("`custom_llm_provider` must come before the file"), "{}", reply.text());
    assert_eq!(reply.json()["error"]["param"], "custom_llm_provider");
    refused(&send(&world, "/v1/files", b"--edge\r\n").await, 400);
    refused(&send(&world, "/v1/files", &form(&[("api_base", "http://x")], "file")).await, 400);
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn a_file_is_sent_on_while_it_comes_in() {
    let provider = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = provider.local_addr().unwrap();
    let config = format!(
        "model_list: [{{model_name: gpt, litellm_params: {{model: openai/gpt-4o, api_base: 'http://{address}/v1', api_key: k}}}}]"
    );
    let world = World::start(&config).await;
    let whole = form(&[("purpose", "batch")], "file");
    let (first, last) = whole.split_at(whole.len() - 10);
    let mut connection = world.connect().await;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\ncontent-type: multipart/form-data; boundary=edge\r\n\r\n",
        whole.len()
    );
    connection.send(head).await.unwrap();
    connection.send(first).await.unwrap();
    // All of it is at the provider before the client has sent the rest.
    let (mut peer, _) = provider.accept().await.unwrap();
    let mut seen = Vec::new();
    while !seen.ends_with(first) {
        assert!(peer.read_buf(&mut seen).await.unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
    }
    connection.send(last).await.unwrap();
    while !seen.ends_with(&whole) {
        assert!(peer.read_buf(&mut seen).await.unwrap() > 0, "{}", String::from_utf8_lossy(&seen));
    }
    peer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    assert_eq!(connection.reply().await.text(), "{}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let config = PLACES.replace("master_key: '{master}'", "store: 1");
    let world = World::of(&config).bounds(|bounds| bounds.body_read_timeout = Duration::from_millis(50)).start().await;
    for (path, kind) in [("/openai/v1/x", "application/json"), ("/v1/files", "multipart/form-data; boundary=edge")] {
        let mut connection = world.connect().await;
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 90\r\ncontent-type: {kind}\r\n\r\n");
        connection.send(head).await.unwrap();
        refused(&connection.reply().await, 408);
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn a_file_over_its_bound_is_refused_also_where_it_does_not_say_its_length() {
    let config = PLACES.replace("master_key: '{master}'", "store: 1");
    let world = World::of(&config).bounds(|bounds| bounds.max_file_bytes = 1000).start().await;
    let body = form(&[("purpose", &"x".repeat(2000))], "file");
    assert!(refused(&send(&world, "/v1/files", &body).await, 413).contains("max_file_size_mb"));
    let mut connection = world.connect().await;
    let head = "POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: multipart/form-data; boundary=edge\r\n\r\n";
    let small = form(&[("purpose", "batch")], "file");
    let small = small.get(..small.len() - 10).unwrap();
    connection.send(head).await.unwrap();
    connection.send(format!("{:x}\r\n", small.len())).await.unwrap();
    connection.send(small).await.unwrap();
    let _ = connection.send(format!("\r\n7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2000))).await;
    refused(&connection.reply().await, 413);
}

#[tokio::test]
async fn batches_and_jobs_go_where_their_model_is() {
    let world = World::start(&PLACES.replace("master_key: '{master}'", "store: 1")).await;
    world.provider.always("*", Answer::json(200, json!({"id": "batch_1"})));
    let batch = json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "model": "cloud", "metadata": {"a": "b"}});
    world.post("/v1/batches", &batch).await;
    let job = json!({"training_file": "file-1", "model": "gpt", "custom_llm_provider": "openai"});
    world.post("/fine_tuning/jobs", &job).await;
    world.get("/v1/batches/batch_1?custom_llm_provider=azure&limit=2").await;
    world.post("/v1/threads/t/runs", &json!({"assistant_id": "a", "model": "o3"})).await;
    let calls = world.provider.calls();
    let seen: Vec<_> = calls.iter().map(|call| (call.path.as_str(), call.query.as_str(), call.json())).collect();
    assert_eq!(
        seen,
        [
            (
                "/az/openai/batches",
                "api-version=2024-10-21",
                json!({"input_file_id": "file-1", "endpoint": "/v1/chat/completions", "metadata": {"a": "b"}})
            ),
            ("/v1/fine_tuning/jobs", "", json!({"training_file": "file-1", "model": "gpt-4o"})),
            ("/az/openai/batches/batch_1", "limit=2&api-version=2024-10-21", json!(null)),
            ("/v1/threads/t/runs", "", json!({"assistant_id": "a", "model": "o3"})),
        ]
    );
    // The batch itself stays open.
    let totals = world.gateway.totals();
    assert_eq!((totals.opened, totals.settled, totals.nanos, totals.unpriced), (5, 4, 0, 0));
}
