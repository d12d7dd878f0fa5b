//! A TCP proxy before a server that a test wants to be slow or away: bytes flow, stand still, or connections break.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// They go on.
    Open,
    /// They go on after so long, in either direction.
    Slow(Duration),
    /// They wait, and so do new connections.
    Stalled,
    /// Connections break, and new ones end at once.
    Broken,
}

/// A proxy on a free port of this machine; dropping it breaks all connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    flow: watch::Sender<Flow>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Starts before the server at this port of this machine.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound listener knows its address");
        let (flow, flowing) = watch::channel(Flow::Open);
        let accepting = tokio::spawn(accept(listener, port, flowing));
        Self { address, flow, accepting }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// From now on bytes fare so.
    pub fn set(&self, flow: Flow) {
        self.flow.send_replace(flow);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The connections live in a set inside this task and end with it.
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, port: u16, flow: watch::Receiver<Flow>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(carry(client, port, flow.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn carry(client: TcpStream, port: u16, mut flow: watch::Receiver<Flow>) {
    if !passes(&mut flow).await {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut breaks = flow.clone();
    tokio::select! {
        () = pump(from_client, to_server, flow.clone()) => {}
        () = pump(from_server, to_client, flow) => {}
        _ = breaks.wait_for(|flow| *flow == Flow::Broken) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut flow: watch::Receiver<Flow>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        if !passes(&mut flow).await || to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Waits until bytes may pass; `false` if they never will.
async fn passes(flow: &mut watch::Receiver<Flow>) -> bool {
    let now = *flow.borrow();
    if let Flow::Slow(wait) = now {
        tokio::time::sleep(wait).await;
    }
    flow.wait_for(|flow| *flow != Flow::Stalled).await.is_ok_and(|flow| *flow != Flow::Broken)
}
