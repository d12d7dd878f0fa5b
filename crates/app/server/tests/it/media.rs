//! Pictures and files by URL: fetched for providers that want them in the message, within bounds, never from inside.

use serde_json::{Value, json};
use tollgate_kit::Answer;

use crate::world::{World, refused};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nnot a whole one";

const CONFIG: &str = "
model_list:
  - {model_name: claude, litellm_params: {model: anthropic/claude-sonnet-4-5, api_base: '{provider}', api_key: k}}
router_settings: {num_retries: 0}
general_settings: {user_url_allowed_hosts: [127.0.0.1], SETTINGS}
";

async fn world(settings: &str) -> World {
    World::start(&CONFIG.replace("SETTINGS", settings)).await
}

fn asking(urls: &[String]) -> Value {
    let picture = |url: &String| json!({"type": "image_url", "image_url": {"url": url}});
    let content: Vec<Value> = urls.iter().map(picture).collect();
    json!({"model": "claude", "messages": [{"role": "user", "content": content}]})
}

fn answer() -> Answer {
    Answer::json(
        200,
        json!({"id": "m", "type": "message", "role": "assistant", "model": "c", "stop_reason": "end_turn",
            "content": [{"type": "text", "text": "a dot"}], "usage": {"input_tokens": 3, "output_tokens": 2}}),
    )
}

fn picture() -> Answer {
    Answer::raw(200, "image/png", PNG)
}

fn redirect(location: &str) -> Answer {
    Answer::text(302, "").header("location", location)
}

#[tokio::test]
async fn a_redirect_is_followed_and_the_picture_goes_into_the_message() {
    let world = world("max_media_pieces: 1").await;
    world.provider.script_for("/a.png", [redirect("/b")]);
    world.provider.script_for("/b", [picture()]);
    world.provider.script_for("/v1/messages", [answer()]);
    let url = format!("{}/a.png", world.provider.url());
    let reply = world.chat(&asking(std::slice::from_ref(&url))).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let sent = world.provider.calls().pop().expect("a call").json();
    let source = &sent["messages"][0]["content"][0]["source"];
    assert_eq!((&source["type"], &source["media_type"]), (&json!("base64"), &json!("image/png")), "{sent}");
    let words = refused(&world.chat(&asking(&[url.clone(), format!("{url}?2")])).await, 400);
    assert!(words.contains("name 2 pictures or files to fetch; 1 are allowed"), "{words}");
}

#[tokio::test]
async fn a_redirect_into_the_own_network_or_in_a_circle_is_not_followed() {
    let world = world("media_timeout: 20").await;
    let port = world.provider.url().rsplit(':').next().expect("a port").to_owned();
    // The same server by a name that nobody allowed.
    let inside =
        [format!("http://localhost:{port}/x"), format!("http://[::ffff:127.0.0.1]:{port}/x"), "//0.0.0.0/x".to_owned()];
    world.provider.script_for("/a", inside.iter().map(|location| redirect(location)));
    let url = format!("{}/a", world.provider.url());
    for location in inside {
        let words = refused(&world.chat(&asking(std::slice::from_ref(&url))).await, 400);
        assert!(words.contains("points into a private network"), "{location}: {words}");
    }
    world.provider.script_for("/a", (0..9).map(|_| redirect("/a")));
    let words = refused(&world.chat(&asking(&[url])).await, 400);
    assert!(words.contains("redirected more than 3 times"), "{words}");
    assert!(world.provider.calls().iter().all(|call| call.path == "/a"));
}

#[tokio::test]
async fn the_bounds_of_the_configuration_hold() {
    let bytes = PNG.len();
    let one = world(&format!("max_media_bytes: {}", bytes - 1)).await;
    one.provider.script_for("/a", [picture()]);
    refused(&one.chat(&asking(&[format!("{}/a", one.provider.url())])).await, 400);
    let together = world(&format!("max_media_bytes_together: {}", bytes + 5)).await;
    together.provider.script_for("/a", [picture()]);
    together.provider.script_for("/b", [picture()]);
    let urls = ["a", "b"].map(|name| format!("{}/{name}", together.provider.url()));
    refused(&together.chat(&asking(&urls)).await, 400);
    assert_eq!(together.provider.calls().len(), 2, "the first was within the bound");
    let soon = world("media_timeout: 0.05").await;
    soon.provider.script_for("/a", [picture().wait_before_head(std::time::Duration::from_secs(60))]);
    let words = refused(&soon.chat(&asking(&[format!("{}/a", soon.provider.url())])).await, 400);
    assert!(words.contains("cannot be fetched"), "{words}");
}
