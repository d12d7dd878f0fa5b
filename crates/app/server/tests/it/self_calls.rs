//! A gateway that is configured to call itself says so; a chain of gateways is fine.

use std::time::Duration;

use tokio::time::timeout;
use tollgate_kit::gateway::free_port;

use crate::world::{ONE_MODEL, World, hi, hi_streamed, refused};

fn at(base: &str) -> String {
    format!("model_list: [{{model_name: gpt, litellm_params: {{model: openai/gpt, api_base: '{base}', api_key: k}}}}]")
}

#[tokio::test]
async fn a_call_to_ourselves_is_a_508_that_names_the_address() {
    for host in ["127.0.0.1", "localhost", "0.0.0.0"] {
        let world = World::start(&at(&format!("http://{host}:{{own}}/v1"))).await;
        for body in [hi("gpt"), hi_streamed("gpt")] {
            let reply = timeout(Duration::from_secs(5), world.chat(&body)).await.unwrap();
            let words = refused(&reply, 508);
            assert!(words.contains(&format!("http://{host}:")) && words.contains("leads back"), "{words}");
        }
        let totals = world.gateway.totals();
        assert_eq!((totals.opened, totals.settled), (2, 2), "each call goes round once");
    }
}

#[tokio::test]
async fn a_chain_of_gateways_answers() {
    let last = World::plain().await;
    let first = World::start(&at(&format!("{}/v1", last.url))).await;
    assert_eq!(first.chat(&hi("gpt")).await.status, 200);
    let reply = first.chat(&hi_streamed("gpt")).await;
    assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
}

#[tokio::test]
async fn a_circle_of_gateways_ends() {
    let port = free_port();
    let first = World::of(&at(&format!("http://127.0.0.1:{port}/v1"))).start().await;
    let second = World::of(&at(&format!("{}/v1", first.url))).settings(|settings| settings.port = port).start().await;
    for world in [&first, &second] {
        let reply = timeout(Duration::from_secs(5), world.chat(&hi("gpt"))).await.unwrap();
        let words = refused(&reply, 508);
        assert!(words.contains("leads back"), "{words}");
    }
    assert!(first.gateway.totals().opened <= 4);
}

#[tokio::test]
async fn a_client_cannot_have_a_call_refused_by_a_hop_it_makes_up() {
    let world = World::start(ONE_MODEL).await;
    let reply = world.chat_with(&[("user-agent", "tollgate/0.1.0 (0123456789abcdef)")], &hi("gpt")).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn a_circle_is_found_behind_a_configured_user_agent_too() {
    let config =
        at("http://127.0.0.1:{own}/v1").replace("api_key: k", "api_key: k, extra_headers: {user-agent: mine/1}");
    let world = World::start(&config).await;
    let reply = timeout(Duration::from_secs(5), world.chat(&hi("gpt"))).await.unwrap();
    refused(&reply, 508);
    assert_eq!(world.gateway.totals().opened, 1, "the call goes round once");
}

#[tokio::test]
async fn a_chain_of_more_gateways_than_anyone_has_is_taken_for_a_circle() {
    let world = World::start(ONE_MODEL).await;
    let hops: Vec<String> = (0..16).map(|hop| format!("{hop:016x}")).collect();
    let agent = format!("tollgate/0.1.0 ({})", hops.join(" "));
    let reply = world.chat_with(&[("user-agent", &agent)], &hi("gpt")).await;
    refused(&reply, 508);
    let shorter = format!("tollgate/0.1.0 ({})", hops[1..].join(" "));
    assert_eq!(world.chat_with(&[("user-agent", &shorter)], &hi("gpt")).await.status, 200);
}
