//! What a service account says of itself, signed (RFC 7515, RFC 7523).

use std::time::Duration;

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::{Value, json};
use tollgate_wire::Secret;

use super::{GoogleError, SCOPE};

/// How long an assertion may be exchanged; Google's most.
const LIVES: u64 = 3600;

/// The assertion that is exchanged for a token.
pub(super) fn assertion(
    email: &str,
    key_id: Option<&str>,
    private_key: &Secret,
    audience: &str,
    now: Duration,
) -> Result<Secret, GoogleError> {
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let (Some(header), Some(id)) = (header.as_object_mut(), key_id) {
        header.insert("kid".to_owned(), id.into());
    }
    let issued = now.as_secs();
    let claims = json!({"iss": email, "scope": SCOPE, "aud": audience, "iat": issued, "exp": issued + LIVES});
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature = sign(private_key, signed.as_bytes())?;
    Ok(Secret::new(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

fn sign(private_key: &Secret, message: &[u8]) -> Result<Vec<u8>, GoogleError> {
    // Files that went through an environment variable have lost their line ends.
    let pem = private_key.expose().replace("\\n", "\n");
    let key = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| GoogleError::Key)? {
        PrivateKeyDer::Pkcs8(key) => RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()),
        PrivateKeyDer::Pkcs1(key) => RsaKeyPair::from_der(key.secret_pkcs1_der()),
        _ => return Err(GoogleError::Key),
    };
    let key = key.map_err(|_| GoogleError::Key)?;
    let mut signature = vec![0; key.public_modulus_len()];
    let signed = key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
    signed.map(|()| signature).map_err(|_| GoogleError::Key)
}
