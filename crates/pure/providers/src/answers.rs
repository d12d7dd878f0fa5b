//! What comes back: each lane reads its answer, whole or streamed.

use std::sync::Arc;

use bytes::Bytes;
use tollgate_wire::{
    Failure, Usage,
    chat::ChatRequest,
    framing::Framer,
    http::{Outgoing, Reply},
};

use crate::{
    answer_stream::{AnswerStream, HubStream, Progress},
    codec::{AnswerContext, ClientDialect, Next, ProviderDialect, Splice, Words},
    continuation::is_of_words,
    dialects::openai::{
        self, SplicedStream,
        merge::{self, Merger},
    },
    errand::Errand,
    provider::Asked,
    target::Target,
    translate::{Passing, Shape},
};

/// Reads the answer to one request.
#[derive(Debug)]
pub struct Answers {
    pub(crate) target: Arc<Target>,
    pub(crate) context: AnswerContext,
    pub(crate) reader: Reader,
}

/// How an answer is read.
#[derive(Debug)]
pub(crate) enum Reader {
    Splice(Shape, Asked),
    Hub { request: Box<ChatRequest>, client: &'static dyn ClientDialect, dialect: &'static dyn ProviderDialect },
    Passed(&'static dyn Splice, Passing),
    Errand(Arc<dyn Errand>),
}

/// A whole answer for the client.
#[derive(Debug)]
pub struct Answered {
    /// The body.
    pub body: Bytes,
    /// What was used, if the provider says.
    pub usage: Option<Usage>,
}

impl Answers {
    /// Of an answer that is passed on as it is.
    pub(crate) fn passing(target: Arc<Target>, context: AnswerContext) -> Self {
        Self { target, context, reader: Reader::Splice(Shape::Document, Asked::default()) }
    }

    /// The provider's refusal (status 400 and above).
    #[must_use]
    pub fn failure(&self, reply: &Reply) -> Failure {
        match &self.reader {
            Reader::Splice(..) => openai::failure(reply, &self.target),
            Reader::Passed(splice, _) => splice.failure(reply, &self.target),
            Reader::Hub { dialect, .. } => dialect.failure(reply, &self.target),
            Reader::Errand(errand) => errand.failure(reply, &self.target),
        }
    }

    /// What is to be asked next before this whole answer is one.
    ///
    /// # Errors
    /// When the provider says that it has failed.
    pub fn next(&self, reply: &Reply) -> Result<Option<Next>, Failure> {
        match &self.reader {
            Reader::Hub { request, dialect, .. } => dialect.next(reply, request, &self.target),
            Reader::Splice(..) | Reader::Passed(..) | Reader::Errand(_) => Ok(None),
        }
    }

    /// The same call in the provider's older words, where this refusal shows that it knows no others.
    ///
    /// # Errors
    /// When it cannot be said in them.
    pub fn otherwise(&self, reply: &Reply) -> Result<Option<Outgoing>, Failure> {
        match &self.reader {
            Reader::Hub { request, dialect, .. } => dialect.otherwise(reply, request, &self.target),
            Reader::Splice(..) | Reader::Passed(..) | Reader::Errand(_) => Ok(None),
        }
    }

    /// The answers to all of [`Prepared::outgoing`] and [`Prepared::more`], for the client.
    ///
    /// # Errors
    /// When one is no answer.
    pub fn all(&self, replies: &[Reply]) -> Result<Answered, Failure> {
        match (&self.reader, replies) {
            (Reader::Errand(errand), replies) => errand.answer(replies, &self.target, &self.context),
            (_, [reply]) => self.whole(reply),
            _ => Err(Failure::bug("one request, several answers")),
        }
    }

    /// The provider's whole answer, for the client.
    ///
    /// # Errors
    /// When it is not an answer.
    pub fn whole(&self, reply: &Reply) -> Result<Answered, Failure> {
        match &self.reader {
            Reader::Splice(Shape::Vectors { base64 }, _) => {
                let (body, usage) = openai::embeddings::answer(reply, &self.target, &self.context, *base64)?;
                Ok(Answered { body, usage })
            }
            Reader::Splice(Shape::Document, _) => {
                let (body, usage) = openai::document(reply, &self.target)?;
                Ok(Answered { body, usage })
            }
            Reader::Splice(_, asked) => {
                let (body, usage) = openai::spliced_answer(reply, &self.target, &self.context, *asked)?;
                Ok(Answered { body, usage })
            }
            Reader::Passed(splice, Passing::Chat) => {
                let (body, usage) = splice.answer(reply, &self.target, &self.context)?;
                Ok(Answered { body, usage })
            }
            Reader::Passed(splice, Passing::Count) => {
                // Counting is free.
                Ok(Answered { body: splice.counted(reply, &self.target)?, usage: Some(Usage::default()) })
            }
            Reader::Hub { request, client, dialect } => {
                let mut response = dialect.response(reply, request, &self.target)?;
                if self.target.params.merge_reasoning {
                    merge::response(&mut response);
                }
                Ok(Answered { body: client.write(&response, &self.context).into(), usage: response.usage })
            }
            Reader::Errand(errand) => errand.answer(std::slice::from_ref(reply), &self.target, &self.context),
        }
    }

    /// A reader for the provider's streamed answer; events over `limit` bytes are refused.
    ///
    /// # Errors
    /// When this operation has no streams.
    pub fn stream(self, limit: usize) -> Result<AnswerStream, Failure> {
        Ok(match self.reader {
            Reader::Splice(shape, asked) => {
                let text = shape == Shape::Text;
                AnswerStream::Spliced(Box::new(SplicedStream::new(self.target, self.context, limit, text, asked)))
            }
            Reader::Passed(splice, Passing::Chat) => {
                AnswerStream::Passed(splice.stream(self.target, self.context, limit))
            }
            Reader::Passed(..) | Reader::Errand(_) => {
                return Err(Failure::invalid("this operation cannot be streamed").with_param("stream"));
            }
            Reader::Hub { request, client, dialect } => AnswerStream::Hub(Box::new(HubStream {
                framer: Framer::new(dialect.framing(&self.target), limit),
                decoder: dialect.decoder(&request, &self.target),
                encoder: client.encoder(&self.context),
                bare_thoughts: client.words() == Words::OpenAiChat
                    && (self.target.provider.quirks.bare_thoughts || dialect.words() == Words::GeminiContent),
                is_text: is_of_words(&request) && !self.target.params.merge_reasoning,
                joint: None,
                merger: self.target.params.merge_reasoning.then(Merger::default),
                target: self.target,
                progress: Progress::default(),
                chunks: Vec::new(),
                said: String::new(),
            })),
        })
    }
}
