//! Realtime: two sockets and what passes between them. The provider is a socket server of this test's own.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{
        Request, State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse as _, Response},
    routing::{any, post},
};
use futures_util::FutureExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::Mutex, task::JoinSet, time::timeout};
use tollgate_gateway::Environment;
use tollgate_kit::http as ask;
use tollgate_net::{Client, ClientSettings, NoSocket, SocketBounds, SocketReceiver, SocketSender, clock::SystemClock};
use tollgate_wire::socket::{Closing, Frame};

use crate::world::{MASTER, WITH_MASTER, World, refused, snapshot};

/// Requests that the provider heard: path with query, and headers.
type Heard = Arc<Mutex<Vec<(String, HeaderMap)>>>;

struct Provider {
    url: String,
    heard: Heard,
    _serving: JoinSet<()>,
}

impl Provider {
    async fn start() -> Self {
        let heard = Heard::default();
        let routes = Router::new()
            .route("/v1/realtime", any(upgraded))
            .route("/v1/realtime/client_secrets", post(secrets))
            .with_state(Arc::clone(&heard));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(axum::serve(listener, routes).into_future().map(drop));
        Self { url, heard, _serving: serving }
    }
}

async fn upgraded(State(heard): State<Heard>, upgrade: WebSocketUpgrade, request: Request) -> Response {
    let target = request.uri().path_and_query().unwrap().as_str().to_owned();
    let refused = target.contains("refused");
    heard.lock().await.push((target, request.headers().clone()));
    if refused {
        let error = json!({"error": {"message": "no such model, asked with sk-the-providers-own-key"}}).to_string();
        return (StatusCode::NOT_FOUND, error).into_response();
    }
    upgrade.on_upgrade(converse)
}

async fn secrets(body: String) -> String {
    let body: Value = serde_json::from_str(&body).unwrap();
    json!({"value": "ek_1", "session": body["session"]}).to_string()
}

fn written_down(usage: &Value) -> Value {
    json!({"type": "conversation.item.input_audio_transcription.completed", "transcript": "hi", "usage": usage})
}

/// Does what the client's message says.
async fn converse(mut socket: WebSocket) {
    let usage = json!({"input_tokens": 20, "output_tokens": 10, "input_token_details": {"audio_tokens": 5}});
    while let Some(Ok(message)) = socket.recv().await {
        let said = match message {
            Message::Text(text) => text.as_str().to_owned(),
            Message::Binary(_) => "echo".to_owned(),
            _ => continue,
        };
        let answers = match said.as_str() {
            "turn" => vec![
                json!({"type": "response.created"}),
                json!({"type": "response.output_text.delta", "delta": "Hello"}),
                json!({"type": "response.done", "response": {"usage": usage}}),
            ],
            "half a turn" => vec![
                json!({"type": "response.created"}),
                json!({"type": "response.output_text.delta", "delta": "Hello, how are you?"}),
            ],
            "listen" => vec![
                json!({"type": "session.updated", "session": {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}}),
                json!({"type": "response.created"}),
                written_down(&json!({"type": "duration", "seconds": 2})),
            ],
            "listen on" => vec![written_down(
                &json!({"type": "tokens", "input_tokens": 7, "output_tokens": 3, "total_tokens": 10}),
            )],
            "large" => vec![json!({"large": "x".repeat(4000)})],
            "close" => {
                let frame = CloseFrame { code: 4001, reason: "enough".into() };
                let _ = socket.send(Message::Close(Some(frame))).await;
                return;
            }
            "cut" => return,
            other => vec![json!({"echo": other})],
        };
        for answer in answers {
            if socket.send(Message::Text(answer.to_string().into())).await.is_err() {
                return;
            }
        }
    }
}

async fn world(provider: &Provider, settings: &str) -> World {
    World::start(&config(provider, MASTER, settings)).await
}

fn config(provider: &Provider, master: &str, settings: &str) -> String {
    format!(
        "
model_list:
  - {{model_name: talk, litellm_params: {{model: openai/gpt-realtime, api_base: '{base}', api_key: sk-the-providers-own-key}}}}
  - {{model_name: one, model_info: {{id: only}}, litellm_params: {{model: openai/gpt-realtime, api_base: '{base}', api_key: k, max_parallel_requests: 1, rpm: 3}}}}
  - {{model_name: both, model_info: {{id: bad}}, litellm_params: {{model: openai/refused, api_base: '{base}', api_key: k, order: 1}}}}
  - {{model_name: both, model_info: {{id: good}}, litellm_params: {{model: openai/gpt-realtime, api_base: '{base}', api_key: k, order: 2}}}}
  - {{model_name: refused, litellm_params: {{model: openai/refused, api_base: '{base}', api_key: sk-the-providers-own-key}}}}
general_settings: {{master_key: '{master}', {settings}}}
",
        base = provider.url
    )
}

pub(crate) struct Talk {
    pub(crate) sender: SocketSender,
    receiver: SocketReceiver,
}

pub(crate) async fn open(world: &World, path: &str, headers: &[(&str, &str)]) -> Result<Talk, NoSocket> {
    let client = Client::new(ClientSettings::default(), Arc::new(SystemClock::new())).unwrap();
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let bounds = SocketBounds { handshake: Duration::from_secs(20), max_message: 1 << 20 };
    client.socket(&world.at(path), &map, &bounds).await.map(|(sender, receiver)| Talk { sender, receiver })
}

async fn talk(world: &World) -> Talk {
    open(world, "/v1/realtime?model=talk", &[WITH_MASTER]).await.unwrap()
}

impl Talk {
    pub(crate) async fn say(&mut self, words: &str) {
        self.sender.send(Frame::Text(words.to_owned())).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Value {
        match self.next().await {
            Frame::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn next(&mut self) -> Frame {
        let next = timeout(Duration::from_secs(20), self.receiver.next()).await.expect("in time");
        next.expect("not the end").expect("a message")
    }

    /// The code and reason with which the gateway closes.
    pub(crate) async fn closed(&mut self) -> Closing {
        match self.next().await {
            Frame::Close(Some(closing)) => closing,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn messages_pass_both_ways_and_each_turn_is_settled() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let mut talk = talk(&world).await;
    talk.say("hello").await;
    assert_eq!(talk.hear().await, json!({"echo": "hello"}));
    talk.sender.send(Frame::Binary(vec![1, 2].into())).await.unwrap();
    assert_eq!(talk.hear().await, json!({"echo": "echo"}));
    for turns in 1..=2 {
        talk.say("turn").await;
        assert_eq!(talk.hear().await["type"], "response.created");
        talk.hear().await;
        assert_eq!(talk.hear().await["type"], "response.done");
        let totals = world.gateway.totals();
        assert_eq!(
            (totals.opened, totals.settled, totals.input, totals.output),
            (turns, turns, turns * 20, turns * 10)
        );
        assert_eq!(totals.unstated, 0);
    }
    let (target, headers) = provider.heard.lock().await[0].clone();
    assert_eq!(target, "/v1/realtime?model=gpt-realtime");
    assert_eq!(headers["authorization"], "Bearer sk-the-providers-own-key");
}

#[tokio::test]
async fn a_socket_has_a_place_at_its_deployment_as_long_as_it_is_open() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let one = async || open(&world, "/v1/realtime?model=one", &[WITH_MASTER]).await;
    let explained = async || {
        let body = json!({"model": "one", "messages": [{"role": "user", "content": "hi"}]});
        ask::post(&world.at("/router/explain"), &[WITH_MASTER], &body).await.json()["candidates"][0].clone()
    };
    for round in 1..=3 {
        let mut talk = one().await.expect("there is room");
        talk.say("turn").await;
        for _ in 0..3 {
            talk.hear().await;
        }
        let seen = explained().await;
        assert_eq!((&seen["in_flight"], &seen["last_minute"]["tokens"]), (&json!(1), &json!(round * 30)), "{seen}");
        let Err(NoSocket::Refused { status, .. }) = one().await else { panic!("a second socket at one time") };
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        drop(talk);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        while explained().await["in_flight"] != json!(0) {
            assert!(tokio::time::Instant::now() < deadline, "its place is never given back");
        }
    }
    let seen = explained().await;
    assert_eq!((&seen["filter"], &seen["last_minute"]["successes"]), (&json!("minute"), &json!(3)), "{seen}");
    let Err(NoSocket::Refused { status, .. }) = one().await else { panic!("a fourth socket in a minute") };
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(provider.heard.lock().await.len(), 3);
}

#[tokio::test]
async fn a_deployment_that_opens_no_socket_rests() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let both = async || open(&world, "/v1/realtime?model=both", &[WITH_MASTER]).await;
    let Err(NoSocket::Refused { status, .. }) = both().await else { panic!("it refuses") };
    assert_eq!(status, StatusCode::NOT_FOUND);
    let mut talk = both().await.expect("the other one is asked while the first rests");
    talk.say("hello").await;
    assert_eq!(talk.hear().await, json!({"echo": "hello"}));
}

#[tokio::test]
async fn what_is_written_down_is_settled_beside_the_turn_that_runs() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let mut talk = talk(&world).await;
    talk.say("listen").await;
    for _ in 0..3 {
        talk.hear().await;
    }
    // Whisper hears at $0.0001 a second.
    let totals = world.gateway.totals();
    assert_eq!((totals.settled, totals.nanos), (1, 200_000));
    talk.say("turn").await;
    talk.say("listen on").await;
    for _ in 0..4 {
        talk.hear().await;
    }
    let totals = world.settled(3).await;
    assert_eq!((totals.input, totals.output, totals.unstated), (27, 13, 0));
}

#[tokio::test]
async fn a_turn_that_breaks_off_is_counted_by_what_was_heard() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let mut talk = talk(&world).await;
    talk.say("half a turn").await;
    talk.hear().await;
    talk.hear().await;
    drop(talk);
    let totals = world.settled(1).await;
    assert!(totals.unstated == 1 && (4..=7).contains(&totals.output), "{totals:?}");
}

#[tokio::test]
async fn a_key_is_needed_and_a_browser_shows_it_as_a_protocol() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let wrong = ("authorization", "Bearer sk-somebody-elses");
    for headers in [vec![], vec![wrong]] {
        let Err(NoSocket::Refused { status, .. }) = open(&world, "/realtime?model=talk", &headers).await else {
            panic!("an open door")
        };
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert!(provider.heard.lock().await.is_empty(), "nobody was called for them");
    let protocols = format!("realtime, openai-insecure-api-key.{MASTER}, openai-beta.realtime-v1");
    let browser = [("sec-websocket-protocol", protocols.as_str())];
    let mut talk = open(&world, "/openai/v1/realtime?model=talk", &browser).await.unwrap();
    talk.say("hello").await;
    assert_eq!(talk.hear().await, json!({"echo": "hello"}));
    let heard = provider.heard.lock().await;
    assert_eq!((heard.len(), &heard[0].1["openai-beta"]), (1, &"realtime=v1".parse().unwrap()));
    assert!(!heard[0].1.contains_key("sec-websocket-protocol"), "the key is ours: {heard:?}");
}

#[tokio::test]
async fn a_refusal_of_the_provider_comes_as_a_status_without_our_key() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let refused = open(&world, "/v1/realtime?model=refused", &[WITH_MASTER]).await.err().expect("a refusal");
    let NoSocket::Refused { status, body } = refused else { panic!("{refused:?}") };
    assert_eq!(status, StatusCode::NOT_FOUND);
    let words = String::from_utf8_lossy(&body);
    assert!(words.contains("no such model") && !words.contains("sk-the-providers-own-key"), "{words}");
    let unknown = open(&world, "/v1/realtime?model=nobody", &[WITH_MASTER]).await.err().expect("a refusal");
    assert!(matches!(unknown, NoSocket::Refused { status, .. } if status.is_client_error()), "{unknown:?}");
    let plain = ask::get(&world.at("/v1/realtime?model=talk"), &[WITH_MASTER]).await;
    assert_eq!(plain.status, 400, "{}", plain.text());
}

#[tokio::test]
async fn closing_words_are_passed_on_and_a_cut_is_told() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let mut polite = talk(&world).await;
    polite.say("close").await;
    assert_eq!(polite.closed().await, Closing::new(4001, "enough"));
    let mut rude = talk(&world).await;
    rude.say("cut").await;
    assert_eq!(rude.closed().await.code, 1011);
    world.eventually("no call runs", || (world.gateway.workers().running() == 0).then_some(())).await;
}

#[tokio::test]
async fn a_message_over_the_bound_ends_the_call() {
    let provider = Provider::start().await;
    let world = world(&provider, "max_socket_message_bytes: 1000").await;
    let mut client = talk(&world).await;
    client.say(&"x".repeat(1001)).await;
    assert_eq!(client.closed().await.code, 1009);
    let mut answered = talk(&world).await;
    answered.say("large").await;
    let closing = answered.closed().await;
    assert!(closing.code == 1011 && closing.reason.contains("1000 bytes"), "{closing:?}");
}

#[tokio::test]
async fn silence_and_shutdown_end_a_call() {
    let provider = Provider::start().await;
    let quiet = world(&provider, "socket_idle_timeout: 0.05").await;
    let closing = talk(&quiet).await.closed().await;
    assert!(closing.code == 1001 && closing.reason.contains("nobody has spoken"), "{closing:?}");
    let going = world(&provider, "").await;
    let mut talk = talk(&going).await;
    talk.say("hello").await;
    talk.hear().await;
    going.gateway.end_streams();
    assert_eq!(talk.closed().await.code, 1001);
}

#[tokio::test]
async fn a_key_that_is_taken_back_ends_its_calls() {
    let provider = Provider::start().await;
    // The key is looked at at least as often as the silence.
    let settings = "socket_idle_timeout: 2";
    let world = world(&provider, settings).await;
    let mut talk = talk(&world).await;
    world.gateway.swap(snapshot(&config(&provider, "sk-another-master-key", settings), Environment::new()));
    assert_eq!(talk.closed().await.code, 1008);
}

#[tokio::test]
async fn a_client_secret_is_asked_for_with_the_providers_model() {
    let provider = Provider::start().await;
    let world = world(&provider, "").await;
    let body = json!({"session": {"type": "realtime", "model": "talk"}});
    let reply = ask::post(&world.at("/v1/realtime/client_secrets"), &[WITH_MASTER], &body).await;
    assert_eq!(reply.json(), json!({"value": "ek_1", "session": {"type": "realtime", "model": "gpt-realtime"}}));
    assert_eq!(ask::post(&world.at("/v1/realtime/client_secrets"), &[], &body).await.status, 401);
    // The same behind the gateway's back.
    let passed = ask::post(&world.at("/openai_passthrough/v1/realtime/client_secrets"), &[WITH_MASTER], &body).await;
    assert_eq!(passed.json()["value"], "ek_1");
    let nothing = ask::post(&world.at("/v1/realtime/sessions"), &[WITH_MASTER], &body).await;
    assert_eq!(nothing.status, 404, "{}", nothing.text());
}

#[tokio::test]
async fn an_ephemeral_key_is_given_to_those_that_the_configuration_says() {
    let provider = Provider::start().await;
    let body = json!({"session": {"type": "realtime", "model": "talk"}});
    let ask_at = async |world: &World, path: &str| ask::post(&world.at(path), &[WITH_MASTER], &body).await;
    let paths = ["/v1/realtime/client_secrets", "/realtime/sessions", "/openai_passthrough/v1/realtime/client_secrets"];
    let nobody = world(&provider, "ephemeral_keys: nobody").await;
    let keyless = World::start(&config(&provider, "", "")).await;
    for path in paths {
        let words = refused(&ask_at(&nobody, path).await, 403);
        assert!(words.contains("general_settings.ephemeral_keys"), "{words}");
        let words = refused(&ask_at(&keyless, path).await, 403);
        assert!(words.contains("set general_settings.master_key"), "{words}");
    }
    let everyone = World::start(&config(&provider, "", "ephemeral_keys: everyone")).await;
    assert_eq!(ask_at(&everyone, paths[0]).await.json()["value"], "ek_1");
}
