//! The Responses API on a socket (`OpenAI`'s «WebSocket mode»): each `response.create` is a call like any other, with its
//! own record, and its events come as messages. One at a time. The last answer of a socket can be continued even where
//! nobody keeps it (`store: false`), as long as the socket is open.

use std::{future::poll_fn, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream, StreamExt as _};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use serde_json::{Value, json};
use tollgate_providers::dialects::openai_responses::front_items::as_items;
use tollgate_wire::{
    Failure, RawBody,
    framing::{Framer, Framing},
    socket::{Closing, Frame},
};

use crate::{
    answer::{Answer, AnswerBody},
    gateway::Gateway,
    inbound::{Inbound, Route},
    journey::refuse,
    meter::Meter,
    realtime::{GOING_AWAY, KEY_EVERY, POLICY, key_from_protocol},
};

/// A socket on which answers are asked for.
pub struct ResponsesSocket {
    gateway: Arc<Gateway>,
    headers: HeaderMap,
    last: Option<Last>,
}

/// The last answer that nobody else keeps: its id, and the conversation up to its end.
struct Last {
    id: String,
    items: Vec<Value>,
}

/// Why a socket is over.
enum End {
    /// The client has closed, or is gone.
    Client,
    /// We end it.
    Ours(Closing),
}

/// What a message asks for.
enum Wish {
    /// A call, and the conversation that it goes on with where only this socket keeps it.
    Call(Bytes, Option<Vec<Value>>),
    /// Nothing yet: an answer without words, to be continued.
    Prepare(Value, Vec<Value>),
}

impl Gateway {
    /// A socket for this client.
    ///
    /// # Errors
    /// The refusal, as an answer over HTTP; it has left its record.
    pub async fn responses_socket(self: &Arc<Self>, mut headers: HeaderMap) -> Result<ResponsesSocket, Box<Answer>> {
        key_from_protocol(&mut headers);
        match self.identify(&self.snapshot(), &headers).await {
            Ok(_) => Ok(ResponsesSocket { gateway: Arc::clone(self), headers, last: None }),
            Err(failure) => Err(Box::new(refuse(&failure, Meter::start(self, Route::Responses)))),
        }
    }
}

impl ResponsesSocket {
    /// Runs the socket to its end.
    pub async fn run<S, R>(mut self, mut to_client: S, mut from_client: R)
    where
        S: Sink<Frame> + Unpin + Send,
        R: Stream<Item = Result<Frame, Closing>> + Unpin + Send,
    {
        let gateway = Arc::clone(&self.gateway);
        let headers = self.headers.clone();
        let limit = gateway.snapshot().bounds.responses_socket;
        let end = tokio::select! {
            end = self.converse(&mut to_client, &mut from_client) => end,
            end = key_is_gone(&gateway, &headers) => end,
            () = tokio::time::sleep(limit) => {
                let words = format!(
                    "Responses websocket connection limit reached ({} minutes). Create a new websocket connection to continue.",
                    limit.as_secs() / 60
                );
                let mut event = error_event(&Answer::failure(&Failure::invalid(&words)));
                if let Some(code) = event.pointer_mut("/error/code") {
                    *code = "websocket_connection_limit_reached".into();
                }
                let _ = to_client.send(Frame::Text(event.to_string())).await;
                End::Ours(Closing::new(GOING_AWAY, &words))
            }
            () = gateway.closed().wait() => End::Ours(Closing::new(GOING_AWAY, "the gateway is shutting down")),
        };
        let closing = match end {
            End::Client => Closing::new(1000, ""),
            End::Ours(closing) => closing,
        };
        let _ = tokio::time::timeout(FAREWELL, to_client.send(Frame::Close(Some(closing)))).await;
    }

    /// Message by message. While an answer is made, one more message is taken in, so that a client that leaves is seen.
    async fn converse<S, R>(&mut self, to_client: &mut S, from_client: &mut R) -> End
    where
        S: Sink<Frame> + Unpin + Send,
        R: Stream<Item = Result<Frame, Closing>> + Unpin + Send,
    {
        let mut ahead = None;
        loop {
            let next = match ahead.take() {
                Some(next) => Some(next),
                None => from_client.next().await,
            };
            let asked = match next {
                None | Some(Ok(Frame::Close(_))) => return End::Client,
                Some(Err(closing)) => return End::Ours(closing),
                Some(Ok(Frame::Text(text))) => Bytes::from(text),
                Some(Ok(Frame::Binary(bytes))) => bytes,
            };
            let answering = self.answer(&asked, to_client);
            tokio::pin!(answering);
            let told = loop {
                tokio::select! {
                    told = &mut answering => break told,
                    next = from_client.next(), if ahead.is_none() => match next {
                        None | Some(Ok(Frame::Close(_))) => return End::Client,
                        other => ahead = other,
                    },
                }
            };
            if told.is_err() {
                return End::Client;
            }
        }
    }

    /// Answers one message; an error is a client that is gone.
    async fn answer<S>(&mut self, asked: &Bytes, to_client: &mut S) -> Result<(), ()>
    where
        S: Sink<Frame> + Unpin + Send,
    {
        let wish = match self.wish(asked) {
            Ok(wish) => wish,
            Err(failure) => return say(to_client, &error_event(&Answer::failure(&failure))).await,
        };
        let (body, items) = match wish {
            Wish::Call(body, items) => (body, items),
            Wish::Prepare(response, items) => {
                self.last = response.get("id").and_then(Value::as_str).map(|id| Last { id: id.to_owned(), items });
                for (number, kind) in ["response.created", "response.completed"].into_iter().enumerate() {
                    let mut response = response.clone();
                    if let Some(status) = response.get_mut("status").filter(|_| number == 0) {
                        *status = "in_progress".into();
                    }
                    let event = json!({"type": kind, "sequence_number": number, "response": response});
                    say(to_client, &event).await?;
                }
                return Ok(());
            }
        };
        let inbound = Inbound { route: Route::Responses, path_model: None, headers: self.headers.clone(), body };
        let answer = self.gateway.call(inbound).await;
        if answer.status != StatusCode::OK {
            return say(to_client, &error_event(&answer)).await;
        }
        if let Some(done) = self.pass(answer.body, to_client).await? {
            self.remember(&done, items);
        }
        Ok(())
    }

    /// Passes an answer's events on, and gives the response as it was at its end.
    async fn pass<S>(&self, mut body: AnswerBody, to_client: &mut S) -> Result<Option<Value>, ()>
    where
        S: Sink<Frame> + Unpin + Send,
    {
        let mut framer = Framer::new(Framing::Sse, self.gateway.snapshot().bounds.max_event_bytes);
        let mut done = None;
        let mut over = false;
        while !over {
            match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                // The stream's events are our own: they are whole, and within the bound.
                Some(Ok(frame)) => drop(frame.data_ref().map(|bytes| framer.push(bytes))),
                None => over = true,
            }
            while let Some(event) = next_event(&mut framer, over) {
                if event.contains("\"response.completed\"") || event.contains("\"response.incomplete\"") {
                    let told: Option<Value> = serde_json::from_str(&event).ok();
                    done = told.and_then(|mut told| told.get_mut("response").map(Value::take)).or(done);
                }
                to_client.send(Frame::Text(event)).await.map_err(drop)?;
            }
        }
        Ok(done)
    }

    /// What a message asks for.
    fn wish(&self, asked: &Bytes) -> Result<Wish, Failure> {
        let mut body =
            RawBody::parse(asked).map_err(|error| Failure::invalid(format!("Invalid JSON payload: {error}")))?;
        let kind: String = body.typed("type").unwrap_or_default();
        if kind != "response.create" {
            let words = format!("Unknown event type '{kind}'; a message on this socket is of type 'response.create'");
            return Err(Failure::invalid(words).with_param("type"));
        }
        for name in ["type", "stream", "background"] {
            body.remove(name);
        }
        let previous = body.typed::<String>("previous_response_id");
        let kept = self.last.as_ref().filter(|last| previous.as_ref() == Some(&last.id)).map(|last| last.items.clone());
        let mut items = kept.clone().unwrap_or_default();
        items.extend(as_items(body.typed("input").unwrap_or_default()));
        if kept.is_some() {
            body.remove("previous_response_id");
            body.set("input", &Value::from(items.clone()));
        }
        if body.remove("generate").is_some_and(|raw| raw.as_ref() == b"false") {
            let id = format!("resp_{}", self.gateway.uuid_v4().simple());
            let response = json!({
                "id": id, "object": "response", "status": "completed", "created_at": self.gateway.now_unix(),
                "model": body.typed::<Value>("model"), "output": [], "usage": null, "error": null,
                "previous_response_id": previous,
            });
            return Ok(Wish::Prepare(response, items));
        }
        body.set_raw("stream", "true");
        // What is kept elsewhere is continued there.
        let ours = kept.is_some() || previous.is_none();
        let keeps = ours && body.typed::<bool>("store") == Some(false);
        Ok(Wish::Call(body.to_bytes(), keeps.then_some(items)))
    }

    /// Keeps the conversation for the next message, unless it is larger than a message may be.
    fn remember(&mut self, response: &Value, items: Option<Vec<Value>>) {
        let most = self.gateway.max_socket_message();
        let id = response.get("id").and_then(Value::as_str).map(str::to_owned);
        self.last = id.zip(items).and_then(|(id, mut items)| {
            items.extend(response.get("output").and_then(Value::as_array).into_iter().flatten().cloned());
            let bytes: usize = items.iter().map(|item| item.to_string().len()).sum();
            (bytes <= most).then_some(Last { id, items })
        });
    }
}

/// How long a client may take to hear why it is closed.
const FAREWELL: Duration = Duration::from_secs(2);

async fn say<S>(to_client: &mut S, event: &Value) -> Result<(), ()>
where
    S: Sink<Frame> + Unpin + Send,
{
    to_client.send(Frame::Text(event.to_string())).await.map_err(drop)
}

/// The next event's document. What closes a stream of chat is no document.
fn next_event(framer: &mut Framer, over: bool) -> Option<String> {
    loop {
        let next = framer.next_frame().ok().flatten().map(|frame| frame.data.into_owned());
        let data = match next {
            Some(data) => data,
            None if over => framer.finish()?.data.into_owned(),
            None => return None,
        };
        let text = String::from_utf8(data).ok().filter(|text| text.trim() != "[DONE]" && !text.trim().is_empty());
        if text.is_some() {
            return text;
        }
    }
}

/// A refusal as `OpenAI` tells it on a socket.
fn error_event(answer: &Answer) -> Value {
    let AnswerBody::Whole(body) = &answer.body else { return json!({"type": "error"}) };
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    json!({"type": "error", "status": answer.status.as_u16(), "error": document.get("error")})
}

/// Ends a socket whose key was taken back.
async fn key_is_gone(gateway: &Gateway, headers: &HeaderMap) -> End {
    loop {
        tokio::time::sleep(KEY_EVERY).await;
        if let Err(failure) = gateway.identify(&gateway.snapshot(), headers).await {
            return End::Ours(Closing::new(POLICY, &failure.message));
        }
    }
}

impl std::fmt::Debug for ResponsesSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResponsesSocket")
    }
}
