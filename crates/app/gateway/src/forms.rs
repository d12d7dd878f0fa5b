//! Forms as the journey sees them: their fields as the members of a body, the files left where they are; and answers that
//! are passed on as they come.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value};
use tollgate_net::Response;
use tollgate_wire::{Failure, FailureKind, RawBody, form::Form, form::FormError};

use crate::{
    answer::{Answer, AnswerBody},
    byte_stream::ByteStream,
    dispatch::{Ask, Attempt},
    event_stream::Source,
    exchange::host,
    inbound::Route,
    meter::{Booking, Meter},
    options,
};

/// The form that was sent.
///
/// # Errors
/// 400 that says why it is none.
pub(crate) fn read(headers: &HeaderMap, body: &Bytes) -> Result<Form, Failure> {
    Form::parse(content_type(headers), body).map_err(refused)
}

pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

pub(crate) fn refused(error: FormError) -> Failure {
    let failure = Failure::new(FailureKind::InvalidRequest, format!("Invalid form: {error}"));
    if let FormError::Late(name) = error { failure.with_param(name) } else { failure }
}

/// The fields as a body's members. Those of the gateway's own may be JSON; `stream` is a flag; files are only named.
pub(crate) fn fields(form: &Form) -> RawBody {
    let mut fields = Map::new();
    for part in form.parts() {
        let value = match part.text() {
            Some(text) if part.name == "stream" => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" => Value::Bool(true),
                "false" | "0" | "" => Value::Bool(false),
                _ => Value::String(text.to_owned()),
            },
            Some(text) if options::is_ours(&part.name) => {
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
            }
            Some(text) => Value::String(text.to_owned()),
            None => Value::String("(file)".to_owned()),
        };
        fields.insert(part.name.clone(), value);
    }
    RawBody::from_map(&fields)
}

impl Ask {
    /// Whether this answer is passed on as it comes.
    pub(crate) fn passes(&self, response: &Response) -> bool {
        let streamed = self.form.is_some() && self.streams(response);
        response.status.is_success() && (self.route.passes_answer() || streamed)
    }

    /// The answer as it comes.
    pub(crate) fn pass(&self, mut response: Response, attempt: &Attempt<'_>, meter: Meter) -> Answer {
        let place = &attempt.place;
        let theirs = std::mem::take(&mut response.headers);
        let mut headers = HeaderMap::with_capacity(24);
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_DISPOSITION] {
            if let Some(value) = theirs.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if content_type(&theirs).starts_with("text/event-stream") {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        let status = response.status;
        let mut answer = Answer { status, headers, body: AnswerBody::Whole(Bytes::new()) };
        self.head(&mut answer, attempt, &meter, &theirs, None);
        let booking = match self.body.typed::<String>("input") {
            Some(words) if self.route == Route::Speech => Booking::Spoken(words.chars().count() as u64),
            _ => Booking::Read,
        };
        let source = Source::new(response, place.target.provider.title, host(&place.address).to_owned());
        let stream = ByteStream::new(source, content_type(&theirs), booking, meter, self.gateway.closed());
        answer.body = AnswerBody::Bytes(Box::new(stream));
        answer
    }
}
