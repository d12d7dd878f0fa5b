//! Whom we trust: the system's roots, a bundle of one's own, or (`ssl_verify: false`) anybody.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _};
use tokio_rustls::TlsConnector;

use crate::{NetError, error::is_tls, stream::Stream};

/// The TLS side of a client; built once, shared by all its connections, remembers sessions.
#[derive(Clone)]
pub(crate) struct Tls(TlsConnector);

impl Tls {
    /// Reads the trusted roots from disk unless `verify` is off.
    pub(crate) fn new(verify: bool, bundle: Option<&[u8]>) -> Result<Self, NetError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| NetError::Setting(format!("TLS cannot be set up: {error}")))?;
        let mut config = if verify {
            builder.with_root_certificates(roots(bundle)?).with_no_client_auth()
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))).with_no_client_auth()
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with `host` over `stream`.
    pub(crate) async fn wrap(&self, host: &str, stream: Stream) -> Result<Stream, NetError> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| NetError::Setting("the provider's host name cannot be in a certificate".to_owned()))?;
        let wrapped = self.0.connect(name, stream).await;
        wrapped.map(|tls| Stream::Tls(Box::new(tls))).map_err(of_handshake)
    }
}

fn of_handshake(source: io::Error) -> NetError {
    if is_tls(&source) { NetError::Tls { source } } else { NetError::Connect { source } }
}

fn roots(bundle: Option<&[u8]>) -> Result<RootCertStore, NetError> {
    let mut roots = RootCertStore::empty();
    // The system's store; on Unix the crate lets SSL_CERT_FILE and SSL_CERT_DIR name another.
    let found = rustls_native_certs::load_native_certs();
    let (_, refused) = roots.add_parsable_certificates(found.certs);
    if refused > 0 || !found.errors.is_empty() {
        tracing::debug!(refused, unreadable = found.errors.len(), "some root certificates of the system were left out");
    }
    if let Some(pem) = bundle {
        add_bundle(&mut roots, pem)?;
    }
    if roots.is_empty() {
        tracing::warn!("no root certificates found: https calls will fail until the system or a CA bundle has some");
    }
    Ok(roots)
}

fn add_bundle(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), NetError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| NetError::Setting(format!("the CA bundle cannot be read: {error}")))?;
        roots
            .add(certificate)
            .map_err(|error| NetError::Setting(format!("a certificate of the CA bundle cannot be used: {error}")))?;
    }
    if roots.len() == before {
        return Err(NetError::Setting("the CA bundle holds no certificate".to_owned()));
    }
    Ok(())
}

/// Accepts every certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
