//! Headers: ours on every answer, the provider's under its name, and what is passed on.

use serde_json::json;
use tollgate_kit::Answer;

use crate::world::{MASTER, ONE_MODEL, WITH_MASTER, World, hi, hi_streamed, refused};

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[tokio::test]
async fn every_answer_of_a_model_carries_our_headers() {
    let world = World::plain().await;
    for body in [hi("gpt"), hi_streamed("gpt")] {
        let reply = world.chat(&body).await;
        let header = |name: &str| reply.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", reply.headers));
        assert_eq!(header("server"), "tollgate");
        assert!(is_uuid(header("x-litellm-call-id")), "{}", header("x-litellm-call-id"));
        assert_eq!(header("x-litellm-model-id").len(), 64);
        assert_eq!(header("x-litellm-model-group"), "gpt");
        assert_eq!(header("x-litellm-model-api-base"), format!("{}/v1", world.provider.url()));
        assert!(!header("x-litellm-version").is_empty());
        for number in ["x-litellm-response-duration-ms", "x-litellm-overhead-duration-ms", "x-litellm-timeout"] {
            assert!(header(number).parse::<f64>().is_ok_and(|number| number >= 0.0), "{number}");
        }
        for number in ["x-litellm-attempted-retries", "x-litellm-max-retries", "x-litellm-attempted-fallbacks"] {
            assert_eq!(header(number), "0", "{number}");
        }
        let cost = reply.header("x-litellm-response-cost");
        let is_stream = body["stream"] == true;
        assert_eq!(cost.is_none(), is_stream, "only a whole answer knows its cost in time");
        assert!(is_stream || cost.unwrap().parse::<f64>().unwrap() > 0.0);
    }
}

#[tokio::test]
async fn each_call_has_an_id_of_its_own_or_the_clients() {
    let world = World::plain().await;
    let (one, two) = (world.chat(&hi("gpt")).await, world.chat(&hi("gpt")).await);
    assert_ne!(one.header("x-litellm-call-id"), two.header("x-litellm-call-id"));
    let given = world.chat_with(&[("x-litellm-call-id", "job-7:a_b.c")], &hi("gpt")).await;
    assert_eq!(given.header("x-litellm-call-id"), Some("job-7:a_b.c"));
    let refused = world.chat_with(&[("x-litellm-call-id", "mine")], &json!({"model": "gpt", "messages": []})).await;
    assert_eq!((refused.status, refused.header("x-litellm-call-id")), (400, Some("mine")));
    for nonsense in ["with space", "", "k\u{e4}se", &"x".repeat(200)] {
        let reply = world.chat_with(&[("x-litellm-call-id", nonsense)], &hi("gpt")).await;
        assert!(is_uuid(reply.header("x-litellm-call-id").unwrap()), "{nonsense:?}");
    }
}

#[tokio::test]
async fn refusals_carry_the_server_and_call_headers_too() {
    let world = World::locked().await;
    for (headers, body) in [(vec![], hi("gpt")), (vec![WITH_MASTER], hi("nothing")), (vec![WITH_MASTER], json!({}))] {
        let reply = world.chat_with(&headers, &body).await;
        assert!(reply.status >= 400);
        assert_eq!(reply.header("server"), Some("tollgate"));
        assert!(reply.header("x-litellm-call-id").is_some() && reply.header("x-litellm-version").is_some());
    }
    assert_eq!(world.get("/nothing").await.header("server"), Some("tollgate"));
}

#[tokio::test]
async fn the_providers_headers_are_passed_on_under_its_name() {
    let world = World::plain().await;
    let dressed = |answer: Answer| {
        answer
            .header("openai-processing-ms", "12")
            .header("x-ratelimit-remaining-tokens", "99")
            .header("x-request-id", "req-1")
            .header("set-cookie", "session=secret")
            .header("keep-alive", "timeout=5")
            .header("connection", "keep-alive, x-private")
            .header("x-private", "of this connection only")
            .header("proxy-authenticate", "Basic")
    };
    let whole = dressed(Answer::json(200, json!({"object": "chat.completion", "choices": []})));
    let event = tollgate_kit::SseItem::data(
        json!({"choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]}),
    );
    let stream = dressed(Answer::sse([event, tollgate_kit::SseItem::done()]));
    world.provider.script([whole, stream]);
    for body in [hi("gpt"), hi_streamed("gpt")] {
        let reply = world.chat(&body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.header("llm_provider-openai-processing-ms"), Some("12"));
        assert_eq!(reply.header("llm_provider-x-request-id"), Some("req-1"));
        assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("99"));
        let all = format!("{:?}", reply.headers);
        for kept in ["session=secret", "timeout=5", "proxy-authenticate", "of this connection only"] {
            assert!(!all.contains(kept), "{kept} in {all}");
        }
        assert_eq!(reply.headers.iter().filter(|(name, _)| name == "content-type").count(), 1);
    }
}

const PERSONAL: [(&str, &str); 17] = [
    ("cookie", "session=mine"),
    ("authorization", "Bearer sk-the-clients"),
    ("x-api-key", "sk-the-clients"),
    ("api-key", "sk-the-clients"),
    ("proxy-authorization", "Basic bWluZQ=="),
    ("te", "trailers"),
    ("connection", "keep-alive, x-hop"),
    ("x-hop", "of this connection only"),
    ("user-agent", "curl/of-mine"),
    ("x-forwarded-for", "10.1.2.3"),
    ("x-stainless-lang", "python"),
    ("x-litellm-tags", "a"),
    ("x-real-ip", "10.1.2.4"),
    ("x-http-method-override", "DELETE"),
    ("x-goog-user-project", "of-somebody"),
    ("openai-organization", "org-of-somebody"),
    ("x-amz-target", "Another.Thing"),
];

#[tokio::test]
async fn a_clients_headers_stay_with_us() {
    let world = World::plain().await;
    let mut headers = PERSONAL.to_vec();
    headers.push(("x-team", "blue"));
    assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 200);
    let call = world.provider.only_call();
    let names: Vec<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
    for (name, value) in headers {
        // These two are our own.
        let kept = matches!(name, "authorization" | "user-agent") || !names.contains(&name);
        assert!(kept && call.headers.iter().all(|(_, sent)| sent != value), "{name} in {:?}", call.headers);
    }
    assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
}

#[tokio::test]
async fn headers_of_ones_own_may_be_forwarded() {
    let world =
        World::start(&format!("{ONE_MODEL}general_settings: {{forward_client_headers_to_llm_api: true}}\n")).await;
    let mut headers = PERSONAL.to_vec();
    headers.extend([("x-team", "blue"), ("anthropic-beta", "a-thing"), ("accept-language", "de")]);
    assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 200);
    let call = world.provider.only_call();
    assert_eq!((call.header("x-team"), call.header("anthropic-beta")), (Some("blue"), Some("a-thing")));
    for name in [
        "cookie",
        "x-api-key",
        "api-key",
        "proxy-authorization",
        "te",
        "x-hop",
        "x-stainless-lang",
        "x-litellm-tags",
        "accept-language",
        "x-real-ip",
        "x-forwarded-for",
        "x-http-method-override",
        "x-goog-user-project",
        "openai-organization",
        "x-amz-target",
    ] {
        assert_eq!(call.header(name), None, "{name}");
    }
    assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
}

#[tokio::test]
async fn the_header_that_holds_our_key_is_never_forwarded() {
    let config = format!(
        "{ONE_MODEL}general_settings:\n  forward_client_headers_to_llm_api: true\n  master_key: '{{master}}'\n  \
         litellm_key_header_name: X-Our-Key\n"
    );
    let world = World::start(&config).await;
    let headers = [("x-our-key", MASTER), ("x-team", "blue")];
    assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 200);
    let call = world.provider.only_call();
    assert_eq!((call.header("x-our-key"), call.header("x-team")), (None, Some("blue")));
}

#[tokio::test]
async fn a_request_names_no_header_that_it_does_not_answer_for() {
    let world = World::plain().await;
    for name in
        ["Authorization", "x-http-method-override", "openai-project", "x-goog-user-project", "via", "x-amz-date"]
    {
        let mut body = hi("gpt");
        body["extra_headers"] = json!({name: "1"});
        let words = refused(&world.chat(&body).await, 400);
        assert!(words.contains(&format!("extra_headers.{name} cannot be set by a request")), "{words}");
    }
    assert!(world.provider.calls().is_empty());
}

#[tokio::test]
async fn browsers_may_ask_beforehand_and_read_our_headers() {
    let world = World::locked().await;
    let mut connection = world.connect().await;
    let asked = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    connection.ask("OPTIONS", "/v1/chat/completions", &asked, b"").await;
    let reply = connection.reply().await;
    assert_eq!((reply.status, reply.header("access-control-allow-origin")), (200, Some("*")));
    assert_eq!(reply.header("access-control-allow-headers"), Some("authorization,content-type"));
    assert!(reply.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    for body in [hi("gpt"), hi_streamed("gpt"), json!({})] {
        let reply = world.chat_with(&[WITH_MASTER, ("origin", "https://app.example")], &body).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
        assert_eq!(reply.header("access-control-expose-headers"), Some("*"));
    }
    assert_eq!(world.chat(&hi("gpt")).await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn only_named_origins_are_allowed_where_some_are_named() {
    let named = World::of(ONE_MODEL).settings(|settings| {
        settings.cors_origins = vec!["https://app.example".to_owned()];
        settings.cors_credentials = true;
    });
    let world = named.start().await;
    let reply = world.chat_with(&[("origin", "https://app.example")], &hi("gpt")).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(reply.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(reply.header("vary"), Some("origin"));
    let other = world.chat_with(&[("origin", "https://evil.example")], &hi("gpt")).await;
    assert_eq!((other.status, other.header("access-control-allow-origin")), (200, None));
}
