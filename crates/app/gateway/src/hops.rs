//! Calls to ourselves: an `api_base` that leads back here, through whatever gateways, is found by the user agent.

use http::{HeaderValue, header};
use tollgate_wire::{Failure, FailureKind, http::Outgoing};

use crate::deployment::Place;

/// Who we are, to providers.
const AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));
/// Gateways in a row, before we take it for a circle.
const MOST_HOPS: usize = 16;

/// Names us as the user agent. Where the request may reach a gateway, the name holds which process we are, and which
/// gateways came before us: back at ours, it is a call to ourselves (decision 33). A provider's own address learns
/// nothing of that; a configured user agent stays in front. `inbound` are the client's headers.
///
/// # Errors
/// [`FailureKind::SelfCall`] where the request has been here, or came through too many gateways.
pub(crate) fn mark(
    instance: &str,
    inbound: &http::HeaderMap,
    place: &Place,
    outgoing: &mut Outgoing,
) -> Result<(), Failure> {
    let home = place.target.provider.base_url;
    // A local server's default address (vLLM's is ours) may well be a gateway's.
    if home.starts_with("https://") && place.address.starts_with(home) {
        outgoing.headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        return Ok(());
    }
    let hops: Vec<&str> = inbound.get(header::USER_AGENT).map(hops_of).unwrap_or_default();
    if hops.contains(&instance) || hops.len() >= MOST_HOPS {
        let words = format!("api_base {} leads back to this gateway; point it at the model server", place.address);
        return Err(Failure::new(FailureKind::SelfCall, words));
    }
    let configured = outgoing.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let mut agent = configured.map_or_else(|| format!("{AGENT} ("), |own| format!("{own} {AGENT} ("));
    for hop in hops {
        agent.push_str(hop);
        agent.push(' ');
    }
    agent.push_str(instance);
    agent.push(')');
    if let Ok(value) = HeaderValue::from_str(&agent) {
        outgoing.headers.insert(header::USER_AGENT, value);
    }
    Ok(())
}

/// The gateways that a request came through: the words in the brackets of a user agent of ours.
fn hops_of(agent: &HeaderValue) -> Vec<&str> {
    let ours = agent.to_str().ok().and_then(|text| text.split_once("tollgate/")).map(|(_, rest)| rest);
    let inner = ours.and_then(|rest| rest.split_once(" (")?.1.strip_suffix(')'));
    inner.map(|ids| ids.split(' ').collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_read_behind_whatever_name_was_configured() {
        let check = |agent: &'static str, expected: &[&str]| {
            assert_eq!(hops_of(&HeaderValue::from_static(agent)), expected, "{agent}");
        };
        check("tollgate/0.1.0 (aa bb)", &["aa", "bb"]);
        check("my-service/2 tollgate/0.1.0 (aa)", &["aa"]);
        check("curl/8.0", &[]);
        check("tollgate/0.1.0", &[]);
    }
}
