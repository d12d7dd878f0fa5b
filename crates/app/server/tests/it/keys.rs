//! Who may call: keys in every header, and what is said to those without.

use serde_json::Value;
use tollgate_kit::http;

use crate::world::{MASTER, ONE_MODEL, World, hi, refused};

#[tokio::test]
async fn a_key_is_taken_from_every_header_it_may_stand_in() {
    let world = World::locked().await;
    let bearer = format!("Bearer {MASTER}");
    for (name, value) in [
        ("authorization", bearer.as_str()),
        ("Authorization", &format!("bearer {MASTER}")),
        ("Authorization", &format!("BEARER {MASTER}")),
        ("x-litellm-api-key", MASTER),
        ("x-litellm-api-key", &bearer),
        ("api-key", MASTER),
        ("x-api-key", MASTER),
        ("x-goog-api-key", MASTER),
        ("Ocp-Apim-Subscription-Key", MASTER),
    ] {
        let reply = world.chat_with(&[(name, value)], &hi("gpt")).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    }
    for call in world.provider.calls() {
        assert_eq!(call.header("authorization"), Some("Bearer sk-fake-provider-key"));
        assert!(call.headers.iter().all(|(_, value)| !value.contains(MASTER)), "{call:?}");
    }
}

#[tokio::test]
async fn the_headers_of_a_key_have_an_order() {
    let world = World::locked().await;
    let right = MASTER;
    let order =
        ["x-litellm-api-key", "authorization", "api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key"];
    for pair in order.windows(2) {
        let value =
            |name: &str, key: &str| if name == "authorization" { format!("Bearer {key}") } else { key.to_owned() };
        let both = [(pair[0], value(pair[0], right)), (pair[1], value(pair[1], "sk-wrong-key"))];
        let headers: Vec<(&str, &str)> = both.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 200, "{pair:?}");
        let both = [(pair[0], value(pair[0], "sk-wrong-key")), (pair[1], value(pair[1], right))];
        let headers: Vec<(&str, &str)> = both.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 401, "{pair:?}");
    }
}

#[tokio::test]
async fn a_header_of_ones_own_goes_before_all_others() {
    let world = World::start(&format!(
        "{ONE_MODEL}general_settings: {{master_key: '{{master}}', litellm_key_header_name: X-Company-Key}}\n"
    ))
    .await;
    let headers = [("x-company-key", MASTER), ("authorization", "Bearer sk-wrong-key")];
    assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 200);
    let headers = [("x-company-key", "sk-wrong"), ("authorization", &format!("Bearer {MASTER}"))];
    refused(&world.chat_with(&headers, &hi("gpt")).await, 401);
}

#[tokio::test]
async fn a_call_without_the_right_key_is_told_what_is_wrong() {
    let world = World::locked().await;
    let cases = [
        (vec![], "No api key passed in."),
        (vec![("authorization", "Bearer ")], "Malformed API Key passed in."),
        (vec![("x-api-key", "")], "No api key passed in."),
        (vec![("authorization", MASTER)], "Malformed API Key passed in. Ensure Key has `Bearer ` prefix."),
        (vec![("authorization", "Basic c2s6")], "Malformed API Key passed in."),
        (vec![("authorization", "Bearer something-else")], "expected to start with 'sk-'"),
        (vec![("authorization", "Bearer sk-something-wrong")], "Received API Key = sk-...rong"),
        (vec![("x-api-key", "k\u{e4}y")], "Authentication Error"),
    ];
    for (headers, words) in cases {
        let reply = world.chat_with(&headers, &hi("gpt")).await;
        let told = refused(&reply, 401);
        assert!(told.starts_with("Authentication Error, ") && told.contains(words), "{told}");
        assert!(!told.contains("something-") && !told.contains(MASTER), "{told}");
        assert_eq!(reply.json()["error"]["type"], "auth_error");
        assert!(reply.header("x-litellm-call-id").is_some());
    }
    assert!(world.provider.calls().is_empty());
    for path in ["/models", "/v1/models/gpt", "/model/info", "/model_group/info", "/health"] {
        refused(&world.get(path).await, 401);
    }
    for path in ["/", "/openapi.json", "/health/liveliness", "/health/readiness"] {
        assert_eq!(world.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn without_a_master_key_everyone_may_call_with_any_key_or_none() {
    let world = World::plain().await;
    for headers in [vec![], vec![("authorization", "Bearer anything")], vec![("api-key", "IGNORED")]] {
        assert_eq!(world.chat_with(&headers, &hi("gpt")).await.status, 200, "{headers:?}");
    }
    let calls = world.provider.calls();
    assert!(calls.iter().all(|call| call.header("authorization") == Some("Bearer sk-fake-provider-key")), "{calls:?}");
}

#[tokio::test]
async fn an_unknown_caller_cannot_make_us_hold_a_large_body() {
    let world = World::locked().await;
    let mut connection = world.connect().await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n";
    connection.send(head).await.unwrap();
    // Not a byte of the body is needed for the answer.
    let reply = connection.reply().await;
    refused(&reply, 401);
}

#[tokio::test]
async fn the_master_key_may_come_from_the_environment() {
    let world = World::of(ONE_MODEL).environment("LITELLM_MASTER_KEY", MASTER).start().await;
    refused(&world.chat(&hi("gpt")).await, 401);
    let bearer = format!("Bearer {MASTER}");
    let reply = http::post(&world.at("/chat/completions"), &[("authorization", &bearer)], &hi("gpt")).await;
    assert_eq!(reply.json().get("error"), None::<&Value>);
}
