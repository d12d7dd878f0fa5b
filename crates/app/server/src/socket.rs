//! A client's connection as hyper sees it: silence has its deadlines, hyper's own refusals get our words, and a
//! connection that we end is ended so that the client can still read why.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};
use tollgate_gateway::Workers;
use tollgate_wire::{Failure, FailureKind};

use crate::reply;

/// The requests of one connection, counted by its service.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    begun: AtomicUsize,
    running: AtomicUsize,
}

/// A request that runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Requests>);

impl Requests {
    pub(crate) fn begin(self: &Arc<Self>) -> Running {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(self))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a client may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// From the first byte of a request's head to its last.
    pub(crate) head: Duration,
    /// Without a request.
    pub(crate) idle: Duration,
}

/// The connection.
pub(crate) struct Socket<I: Stream> {
    /// None only while it is dropped.
    io: Option<I>,
    requests: Arc<Requests>,
    patience: Patience,
    workers: Workers,
    /// Requests begun when we last looked.
    known: usize,
    state: State,
    deadline: Instant,
    alarm: Pin<Box<Sleep>>,
    /// What we say ourselves, and how much of it is written.
    words: Vec<u8>,
    written: usize,
    /// The client has closed its side.
    ended: bool,
    /// What the client said last has, or is getting, its answer.
    answered: bool,
}

/// What is expected of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first byte of all.
    New,
    /// The rest of a head.
    Head,
    /// The next request.
    Idle,
    /// HTTP/2 has its own ways of telling; only its idleness is watched.
    Http2,
}

/// What a connection is made of.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for S {}

impl<I: Stream> Socket<I> {
    pub(crate) fn new(io: I, requests: Arc<Requests>, patience: Patience, workers: Workers) -> Self {
        // A connection that never says anything has the time of a head.
        let deadline = Instant::now() + patience.head;
        Self {
            io: Some(io),
            requests,
            patience,
            workers,
            known: 0,
            state: State::New,
            deadline,
            alarm: Box::pin(sleep_until(deadline)),
            words: Vec::new(),
            written: 0,
            ended: false,
            answered: true,
        }
    }

    fn io(&mut self) -> io::Result<Pin<&mut I>> {
        self.io.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Bytes have come.
    fn heard(&mut self, bytes: &[u8]) {
        self.notice_requests();
        match self.state {
            State::New if bytes.starts_with(b"PRI") => self.state = State::Http2,
            State::New | State::Idle if self.requests.running.load(Ordering::Relaxed) == 0 => {
                self.state = State::Head;
                self.answered = false;
                self.deadline = Instant::now() + self.patience.head;
            }
            _ => {}
        }
    }

    /// A request that has begun has ended its head.
    fn notice_requests(&mut self) {
        let begun = self.requests.begun.load(Ordering::Relaxed);
        if begun != self.known {
            self.known = begun;
            self.answered = false;
            self.deadline = Instant::now() + self.patience.idle;
            if self.state != State::Http2 {
                self.state = State::Idle;
            }
        }
    }

    /// Nothing comes: for how long may it stay so?
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.notice_requests();
        if self.requests.running.load(Ordering::Relaxed) > 0 {
            // The call has its own bounds; the time without one begins at its end.
            self.deadline = Instant::now() + self.patience.idle;
            return Poll::Pending;
        }
        // The alarm is set anew only when it rings, or would ring too late: a request costs no timer.
        if self.alarm.deadline() > self.deadline {
            self.alarm.as_mut().reset(self.deadline);
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            if Instant::now() >= self.deadline {
                return Poll::Ready(self.out_of_patience(context));
            }
            self.alarm.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }

    /// Said to a client that began a request and did not end its head; otherwise the end of the connection.
    fn out_of_patience(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.state != State::Head {
            return Ok(());
        }
        let seconds = self.patience.head.as_secs_f64();
        let words = format!("the request's head did not end within {seconds} s");
        self.say(&Failure::new(FailureKind::RequestTimeout, words), context);
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Hyper gives up some malformed requests without a word.
    fn owes_an_answer(&mut self) -> bool {
        self.notice_requests();
        !self.answered && !self.ended && self.state != State::Http2
    }

    fn say(&mut self, failure: &Failure, context: &mut Context<'_>) {
        self.answered = true;
        self.words.extend_from_slice(&reply::raw(failure));
        // What cannot be written now is written by the flush, or by the farewell.
        let _ = self.poll_words(context).is_ready() && self.io().is_ok_and(|io| io.poll_flush(context).is_ready());
    }

    fn poll_words(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.words.len() {
            let Some(io) = &mut self.io else { break };
            let rest = self.words.get(self.written..).unwrap_or_default();
            let written = ready!(Pin::new(io).poll_write(context, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.words.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Hyper refuses by itself what it cannot read as HTTP, with an empty body; said in our words instead.
    fn takes_the_word(&mut self, bytes: &[u8], context: &mut Context<'_>) -> bool {
        if !bytes.starts_with(b"HTTP/1.1 4") || bytes.windows(9).any(|text| text == b"\r\nserver:") {
            return false;
        }
        let failure = match bytes.get(9..12) {
            Some(b"414" | b"431") => Failure::new(
                FailureKind::HeadersTooLarge,
                "the request's head is too large; general_settings.max_header_bytes sets the bound",
            ),
            _ => not_http(),
        };
        self.say(&failure, context);
        true
    }
}

fn not_http() -> Failure {
    Failure::invalid("the request is not valid HTTP")
}

impl<I: Stream> AsyncRead for Socket<I> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        match this.io()?.poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let bytes = buffer.filled().get(before..).unwrap_or_default();
                if bytes.is_empty() {
                    this.ended = true;
                } else {
                    this.heard(bytes);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                this.ended = true;
                Poll::Ready(Err(error))
            }
            Poll::Pending => this.poll_silence(context),
        }
    }
}

impl<I: Stream> AsyncWrite for Socket<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_words(context))?;
        if this.takes_the_word(bytes, context) {
            return Poll::Ready(Ok(bytes.len()));
        }
        this.notice_requests();
        this.answered = true;
        this.io()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_words(context))?;
        if let Some(first) = slices.first()
            && this.takes_the_word(first, context)
        {
            return Poll::Ready(Ok(first.len()));
        }
        this.notice_requests();
        this.answered = true;
        this.io()?.poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_words(context))?;
        this.io()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.owes_an_answer() {
            this.say(&not_http(), context);
        }
        ready!(this.poll_words(context))?;
        this.io()?.poll_shutdown(context)
    }
}

impl<I: Stream> Drop for Socket<I> {
    /// Closed with bytes unread, a connection is reset, and the client may never see what we said last: it gets a
    /// moment to read it.
    fn drop(&mut self) {
        let Some(io) = self.io.take().filter(|_| !self.ended) else { return };
        let mut words = self.words.split_off(self.written.min(self.words.len()));
        if self.owes_an_answer() {
            words = reply::raw(&not_http());
        }
        self.workers.spawn_loop(async move {
            let _ = tokio::time::timeout(FAREWELL, farewell(io, words)).await;
        });
    }
}

/// How long a client may take to read our last words.
const FAREWELL: Duration = Duration::from_secs(1);
/// The most that is still read from a client, and thrown away, before it is cut off.
const MOST_DISCARDED: usize = 64 << 20;

async fn farewell<I: Stream>(mut io: I, words: Vec<u8>) -> io::Result<()> {
    io.write_all(&words).await?;
    io.shutdown().await?;
    let mut sink = vec![0; 16 << 10];
    let mut discarded = 0;
    while discarded < MOST_DISCARDED {
        match io.read(&mut sink).await? {
            0 => break,
            read => discarded += read,
        }
    }
    Ok(())
}
