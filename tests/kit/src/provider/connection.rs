//! One client's connection: requests in, answers out, and an eye on whether the client is still there.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, tcp::ReadHalf},
};

use super::{
    Shared,
    delivery::{self, Delivered},
    request,
};
use crate::{
    answer::Answer,
    call::{self, Call, Ending},
};

/// Where the program `fake-provider` shows what it has heard; such a look is not itself a call.
const CALLS_PATH: &str = "/_calls";

/// A connection that is reset when its provider was killed, and closed otherwise.
struct Wire {
    stream: TcpStream,
    shared: Arc<Shared>,
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.shared.killed.load(Ordering::Acquire) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let mut wire = Wire { stream, shared: Arc::clone(&shared) };
    let stream = &mut wire.stream;
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    loop {
        match request::read(stream, &mut buffer).await {
            Ok(Some(call)) => {
                if !answer(stream, &mut buffer, &shared, call).await {
                    return;
                }
            }
            Ok(None) => return,
            Err(error) => {
                let body = error.to_string();
                let length = body.len();
                let reply =
                    format!("HTTP/1.1 400 Bad Request\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
                let _ = stream.write_all(reply.as_bytes()).await;
                return;
            }
        }
    }
}

/// Answers one call; whether the connection can carry another.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>, shared: &Shared, call: Call) -> bool {
    if call.path == CALLS_PATH {
        let answer = Answer::json(200, call::document_of(&shared.log.all()));
        let (_, mut writer) = stream.split();
        return delivery::deliver(&answer, false, &mut writer, &AtomicUsize::new(0)).await == Delivered::Whole;
    }
    let (arrived, headless) = (call.arrived, call.method == "HEAD");
    let keeps_open = !call.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let number = shared.log.begin(call.clone());
    let answer = shared.answer(number, &call);

    let body_bytes = AtomicUsize::new(0);
    let (mut reader, mut writer) = stream.split();
    let delivered = tokio::select! {
        biased;
        delivered = delivery::deliver(&answer, headless, &mut writer, &body_bytes) => delivered,
        () = client_leaving(&mut reader, buffer) => Delivered::ClientLeft,
    };
    let ending = match delivered {
        Delivered::Whole | Delivered::WholeThenClose => Ending::Answered,
        Delivered::Cut | Delivered::Reset => Ending::Cut,
        Delivered::ClientLeft => {
            Ending::ClientLeft { after: arrived.elapsed(), body_bytes: body_bytes.load(Ordering::Relaxed) }
        }
    };
    if delivered == Delivered::Reset {
        let _ = stream.set_zero_linger();
    }
    shared.log.end(number, ending);
    delivered == Delivered::Whole && keeps_open
}

/// Returns when the client has closed its side. What it sends meanwhile is kept: it may be the next request.
async fn client_leaving(reader: &mut ReadHalf<'_>, buffer: &mut Vec<u8>) {
    while matches!(reader.read_buf(buffer).await, Ok(read) if read > 0) {}
}
