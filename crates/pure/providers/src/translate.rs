//! The two lanes. A client and a provider of the same dialect: bodies are spliced. Different dialects: client → hub →
//! provider, and back. [`draft`] begins a call, [`Prepared`] reads what comes back.

use std::{borrow::Cow, sync::Arc};

use tollgate_wire::{
    Failure, FailureKind, RawBody,
    chat::{ChatRequest, Media, Part},
    http::Outgoing,
};

use crate::{
    answers::Reader,
    codec::{AnswerContext, ClientDialect, ProviderDialect, Splice, Wanted, Words},
    continuation,
    dialects::{
        gemini::{self, native},
        openai,
        openai_responses::{front, splice},
    },
    errand::{Errand, Said},
    params::{self, CallParams},
    target::{Target, set_header},
};

pub use crate::{
    answer_stream::{AnswerStream, HubStream, PassedStream, Progress},
    answers::{Answered, Answers},
    retold::Retold,
};

/// What a client wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A turn of a conversation, in whichever dialect.
    Chat,
    /// How many tokens a turn of a conversation comes to.
    CountTokens,
    /// Text completion.
    Completions,
    /// Embeddings.
    Embeddings,
    /// Documents by relevance.
    Rerank,
    /// Pictures out of words.
    Images,
    /// Pictures out of pictures and words; a form.
    ImageEdits,
    /// Pictures like a picture; a form.
    ImageVariations,
    /// Whether texts or pictures may be shown.
    Moderations,
    /// Words out of sound; a form.
    Transcriptions,
    /// English words out of sound; a form.
    Translations,
    /// Sound out of words; the answer is bytes.
    Speech,
    /// How many tokens a call of the Responses API would send.
    ResponseTokens,
    /// A conversation of the Responses API made shorter.
    Compact,
}

impl Operation {
    /// How people call it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::CountTokens => "token counting",
            Self::Completions => "text completion",
            Self::Embeddings => "embeddings",
            Self::Rerank => "rerank",
            Self::Images => "image generation",
            Self::ImageEdits => "image edits",
            Self::ImageVariations => "image variations",
            Self::Moderations => "moderations",
            Self::Transcriptions => "transcription",
            Self::Translations => "translation",
            Self::Speech => "speech",
            Self::ResponseTokens => "responses/input_tokens",
            Self::Compact => "responses/compact",
        }
    }
}

/// One call of a client, ready to be said to any target.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// What is wanted.
    pub operation: Operation,
    /// In whose words.
    pub client: &'static dyn ClientDialect,
    /// The client's body, the gateway's own members taken out.
    pub body: &'a RawBody,
    /// What the request says about its parameters.
    pub params: &'a CallParams,
    /// What the answer is to carry.
    pub context: &'a AnswerContext,
}

/// A call that may still want something from outside before it can go out.
#[derive(Debug)]
pub struct Draft {
    target: Arc<Target>,
    context: AnswerContext,
    params: CallParams,
    lane: Lane,
    /// The last turn is the beginning of the answer.
    goes_on: bool,
}

#[derive(Debug)]
enum Lane {
    /// Same words on both sides: body and path.
    Splice {
        body: RawBody,
        path: &'static str,
        shape: Shape,
    },
    Hub {
        request: Box<ChatRequest>,
        client: &'static dyn ClientDialect,
        dialect: &'static dyn ProviderDialect,
    },
    /// Same words on both sides, by the dialect's own way.
    Passed(RawBody, &'static dyn Splice, Passing),
    Errand(Arc<dyn Errand>),
}

/// What passes between two sides of the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    Chat,
    Count,
}

/// What a spliced answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Chat,
    Text,
    Vectors {
        base64: bool,
    },
    /// Passed on as it is.
    Document,
}

/// Begins a call.
///
/// # Errors
/// When the body is no request of its dialect, a parameter is not supported, or the target cannot do the operation.
pub fn draft(call: &Call<'_>, target: &Arc<Target>) -> Result<Draft, Failure> {
    Ok(drafted(call, target, plain_draft(call, target)?))
}

/// As [`draft`], but through the hub where the answer will be one text: somebody else can go on with it then.
///
/// # Errors
/// As [`draft`].
pub fn draft_to_go_on(call: &Call<'_>, target: &Arc<Target>) -> Result<Draft, Failure> {
    // A provider's own Responses API does more than chat: what it begins, nobody else goes on with.
    if call.client.words() == Words::OpenAiResponses {
        return draft(call, target);
    }
    match text_request(call, target)? {
        Some(lane) => Ok(drafted(call, target, lane)),
        None => draft(call, target),
    }
}

/// The request for what is missing of an answer that began with `said` and broke off; `None` where this target cannot go on
/// with it. `said` must not end in white space.
///
/// # Errors
/// As [`draft`].
pub fn draft_onward(call: &Call<'_>, target: &Arc<Target>, said: &str) -> Result<Option<Draft>, Failure> {
    let Some(mut lane) = text_request(call, target)?.filter(|_| continuation::takes(target)) else { return Ok(None) };
    if let Lane::Hub { request, .. } = &mut lane {
        continuation::go_on(request, said);
    }
    Ok(Some(Draft { goes_on: true, ..drafted(call, target, lane) }))
}

fn drafted(call: &Call<'_>, target: &Arc<Target>, lane: Lane) -> Draft {
    let (context, params) = (call.context.clone(), call.params.clone());
    Draft { target: Arc::clone(target), context, params, lane, goes_on: false }
}

/// The call through the hub, if its answer will be one text.
fn text_request(call: &Call<'_>, target: &Target) -> Result<Option<Lane>, Failure> {
    let lane = match (call.operation, call.client.words()) {
        (Operation::Chat, Words::OpenAiResponses) if target.chat_dialect().is_some() => responses_hub(call, target)?,
        (Operation::Chat, Words::OpenAiChat | Words::AnthropicMessages) => {
            let Some(dialect) = target.chat_dialect() else { return Ok(None) };
            hub_lane(call, &call.client.settle(call.body.clone(), target, call.params)?, target, dialect)?
        }
        _ => return Ok(None),
    };
    Ok(Some(lane).filter(|lane| matches!(lane, Lane::Hub { request, .. } if continuation::is_of_words(request))))
}

fn plain_draft(call: &Call<'_>, target: &Arc<Target>) -> Result<Lane, Failure> {
    let lane = match call.operation {
        Operation::ResponseTokens | Operation::Compact => beside_responses(call, target)?,
        Operation::Chat if call.client.words() == Words::OpenAiResponses => responses_lane(call, target)?,
        Operation::Chat if call.client.words() == Words::GeminiContent => gemini_lane(call, target)?,
        Operation::Chat | Operation::Completions => chat_lane(call, target)?,
        Operation::CountTokens => count_lane(call, target)?,
        Operation::Embeddings if target.provider.embed.is_some() => errand_lane(call, target)?,
        Operation::Embeddings => vectors_lane(call, target)?,
        other => match target.provider.also.iter().find(|(can, _)| *can == other) {
            Some((_, path)) => plain_lane(call, target, path),
            None => errand_lane(call, target)?,
        },
    };
    Ok(lane)
}

/// An operation whose client and provider both speak `OpenAI`'s words.
fn plain_lane(call: &Call<'_>, target: &Target, path: &'static str) -> Lane {
    let body = params::with_defaults(call.body.clone(), target, call.params);
    Lane::Splice { body, path, shape: Shape::Document }
}

/// An operation that the provider has words of its own for.
fn errand_lane(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let provider = target.provider;
    let body = params::settle_errand(call.body.clone(), target, call.params)?;
    let errand: Arc<dyn Errand> = match call.operation {
        Operation::Embeddings if let Some(codec) = provider.embed => Arc::new(Said {
            ask: openai::front_embeddings::read(&body)?,
            codec,
            write: openai::front_embeddings::write,
        }),
        Operation::Rerank if let Some(codec) = provider.rerank => {
            Arc::new(Said { ask: openai::front_rerank::read(&body)?, codec, write: openai::front_rerank::write })
        }
        Operation::Images if let Some(codec) = provider.draw => {
            Arc::new(Said { ask: openai::front_images::read(&body)?, codec, write: openai::front_images::write })
        }
        other => return Err(cannot(target, other.words())),
    };
    Ok(Lane::Errand(errand))
}

fn vectors_lane(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let Some(path) = target.provider.embeddings else { return Err(cannot(target, "embeddings")) };
    let mut body = call.body.clone();
    body.remove("stream");
    let base64 = body.typed::<String>("encoding_format").as_deref() == Some("base64");
    Ok(Lane::Splice {
        body: params::settle_vectors(body, target, call.params)?,
        path,
        shape: Shape::Vectors { base64 },
    })
}

/// A client of the Responses API: passed on to a provider's own, or told in chat's words.
fn responses_lane(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    if splice::path(target).is_some() {
        let body = splice::with_defaults(call.body, target, call.params);
        return Ok(Lane::Passed(body, &splice::RESPONSES, Passing::Chat));
    }
    responses_hub(call, target)
}

/// Told in chat's words.
fn responses_hub(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let Some(dialect) = target.chat_dialect() else { return Err(cannot(target, "chat")) };
    let body = front::settle(call.body.clone(), target, call.params)?;
    let mut request = Box::new(call.client.read(&body)?);
    front::ask_for_usage(&mut request, dialect.words());
    Ok(Lane::Hub { request, client: call.client, dialect })
}

/// A client of Gemini's: passed on to a Gemini, or told in chat's words.
fn gemini_lane(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let Some(dialect) = target.chat_dialect().or(target.provider.completions) else {
        return Err(cannot(target, "chat"));
    };
    if dialect.words() == Words::GeminiContent {
        let body = native::settle(call.body.clone(), target, call.params)?;
        return Ok(Lane::Passed(body, &native::CONTENT, Passing::Chat));
    }
    let mut body = gemini::front::in_openai_words(call.body)?;
    if matches!(target.provider.name, "openai" | "azure") {
        // Gemini's clients say it by habit, and a strict server refuses the word.
        body.remove("top_k");
    }
    let body = params::settle(body, target, call.params)?;
    let request = Box::new(openai::CHAT_CLIENT.read(&body)?);
    Ok(Lane::Hub { request, client: call.client, dialect })
}

/// How tokens are counted at this target for a client of the same words; `None` where the gateway must count itself.
#[must_use]
pub fn counts(target: &Target, client: &dyn ClientDialect) -> Option<&'static dyn Splice> {
    target.chat_dialect().filter(|dialect| dialect.words() == client.words()).and_then(ProviderDialect::splice)
}

fn count_lane(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let Some(splice) = counts(target, call.client) else { return Err(cannot(target, call.operation.words())) };
    Ok(Lane::Passed(call.body.clone(), splice, Passing::Count))
}

/// What only a provider's own Responses API can do.
fn beside_responses(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let way = if call.operation == Operation::Compact { &splice::COMPACTED } else { &splice::TOKENS };
    splice::path(target).ok_or_else(|| cannot(target, call.operation.words()))?;
    if call.context.stream {
        return Err(Failure::invalid("this operation cannot be streamed").with_param("stream"));
    }
    Ok(Lane::Passed(splice::with_defaults(call.body, target, call.params), way, Passing::Chat))
}

fn chat_lane(call: &Call<'_>, target: &Target) -> Result<Lane, Failure> {
    let provider = target.provider;
    let dialect = match call.operation {
        Operation::Completions => provider.completions.or_else(|| target.chat_dialect()),
        _ => dialect_for(call, target),
    };
    let Some(dialect) = dialect else { return Err(cannot(target, "chat")) };
    let body = call.client.settle(call.body.clone(), target, call.params)?;
    let words = dialect.words();
    if words == call.client.words() {
        if let Some(splice) = dialect.splice() {
            return Ok(Lane::Passed(body, splice, Passing::Chat));
        }
        let (path, shape) = match words {
            Words::OpenAiChat => (provider.chat_path, Shape::Chat),
            Words::OpenAiCompletions => (provider.completions_path, Shape::Text),
            _ => return hub_lane(call, &body, target, dialect),
        };
        return Ok(Lane::Splice { body, path, shape });
    }
    if let Some(splice) = dialect.passes(call.client.words(), &body, target) {
        return Ok(Lane::Passed(body, splice, Passing::Chat));
    }
    hub_lane(call, &body, target, dialect)
}

/// How this client's turns of a conversation are said to the target.
fn dialect_for(call: &Call<'_>, target: &Target) -> Option<&'static dyn ProviderDialect> {
    let by_model = target.provider.chat_by_model.and_then(|choose| choose(target));
    // The Responses API has no word for texts that end the answer; chat has one, for models that take it.
    let ends = || {
        let texts: Option<Vec<serde_json::Value>> = call.body.typed("stop_sequences");
        texts.is_some_and(|texts| !texts.is_empty()) && params::takes(target, "stop")
    };
    let own = target.provider.messages.filter(|_| call.client.words() == Words::AnthropicMessages);
    let own = own.filter(|own| own.words() != Words::OpenAiResponses || !ends());
    by_model.or(own).or_else(|| target.chat_dialect()).or(target.provider.completions)
}

fn hub_lane(
    call: &Call<'_>,
    body: &RawBody,
    target: &Target,
    dialect: &'static dyn ProviderDialect,
) -> Result<Lane, Failure> {
    let mut request = Box::new(call.client.read(body)?);
    call.client.fit(&mut request, target, dialect, call.params)?;
    Ok(Lane::Hub { request, client: call.client, dialect })
}

pub(crate) fn cannot(target: &Target, what: &str) -> Failure {
    let provider = target.provider.name;
    Failure::new(FailureKind::BadRequest, format!("the provider '{provider}' has no {what} endpoint"))
        .with_param("model")
}

impl Draft {
    /// What must be fetched before the request can be written.
    #[must_use]
    pub fn wants(&self) -> Vec<Wanted> {
        match &self.lane {
            Lane::Splice { .. } | Lane::Passed(..) | Lane::Errand(_) => Vec::new(),
            Lane::Hub { request, dialect, .. } => dialect.wants(request, &self.target),
        }
    }

    /// Hands over a document that was wanted.
    pub fn supply_document(&mut self, url: &str, text: String) {
        if let Lane::Hub { request, .. } = &mut self.lane {
            request.documents.push((url.to_owned(), text));
        }
    }

    /// Puts fetched media (type, base64) where its URL stood.
    pub fn supply(&mut self, url: &str, media_type: &str, base64: &str) {
        let Lane::Hub { request, .. } = &mut self.lane else { return };
        for message in &mut request.messages {
            supply(&mut message.parts, url, media_type, base64);
        }
    }

    /// The request, and what reads its answer.
    ///
    /// # Errors
    /// When the request cannot be said in the provider's words.
    pub fn finish(self) -> Result<Prepared, Failure> {
        let Self { target, context, params, lane, goes_on } = self;
        let mut more = Vec::new();
        let (outgoing, reader) = match lane {
            Lane::Splice { body, path, shape } => {
                let (outgoing, asked) = openai::finish_request(body, path, &target, &params)?;
                (outgoing, Reader::Splice(shape, asked))
            }
            Lane::Passed(body, splice, Passing::Chat) => {
                (splice.request(body, &target, &params)?, Reader::Passed(splice, Passing::Chat))
            }
            Lane::Passed(body, splice, Passing::Count) => {
                let outgoing = splice.count(body, &target, &params);
                let outgoing = outgoing.unwrap_or_else(|| Err(cannot(&target, Operation::CountTokens.words())))?;
                (outgoing, Reader::Passed(splice, Passing::Count))
            }
            Lane::Errand(errand) => {
                let mut requests = errand.requests(&for_call(&target, &params))?.into_iter();
                let Some(mut outgoing) = requests.next() else {
                    return Err(Failure::bug("an errand without a request"));
                };
                more.extend(requests);
                for (name, value) in &params.extra_headers {
                    for request in std::iter::once(&mut outgoing).chain(&mut more) {
                        set_header(&mut request.headers, name, value);
                    }
                }
                (outgoing, Reader::Errand(errand))
            }
            Lane::Hub { request, client, dialect } => {
                let mut outgoing = dialect.request(&request, &for_call(&target, &params))?;
                if goes_on {
                    continuation::mark(&mut outgoing, &target)?;
                }
                for (name, value) in &params.extra_headers {
                    set_header(&mut outgoing.headers, name, value);
                }
                (outgoing, Reader::Hub { request, client, dialect })
            }
        };
        Ok(Prepared { outgoing, more, answers: Answers { target, context, reader } })
    }
}

/// The target with the request's own word on what may be dropped, which overrides the deployment's.
fn for_call<'t>(target: &'t Target, call: &CallParams) -> Cow<'t, Target> {
    match call.drop_params {
        Some(drops) if drops != target.params.drop_params => {
            let mut own = target.clone();
            own.params.drop_params = drops;
            Cow::Owned(own)
        }
        _ => Cow::Borrowed(target),
    }
}

fn supply(parts: &mut [Part], wanted: &str, media_type: &str, base64: &str) {
    for part in parts {
        match part {
            Part::Image { source, .. } | Part::Document { source, .. } => {
                if matches!(source, Media::Url(url) if url == wanted) {
                    *source = Media::Inline { media_type: media_type.to_owned(), data: base64.to_owned() };
                }
            }
            Part::ToolResult { parts, .. } => supply(parts, wanted, media_type, base64),
            _ => {}
        }
    }
}

/// A request on its way out.
#[derive(Debug)]
pub struct Prepared {
    /// What is sent.
    pub outgoing: Outgoing,
    /// What is sent beside it, where the provider takes one thing at a time.
    pub more: Vec<Outgoing>,
    /// What reads the answer.
    pub answers: Answers,
}
