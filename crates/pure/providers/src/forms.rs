//! Operations whose request is a form: sound to be written down, pictures to be changed. Client and provider both speak
//! `OpenAI`'s words; the form's fields are rewritten and its files passed on as they came.

use std::sync::Arc;

use http::{HeaderValue, Method, header};
use serde_json::Value;
use tollgate_wire::{Failure, form::Form, http::Outgoing};

use crate::{
    codec::AnswerContext,
    params::CallParams,
    target::{Target, set_header},
    translate::{Answers, Operation, Prepared, cannot},
};

/// The request of a form to this target, and what reads its answer.
///
/// # Errors
/// When the target cannot do the operation, or its credential cannot stand in a header.
pub fn prepare(
    mut form: Form,
    operation: Operation,
    target: &Arc<Target>,
    params: &CallParams,
    context: &AnswerContext,
) -> Result<Prepared, Failure> {
    let known = target.provider.also.iter().find(|(can, _)| *can == operation);
    let Some((_, path)) = known else { return Err(cannot(target, operation.words())) };
    for (name, value) in &target.defaults {
        let is_there = form.parts().any(|part| part.name == *name);
        if let (Some(text), false) = (text_of(value), is_there) {
            form.set_text(name, &text);
        }
    }
    for (name, value) in &target.extra_body {
        if let Some(text) = text_of(value) {
            form.set_text(name, &text);
        }
    }
    form.set_text("model", &target.model);
    // The models of today take several pictures under this name, and one as well; DALL-E 2 takes one.
    if operation == Operation::ImageEdits && !target.model.contains("dall-e") {
        form.rename("image", "image[]");
    }
    let mut headers = target.request_headers()?;
    let content_type = HeaderValue::try_from(form.content_type());
    headers.insert(header::CONTENT_TYPE, content_type.map_err(|_| Failure::bug("a boundary no header can hold"))?);
    if let Some(organization) = target.organization.as_ref().and_then(|text| text.parse().ok()) {
        headers.insert("openai-organization", organization);
    }
    for (name, value) in &params.extra_headers {
        set_header(&mut headers, name, value);
    }
    let url = (target.provider.address)(target, path);
    let outgoing = Outgoing { method: Method::POST, url, headers, body: form.to_bytes() };
    let answers = Answers::passing(Arc::clone(target), context.clone());
    Ok(Prepared { outgoing, more: Vec::new(), answers })
}

/// A parameter of the configuration as a form's field; lists and objects have no form.
fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}
