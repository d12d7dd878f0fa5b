//! The cheap question whether a provider is there: any HTTP answer from its address will do.

use std::time::Duration;

use http::Method;
use tollgate_net::{Bounds, Client};
use tollgate_wire::http::Outgoing;

use crate::deployment::Place;

/// How long a provider may take to show that it is there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for `GET <base>/models` with the deployment's key. Every status but 401 and 403 (the key is refused) and 5xx
/// is a sign of life: many servers have no such path.
pub(crate) async fn reachable(client: &Client, place: &Place) -> Result<(), String> {
    let headers = place.target.request_headers().map_err(|failure| failure.message)?;
    let outgoing =
        Outgoing { method: Method::GET, url: format!("{}/models", place.address), headers, body: bytes::Bytes::new() };
    let bounds = Bounds { first_byte: PATIENCE, idle: PATIENCE, total: Some(PATIENCE), max_body: 1 << 20 };
    match client.send(&outgoing, &bounds).await {
        Ok(response) if matches!(response.status.as_u16(), 401 | 403) => {
            Err(format!("the provider refuses the key ({})", response.status))
        }
        Ok(response) if response.status.is_server_error() => Err(format!("the provider answers {}", response.status)),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}
