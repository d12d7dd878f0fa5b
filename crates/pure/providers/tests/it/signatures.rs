//! Our signatures are those of AWS's own library: `vectors/sigv4.json`, written by `scripts/sigv4-vectors`.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tollgate_providers::auth::{self, Grant};
use tollgate_wire::{Secret, http::Outgoing};

use crate::{golden::header, world};

const VECTORS: &str = include_str!("../vectors/sigv4.json");

fn signed(vector: &Value) -> Outgoing {
    let text = |name: &str| vector[name].as_str().expect("a text");
    let target = world::target(&json!({
        "model": format!("{}/m", text("service")), "aws_region_name": text("region"),
    }));
    let grant = Grant::Aws {
        access_key_id: Secret::new(text("access_key_id")),
        secret_access_key: Secret::new(text("secret_access_key")),
        session_token: vector["session_token"].as_str().map(Secret::new),
    };
    let body = base64::engine::general_purpose::STANDARD.decode(text("body")).expect("base64");
    let mut outgoing = Outgoing {
        method: text("method").parse().expect("a method"),
        url: text("url").to_owned(),
        headers: world::headers(&vector["headers"]),
        body: body.into(),
    };
    let now = Duration::from_secs(vector["time"].as_u64().expect("seconds"));
    auth::sign(&mut outgoing, &target.expect("a target"), &grant, now).expect("it can be signed");
    outgoing
}

#[test]
fn every_request_is_signed_as_aws_signs_it() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    assert!(vectors.len() > 10);
    for vector in &vectors {
        let outgoing = signed(vector);
        for (name, expected) in vector["signed"].as_object().expect("what is signed") {
            assert_eq!(header(&outgoing.headers, name), expected.as_str().expect("a text"), "{}", vector["name"]);
        }
        let token = vector["session_token"].as_str().unwrap_or_default();
        assert_eq!(header(&outgoing.headers, "x-amz-security-token"), token, "{}", vector["name"]);
    }
}

#[test]
fn any_change_of_the_request_changes_its_signature() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).expect("the vectors are JSON");
    let plain = vectors.first().expect("the first one");
    let before = header(&signed(plain).headers, "authorization").to_owned();
    for (name, value) in [("body", json!("e30K")), ("method", json!("PUT")), ("time", json!(1)), ("region", json!("x"))]
    {
        let mut changed = plain.clone();
        changed[name] = value;
        assert_ne!(header(&signed(&changed).headers, "authorization"), before, "{name}");
    }
}
