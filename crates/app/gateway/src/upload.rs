//! Request bodies that are sent on while they come in, so that a file of any size costs no memory.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tollgate_wire::{
    Failure, FailureKind,
    form::{self, Lead, Watch},
};

use crate::forms::refused;

/// A request's body; bounded, in size and in how long it may be silent, by whoever hands it over.
pub type UploadBody = Pin<Box<dyn Body<Data = Bytes, Error = Failure> + Send>>;

/// Most bytes before the first file of a form: its fields.
const MOST_FIELDS: usize = 256 << 10;
/// How many bytes are read, again and again from the start, in looks at every piece of a form's beginning.
const FREELY_READ: usize = 1 << 20;
/// How many bytes more are awaited before each look after that.
const LOOK_EVERY: usize = 16 << 10;
/// Fields that say to us where a form goes, and so must come before its file.
pub(crate) const OURS: &[&str] = &[
    "custom_llm_provider",
    "target_model_names",
    "model",
    "target_storage",
    "passthrough",
    "litellm_metadata",
    "api_key",
    "api_base",
    "base_url",
];

/// What went wrong with a body that was on its way.
pub(crate) type Fault = Arc<Mutex<Option<Failure>>>;

/// The whole body.
///
/// # Errors
/// 413 over `limit`; what is wrong with the body.
pub(crate) async fn collect(body: &mut UploadBody, limit: usize) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    while let Some(piece) = next(body).await? {
        if whole.len() + piece.len() > limit {
            let words = format!("the body is over {limit} bytes; general_settings.max_request_size_mb sets the bound");
            return Err(Failure::new(FailureKind::TooLarge, words));
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

async fn next(body: &mut UploadBody) -> Result<Option<Bytes>, Failure> {
    loop {
        match poll_fn(|context| body.as_mut().poll_frame(context)).await.transpose()? {
            None => return Ok(None),
            Some(frame) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// The beginning of a form: its fields up to the first file, and what has been read from there on.
pub(crate) struct Begun {
    pub(crate) lead: Lead,
    pub(crate) rest: Bytes,
    watch: Watch,
}

/// Reads a form up to its first file.
///
/// # Errors
/// 400 when this is no form.
pub(crate) async fn begin(body: &mut UploadBody, content_type: &str) -> Result<Begun, Failure> {
    let boundary = form::boundary(content_type).map_err(refused)?;
    let (mut seen, mut looked_at, mut read) = (BytesMut::new(), 0, 0);
    loop {
        let piece = next(body).await?;
        let ended = piece.is_none();
        seen.extend_from_slice(&piece.unwrap_or_default());
        // Each look reads from the start: a client that sends byte by byte must not have us look at every byte for long.
        if !ended && read > FREELY_READ && seen.len() < looked_at + LOOK_EVERY {
            continue;
        }
        looked_at = seen.len();
        read += looked_at;
        let bytes = seen.clone().freeze();
        if let Some(lead) = Lead::read(&boundary, &bytes).map_err(refused)? {
            let rest = bytes.slice(lead.at..);
            let mut watch = Watch::new(&boundary, OURS);
            watch.push(&rest).map_err(refused)?;
            return Ok(Begun { lead, rest, watch });
        }
        if ended {
            return Err(refused(form::FormError::NoEnd));
        }
        if seen.len() > MOST_FIELDS {
            let words = format!("Invalid form: its fields are over {MOST_FIELDS} bytes before the file");
            return Err(Failure::invalid(words));
        }
    }
}

/// A body on its way to a provider.
pub(crate) struct Sending {
    first: Option<Bytes>,
    rest: UploadBody,
    watch: Option<Watch>,
    fault: Fault,
}

impl Sending {
    /// The body as it is.
    pub(crate) fn plain(rest: UploadBody) -> (Self, Fault) {
        let fault = Fault::default();
        (Self { first: None, rest, watch: None, fault: Arc::clone(&fault) }, fault)
    }

    /// A form that has begun, with its fields as they are now.
    pub(crate) fn form(begun: Begun, rest: UploadBody) -> (Self, Fault) {
        let fault = Fault::default();
        let mut first = BytesMut::from(begun.lead.to_bytes().as_ref());
        first.extend_from_slice(&begun.rest);
        (Self { first: Some(first.freeze()), rest, watch: Some(begun.watch), fault: Arc::clone(&fault) }, fault)
    }

    fn fail(&self, failure: Failure) -> io::Error {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        io::ErrorKind::InvalidData.into()
    }
}

/// What went wrong, if the body is to blame.
pub(crate) fn take_fault(fault: &Fault) -> Option<Failure> {
    fault.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Body for Sending {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let frame = match std::task::ready!(self.rest.as_mut().poll_frame(context)) {
            None => return Poll::Ready(None),
            Some(Err(failure)) => return Poll::Ready(Some(Err(self.fail(failure)))),
            Some(Ok(frame)) => frame,
        };
        let seen = frame.data_ref().zip(self.watch.as_mut()).map_or(Ok(()), |(data, watch)| watch.push(data));
        Poll::Ready(Some(match seen {
            Ok(()) => Ok(frame),
            Err(error) => Err(self.fail(refused(error))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, |first| first.len() as u64);
        self.rest.size_hint().exact().map_or_else(SizeHint::default, |rest| SizeHint::with_exact(first + rest))
    }
}
