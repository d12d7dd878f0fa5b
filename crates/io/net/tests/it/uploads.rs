//! Bodies that come while they are sent.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{io::AsyncReadExt as _, join, sync::mpsc};
use tollgate_net::{ClientSettings, NetError, RequestBody};

use crate::peer::{OK, Server, bounds, client, post};

struct Piped(mpsc::Receiver<io::Result<Bytes>>);

impl Body for Piped {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

#[tokio::test]
async fn a_body_is_sent_as_it_comes() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let (pieces, body) = mpsc::channel(1);
    let outgoing = post(&server.url(), "");
    let bounds = bounds();
    let asking = client.send_with(&outgoing, RequestBody::stream(Piped(body)), &bounds);
    let answering = async {
        let mut peer = server.accept().await;
        assert!(peer.head().await.contains("transfer-encoding: chunked"));
        for piece in ["first", "other"] {
            // The second is not written before the first has arrived.
            pieces.send(Ok(Bytes::from(piece))).await.unwrap();
            let mut seen = [0; 10];
            peer.stream.read_exact(&mut seen).await.unwrap();
            assert_eq!(seen, format!("5\r\n{piece}\r\n").as_bytes());
        }
        drop(pieces);
        let mut end = [0; 5];
        peer.stream.read_exact(&mut end).await.unwrap();
        assert_eq!(&end, b"0\r\n\r\n");
        peer.write(OK).await;
    };
    let (response, ()) = join!(asking, answering);
    assert_eq!(response.unwrap().collect().await.unwrap(), "ok");
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_no_whole_request() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let (pieces, body) = mpsc::channel(2);
    pieces.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
    pieces.send(Err(io::ErrorKind::ConnectionReset.into())).await.unwrap();
    let outgoing = post(&server.url(), "");
    let bounds = bounds();
    let asking = client.send_with(&outgoing, RequestBody::stream(Piped(body)), &bounds);
    let answering = async {
        let mut peer = server.accept().await;
        let mut seen = String::new();
        let _ = peer.stream.read_to_string(&mut seen).await;
        seen
    };
    let (response, seen) = join!(asking, answering);
    assert!(matches!(response, Err(NetError::Closed)), "{response:?}");
    assert!(!seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_has_ended() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let (pieces, body) = mpsc::channel(1);
    pieces.send(Ok(Bytes::from_static(b"half"))).await.unwrap();
    let outgoing = post(&server.url(), "");
    let bounds = bounds();
    let asking = client.send_with(&outgoing, RequestBody::stream(Piped(body)), &bounds);
    let answering = async {
        let mut peer = server.accept().await;
        peer.head().await;
        peer.write("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await;
        peer
    };
    let (response, peer) = join!(asking, answering);
    assert_eq!(response.unwrap().status, 413);
    drop((pieces, peer));
}
