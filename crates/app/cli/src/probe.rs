//! Questions to a gateway that runs: `--test` asks it for an answer, `--health` how it is.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tollgate_net::{Bounds, Client, ClientSettings, NetError, Response, clock::SystemClock};
use tollgate_wire::{
    Secret,
    framing::{Frame, sse::SseFramer},
    http::Outgoing,
};

use crate::{
    args::Options,
    config,
    environment::{Environment, get},
    out,
};

/// The seeds' model: any gateway without a master key answers to it.
const MODEL: &str = "gpt-3.5-turbo";
const QUESTION: &str = "this is a test request, write a short poem";
/// What the seeds' clients send where no key is needed.
const ANY_KEY: &str = "anything";
/// Models on small machines think long.
const PATIENCE: Duration = Duration::from_secs(600);
const MAX_BODY: usize = 16 << 20;
const MAX_EVENT: usize = 1 << 20;

/// Sends a chat request, whole and then streamed, and prints both answers.
pub(crate) fn test(options: &Options, environment: Environment, url: Option<&str>) -> anyhow::Result<ExitCode> {
    let model = options.models.model.clone().unwrap_or_else(|| MODEL.to_owned());
    let peer = Peer::of(options, environment, url)?;
    wait_for(async {
        out::line(&format!("asking {} for a chat completion of {model}", peer.url));
        out::line(&peer.whole(&model).await?);
        out::line("and streamed:");
        peer.streamed(&model).await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Prints what `/health` says.
pub(crate) fn health(options: &Options, environment: Environment) -> anyhow::Result<ExitCode> {
    let peer = Peer::of(options, environment, None)?;
    wait_for(async {
        let response = peer.send(Method::GET, "/health", Bytes::new()).await?;
        let status = response.status;
        let body = peer.collect(response).await?;
        match serde_json::from_slice::<Value>(&body) {
            Ok(document) => out::line(&format!("{document:#}")),
            Err(_) => out::line(&String::from_utf8_lossy(&body)),
        }
        Ok(if status.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

fn wait_for(question: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(question)
}

/// The gateway that is asked.
struct Peer {
    client: Client,
    url: String,
    key: Secret,
}

impl Peer {
    fn of(options: &Options, environment: Environment, url: Option<&str>) -> anyhow::Result<Self> {
        let mut settings = ClientSettings::default();
        if let Some(certificate) = &options.listen.ssl_certfile_path {
            let pem = std::fs::read(certificate);
            settings.ca_bundle_pem = Some(pem.with_context(|| format!("{} cannot be read", certificate.display()))?);
        }
        let client = Client::new(settings, Arc::new(SystemClock::new()))?;
        let url = url.map_or_else(|| address(options), |url| url.trim_end_matches('/').to_owned());
        Ok(Self { client, url, key: key(options, environment)? })
    }

    async fn whole(&self, model: &str) -> anyhow::Result<String> {
        let response = self.ask(model, false).await?;
        let body = self.collect(response).await?;
        let answer: Value = serde_json::from_slice(&body).context("the answer is not JSON")?;
        let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
        Ok(text.with_context(|| format!("the answer has no text: {answer}"))?.to_owned())
    }

    async fn streamed(&self, model: &str) -> anyhow::Result<()> {
        let mut response = self.ask(model, true).await?;
        let mut framer = SseFramer::new(MAX_EVENT);
        let mut ended = false;
        while let Some(chunk) = response.next().await {
            framer.push(&chunk.map_err(|error| self.failed(&error))?)?;
            while let Some(event) = framer.next_frame() {
                ended |= told(&event)?;
            }
        }
        out::line("");
        if ended { Ok(()) } else { bail!("the stream ended without [DONE]") }
    }

    /// Sends the question; an answer that is no success is an error with the gateway's words.
    async fn ask(&self, model: &str, stream: bool) -> anyhow::Result<Response> {
        let body = json!({ "model": model, "messages": [{ "role": "user", "content": QUESTION }], "stream": stream });
        let response = self.send(Method::POST, "/chat/completions", body.to_string().into()).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        let status = response.status;
        let body = self.collect(response).await?;
        let message = serde_json::from_slice::<Value>(&body).ok();
        let message = message.as_ref().and_then(|error| error.pointer("/error/message")).and_then(Value::as_str);
        bail!("{} answered {status}: {}", self.url, message.unwrap_or("(no message)"))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> anyhow::Result<Response> {
        let mut headers = HeaderMap::new();
        let mut key = HeaderValue::try_from(format!("Bearer {}", self.key.expose()))
            .ok()
            .context("the master key cannot be sent in a header")?;
        key.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, key);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let outgoing = Outgoing { method, url: format!("{}{path}", self.url), headers, body };
        let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: None, max_body: MAX_BODY };
        self.client.send(&outgoing, &bounds).await.map_err(|error| self.failed(&error))
    }

    async fn collect(&self, response: Response) -> anyhow::Result<Bytes> {
        response.collect().await.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &NetError) -> anyhow::Error {
        match error {
            NetError::Connect { .. } => anyhow::anyhow!(
                "nothing listens on {} ({error}); start the gateway first, or name its place with --host and --port",
                self.url
            ),
            error => anyhow::anyhow!("{}: {error}", self.url),
        }
    }
}

/// Prints what an event brings; true at the end of the stream.
fn told(event: &Frame<'_>) -> anyhow::Result<bool> {
    if event.data.as_ref() == b"[DONE]" {
        return Ok(true);
    }
    let chunk: Value = serde_json::from_slice(&event.data).context("an event of the stream is not JSON")?;
    if let Some(message) = chunk.pointer("/error/message").and_then(Value::as_str) {
        bail!("the stream broke: {message}");
    }
    if let Some(text) = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str) {
        out::piece(text);
    }
    Ok(false)
}

/// Where the gateway of these flags would listen, as one asks it.
fn address(options: &Options) -> String {
    let host = match options.listen.host.as_deref() {
        None | Some("" | "0.0.0.0") => "127.0.0.1".to_owned(),
        Some("::" | "[::]") => "[::1]".to_owned(),
        Some(host) if host.contains(':') && !host.starts_with('[') => format!("[{host}]"),
        Some(host) => host.to_owned(),
    };
    let scheme = if options.listen.ssl_certfile_path.is_some() { "https" } else { "http" };
    format!("{scheme}://{host}:{}", options.listen.port)
}

/// The master key: the configuration's, if there is one, else the environment's, else what the seeds send.
fn key(options: &Options, environment: Environment) -> anyhow::Result<Secret> {
    let of_environment = get(&environment, "LITELLM_MASTER_KEY").map(Secret::new);
    let configured = match config::path(options, &environment) {
        Some(_) => config::read(options, environment)?.checked.config.and_then(|config| config.general.master_key),
        None => None,
    };
    Ok(configured.or(of_environment).unwrap_or_else(|| Secret::new(ANY_KEY)))
}
