//! Predibase: Hugging Face's text generation, at the address of the customer's deployment.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;
use tollgate_wire::{
    Failure, FailureKind,
    chat::{ChatRequest, ChatResponse},
    http::{Outgoing, Reply},
};

use crate::{
    codec::{ChatDecoder, ProviderDialect, Wanted, Words},
    dialects::{huggingface::generate, openai, prompt},
    locate::{Located, Site},
    resolve::Unservable,
    target::Target,
};

/// Chat.
pub static CHAT: Predibase = Predibase { raw: false };
/// Text completion: the client's own prompt.
pub static COMPLETE: Predibase = Predibase { raw: true };

/// Variables that hold an address.
pub const BASE_ENV: &[&str] = &["PREDIBASE_API_BASE"];
const SERVING: &str = "https://serving.app.predibase.com";
const TENANT: &str = "predibase_tenant_id";
const TENANT_ENV: &[&str] = &["PREDIBASE_TENANT_ID"];

/// See [`CHAT`] and [`COMPLETE`].
#[derive(Debug)]
pub struct Predibase {
    raw: bool,
}

/// The deployment below its tenant.
///
/// # Errors
/// When nobody says whose deployment it is, and no address does.
pub fn locate(site: &Site<'_>) -> Result<Located, Unservable> {
    let own = site.settings.defaults.get(TENANT).and_then(Value::as_str).map(str::to_owned);
    let placed = site.settings.api_base.is_some() || site.env(BASE_ENV).is_some();
    let base_url = match own.or_else(|| site.env(TENANT_ENV)) {
        Some(tenant) => Some(format!("{SERVING}/{tenant}/deployments/v2/llms/{}", site.model)),
        None if placed => None,
        None => {
            let words = format!(
                "provider 'predibase' needs a tenant; set {TENANT} or the environment variable PREDIBASE_TENANT_ID"
            );
            return Err(Unservable::Missing(words));
        }
    };
    Ok(Located { model: site.model.to_owned(), base_url, credential: None, facts: BTreeMap::new() })
}

impl ProviderDialect for Predibase {
    fn words(&self) -> Words {
        Words::Foreign
    }

    fn wants(&self, _request: &ChatRequest, target: &Target) -> Vec<Wanted> {
        if self.raw { Vec::new() } else { prompt::wants(target) }
    }

    fn request(&self, request: &ChatRequest, target: &Target) -> Result<Outgoing, Failure> {
        let prompt = if self.raw { prompt::raw(request) } else { prompt::write(request, target)? };
        let mut body = generate::write(request, &prompt);
        if let Some(parameters) = body.get_mut("parameters").and_then(Value::as_object_mut) {
            parameters.shift_remove(TENANT);
        }
        let url = target.url(if request.stream { "/generate_stream" } else { "/generate" });
        Ok(Outgoing { method: Method::POST, url, headers: target.request_headers()?, body: body.to_string().into() })
    }

    fn response(&self, reply: &Reply, _request: &ChatRequest, target: &Target) -> Result<ChatResponse, Failure> {
        let told: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        match told.get("error") {
            Some(error) => {
                Err(target.failure(FailureKind::Internal, error.as_str().unwrap_or("the generation failed")))
            }
            None => generate::read(&told, reply, target),
        }
    }

    fn decoder(&self, _request: &ChatRequest, target: &Target) -> Box<dyn ChatDecoder> {
        Box::new(generate::Reader::new(target))
    }

    fn failure(&self, reply: &Reply, target: &Target) -> Failure {
        openai::failure(reply, target)
    }
}
