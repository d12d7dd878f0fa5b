//! `explain`: where a request would go, by a configuration alone.

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context as _, anyhow};
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Handle};
use tollgate_gateway::{Gateway, Parts, Snapshot, SnapshotSettings, Workers};
use tollgate_net::{
    Client, ClientSettings,
    clock::{SystemClock, SystemRandom},
};
use tollgate_wire::clock::Clock;

use crate::{
    args::{Explain, Options},
    config::{self, Loaded},
    environment::{Environment, get},
    out,
};

/// Prints what `POST /router/explain` of a gateway that has just started would say to the admin.
pub(crate) fn run(options: &Options, explain: &Explain, environment: Environment) -> anyhow::Result<ExitCode> {
    let request = request(explain)?;
    let loaded = config::load(options, environment)?;
    let headers = headers(&loaded)?;
    let runtime = Builder::new_current_thread().enable_all().build().context("the runtime cannot start")?;
    let explained = runtime.block_on(async {
        let gateway = gateway(loaded)?;
        let explained = gateway.explain(headers, Value::Object(request).to_string().into()).await;
        explained.map_err(|failure| anyhow!("{}", failure.client_message()))
    })?;
    out::line(&format!("{explained:#}"));
    Ok(ExitCode::SUCCESS)
}

fn request(explain: &Explain) -> anyhow::Result<Map<String, Value>> {
    let mut request = match &explain.body {
        Some(path) => {
            let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            let parsed = serde_json::from_slice(&text);
            parsed.with_context(|| format!("{} is no JSON object", path.display()))?
        }
        None => Map::new(),
    };
    if let Some(model) = &explain.model {
        request.insert("model".to_owned(), json!(model));
    }
    request.entry("messages").or_insert_with(|| json!([{"role": "user", "content": "Hello, how are you?"}]));
    Ok(request)
}

/// The master key, where the configuration has one: whoever can read the file may ask.
fn headers(loaded: &Loaded) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let of_file = loaded.config.general.master_key.as_ref().map(tollgate_wire::Secret::expose);
    let key = of_file.filter(|key| !key.is_empty()).or_else(|| get(&loaded.environment, "LITELLM_MASTER_KEY"));
    if let Some(key) = key {
        let mut value =
            HeaderValue::try_from(format!("Bearer {key}")).context("the master key cannot be sent in a header")?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    Ok(headers)
}

fn gateway(loaded: Loaded) -> anyhow::Result<Arc<Gateway>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let client = Client::new(ClientSettings::default(), Arc::clone(&clock))?;
    let settings = SnapshotSettings { answers_everything: loaded.answers_everything, ..SnapshotSettings::default() };
    let snapshot = Snapshot::build(&loaded.config, Arc::new(loaded.environment), settings);
    let workers = Workers::new(Handle::current());
    Ok(Gateway::new(Parts {
        client,
        clock,
        random: Arc::new(SystemRandom),
        snapshot,
        workers,
        sharing: None,
        store: None,
        journal: None,
    }))
}
