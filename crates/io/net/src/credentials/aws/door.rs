//! AWS's library asks through our client: one TLS, one list of proxies, one set of certificates.

use std::time::Duration;

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use http::header;
use tollgate_wire::http::Outgoing;

use crate::{Bounds, Client, NetError};

/// How long one request may take where AWS's library does not say.
const PATIENCE: Duration = Duration::from_secs(10);
/// Largest answer, bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Our client in the form that AWS's library takes.
#[derive(Clone)]
pub(super) struct Door {
    client: Client,
    bounds: Bounds,
}

impl Door {
    pub(super) fn new(client: Client) -> Self {
        let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: MAX_ANSWER };
        Self { client, bounds }
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

impl HttpClient for Door {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let mut own = self.clone();
        // Off AWS nobody answers at the instance's address; its library waits there for a second only.
        let connect = settings.connect_timeout().unwrap_or(PATIENCE);
        let read = settings.read_timeout().unwrap_or(PATIENCE);
        own.bounds.first_byte = read;
        own.bounds.total = Some(connect.saturating_add(read).min(PATIENCE));
        SharedHttpConnector::new(own)
    }
}

impl HttpConnector for Door {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let own = self.clone();
        HttpConnectorFuture::new(async move { Box::pin(own.carry(request)).await })
    }
}

impl Door {
    async fn carry(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (head, body) = request.into_parts();
        let Some(body) = body.bytes() else {
            return Err(ConnectorError::user("a body that is not there at once".into()));
        };
        let mut headers = head.headers;
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        let body = bytes::Bytes::copy_from_slice(body);
        let outgoing = Outgoing { method: head.method, url: head.uri.to_string(), headers, body };
        let mut response = self.client.send(&outgoing, &self.bounds).await.map_err(failed)?;
        let (status, headers) = (response.status, std::mem::take(&mut response.headers));
        let body = response.collect().await.map_err(failed)?;
        let mut answer = http::Response::new(SdkBody::from(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
    }
}

fn failed(error: NetError) -> ConnectorError {
    match error {
        NetError::Timeout { .. } => ConnectorError::timeout(error.into()),
        other => ConnectorError::io(other.into()),
    }
}
