//! The routes as hyper calls them, and the count of a connection's requests that still run.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{Router, body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderValue, Request, header::UPGRADE};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use hyper_util::service::TowerToHyperService;
use tollgate_gateway::PEER;

use crate::{
    routes::sockets::Held,
    socket::{Requests, Running},
};

/// The routes, for one connection.
#[derive(Clone)]
pub(crate) struct Counted {
    routes: TowerToHyperService<Router>,
    requests: Arc<Requests>,
    /// The client's address.
    peer: Option<HeaderValue>,
}

impl Counted {
    pub(crate) fn new(router: Router, requests: Arc<Requests>, peer: Option<IpAddr>) -> Self {
        let peer = peer.and_then(|address| HeaderValue::try_from(address.to_canonical().to_string()).ok());
        Self { routes: TowerToHyperService::new(router), requests, peer }
    }
}

impl hyper::service::Service<Request<Incoming>> for Counted {
    type Response = Response<CountedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let running = self.requests.begin();
        // Nobody else says where a request comes from.
        match &self.peer {
            Some(peer) => request.headers_mut().insert(PEER, peer.clone()),
            None => request.headers_mut().remove(PEER),
        };
        // What becomes a socket runs longer than its answer.
        if request.headers().contains_key(UPGRADE) {
            request.extensions_mut().insert(Held::new(self.requests.begin()));
        }
        let answering = self.routes.call(request);
        Box::pin(async move { Ok(answering.await?.map(|body| CountedBody { body, _running: running })) })
    }
}

/// A body that belongs to a running request until its last byte is written.
pub(crate) struct CountedBody {
    body: Body,
    _running: Running,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
