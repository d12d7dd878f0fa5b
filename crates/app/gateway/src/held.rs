//! Files, batches, jobs, assistants, threads and vector stores: kept at a provider in `OpenAI`'s words. Which provider it
//! is, the request says: by a model of ours, by the provider's name, or by its path.

use http::Method;
use tollgate_providers::{batches::Words, kept_ids, passage};
use tollgate_wire::{Failure, FailureKind, RawBody};

use crate::{
    aftermath::{Aftermath, Sighting},
    forms::content_type,
    meter::{Booking, Meter},
    passage::{Content, PATIENCE, Passing, Ready, document, outgoing},
    passing::{self, Chosen},
    snapshot::Snapshot,
    things::{Ids, is_plain},
    upload,
};

/// Things that are kept at a provider.
const KEPT: &[&str] = &["/files", "/batches", "/fine_tuning/jobs", "/assistants", "/threads", "/vector_stores"];
/// Members of requests for such things that are ours.
const OURS: &[&str] = &["custom_llm_provider", "target_model_names", "litellm_metadata", "litellm_call_id"];
/// What of these things a path is about, and the path.
pub(crate) fn kept(path: &str) -> Option<(&'static str, String)> {
    let what = KEPT
        .iter()
        .find(|what| path.strip_prefix(**what).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))?;
    Some((what, path.to_owned()))
}

/// `/{provider}/v1/files` and its like.
pub(crate) fn kept_at(path: &str) -> Option<(String, &'static str, String)> {
    let (provider, rest) = path.strip_prefix('/')?.split_once("/v1/")?;
    let (what, path) = kept(&format!("/{rest}"))?;
    tollgate_providers::table::find(provider)?;
    Some((provider.to_owned(), what, path))
}

/// Which things a path is about.
pub(crate) struct About<'p> {
    pub(crate) provider: Option<&'p str>,
    pub(crate) what: &'static str,
    pub(crate) path: &'p str,
}

/// The request about something that is kept at a provider.
pub(crate) async fn to_kept(
    snapshot: &Snapshot,
    about: About<'_>,
    mut ids: Ids,
    call: &mut Passing,
    meter: &mut Meter,
) -> Result<Ready, Failure> {
    let About { provider, what, path } = about;
    let mut fields = Fields::of(call);
    let path = ids.open_path(what, path)?;
    let mut content = Content::Stream;
    let mut body: Option<RawBody> = None;
    if content_type(&call.headers).starts_with("multipart/form-data") {
        let mut begun = upload::begin(&mut call.body, content_type(&call.headers)).await?;
        fields.take(|name| begun.lead.text(name).map(str::to_owned))?;
        begun.lead.fields.retain(|part| !upload::OURS.contains(&part.name.as_str()));
        content = Content::Form(Box::new(begun));
    } else if let Some(bytes) = document(call).await? {
        content = Content::Whole;
        if !bytes.is_empty() {
            let no_object = |_| Failure::invalid("Invalid JSON payload: the body is no JSON object");
            let mut read = RawBody::parse(&bytes).map_err(no_object)?;
            fields.take(|name| read.typed::<String>(name))?;
            OURS.iter().for_each(|name| drop(read.remove(name)));
            kept_ids::in_request(&mut read, &mut |id, _| ids.open(id))?;
            body = Some(read);
        }
    }
    let model = fields.model.as_deref();
    meter.asked_for(model.unwrap_or_default(), false);
    let query =
        passage::query_without(&call.query, &["custom_llm_provider", "target_model_names", "model", "provider"]);
    let query = opened_query(&query, &mut ids)?;
    let lists = call.method == Method::GET && path == what;
    if lists && !ids.caller().owns_accounts() {
        return Err(Failure::new(FailureKind::RouteDenied, "only the master key lists what is kept at a provider"));
    }
    let Chosen { place, deployment, renames } = match ids.home(snapshot, model)? {
        Some(home) => home,
        None => fields.place(snapshot, provider)?,
    };
    if let (Some(body), Some(_)) = (&mut body, model) {
        if what == "/batches" {
            // Only said where the batch goes; the calls within it name their own.
            body.remove("model");
        } else if let Some(own) = renames.filter(|_| body.has("model")) {
            body.set_str("model", &own);
        }
    }
    let url = passage::resource_url(&place.target, &path, &query)?;
    let bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let outgoing = outgoing(&call.method, url, bytes);
    // What a file holds is nobody's to change.
    let reads = !path.ends_with("/content");
    let batches = (what == "/batches")
        .then(|| Sighting { words: Words::OpenAi, starts: call.method == Method::POST && path == what });
    let after = reads.then(|| Box::new(Aftermath { ids, seals: true, what, deployment, batches }));
    Ok(Ready { outgoing, content, place, booking: Booking::Free, timeout: PATIENCE, label: "", after })
}

/// A query that pages from a thing on, or asks for those of another.
fn opened_query(query: &str, ids: &mut Ids) -> Result<String, Failure> {
    let mut pairs = Vec::new();
    for pair in query.split('&') {
        let named = pair
            .split_once('=')
            .filter(|(name, _)| matches!(*name, "after" | "before" | "after_id" | "before_id" | "run_id"));
        let opened = named.map(|(_, id)| ids.open(id)).transpose()?.flatten();
        pairs.push(match (named, opened) {
            (Some((name, _)), Some(id)) if is_plain(&id) => format!("{name}={id}"),
            _ => pair.to_owned(),
        });
    }
    Ok(pairs.join("&"))
}

/// What a request says about where its thing is kept.
#[derive(Default)]
struct Fields {
    model: Option<String>,
    provider: Option<String>,
}

impl Fields {
    fn of(call: &Passing) -> Self {
        let header = |name: &str| call.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let query = |name: &str| passage::query_value(&call.query, name);
        let first = |names: String| names.split(',').next().map(|name| name.trim().to_owned());
        Self {
            model: header("x-litellm-model")
                .or_else(|| query("model"))
                .or_else(|| query("target_model_names").and_then(first)),
            provider: header("custom-llm-provider")
                .or_else(|| query("custom_llm_provider"))
                .or_else(|| query("provider")),
        }
    }

    /// Takes what a body or form says; what it does not say stays.
    fn take(&mut self, text: impl Fn(&str) -> Option<String>) -> Result<(), Failure> {
        for name in ["api_key", "api_base", "base_url"] {
            if text(name).is_some() {
                return Err(Failure::invalid(format!("`{name}` cannot be set by a request")).with_param(name));
            }
        }
        let names = text("target_model_names").and_then(|names| Some(names.split(',').next()?.trim().to_owned()));
        self.model = self.model.take().or(names).or_else(|| text("model")).filter(|model| !model.is_empty());
        self.provider = self.provider.take().or_else(|| text("custom_llm_provider"));
        Ok(())
    }

    /// The deployment of the model; else the provider that is named; else whoever keeps things in `OpenAI`'s words.
    fn place(&self, snapshot: &Snapshot, of_path: Option<&str>) -> Result<Chosen, Failure> {
        let model = self.model.as_deref();
        if let Some(provider) = of_path.or(self.provider.as_deref()) {
            let Some(known) = tollgate_providers::table::find(provider) else {
                let words = format!("'{provider}' is no provider of this version (docs/reference/providers.md)");
                return Err(Failure::invalid(words).with_param("custom_llm_provider"));
            };
            return passing::choose(snapshot, &[known.name], model);
        }
        let of_model = |model: &str| {
            let served = snapshot.served.iter().find(|served| served.group == model)?;
            let name = served.provider_name(&snapshot.catalog);
            passing::choose(snapshot, &[name], Some(model)).ok()
        };
        if let Some(chosen) = model.and_then(of_model) {
            return Ok(chosen);
        }
        let openai = passing::choose(snapshot, &["openai"], model);
        openai.or_else(|refused| passing::choose(snapshot, &["azure"], model).map_err(|_| refused))
    }
}
