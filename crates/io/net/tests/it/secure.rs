//! TLS: whom the client trusts, and that a cut under TLS is a cut.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    join,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tollgate_net::{ClientSettings, NetError};

use crate::peer::{OK, Peer, Server, ask, bounds, client, drain, post};

/// A certificate authority of our own and a server certificate for `names` signed by it.
pub(crate) struct Authority {
    pub(crate) pem: Vec<u8>,
    acceptor: TlsAcceptor,
}

impl Authority {
    pub(crate) fn signing(names: &[&str]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        let chain = vec![CertificateDer::from(certificate)];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self { pem: issuer.pem().into_bytes(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(crate) async fn accept<S>(&self, peer: Peer<S>) -> std::io::Result<Peer<TlsStream<S>>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        Ok(Peer { stream: self.acceptor.accept(peer.stream).await? })
    }
}

/// One call over TLS to a server whose certificate is for `name`.
async fn call(name: &str, settings: impl FnOnce(&Authority) -> ClientSettings) -> Result<String, NetError> {
    let (server, authority) = (Server::start().await, Authority::signing(&[name]));
    let client = client(settings(&authority));
    let serving = async {
        let mut peer = authority.accept(server.accept().await).await.ok()?;
        for _ in 0..2 {
            peer.request().await;
            peer.write(OK).await;
        }
        Some(peer)
    };
    let url = format!("https://{}/", server.authority());
    let asking = async {
        ask(&client, &url).await?;
        // The second call shows that a TLS connection is kept too.
        ask(&client, &url).await
    };
    join!(serving, asking).1
}

fn trusting(authority: &Authority) -> ClientSettings {
    ClientSettings { ca_bundle_pem: Some(authority.pem.clone()), ..ClientSettings::default() }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_when_it_is_in_the_bundle() {
    assert_eq!(call("127.0.0.1", trusting).await.unwrap(), "ok");
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let error = call("127.0.0.1", |_| ClientSettings::default()).await.unwrap_err();
    assert!(matches!(error, NetError::Tls { .. }) && error.to_string().contains("UnknownIssuer"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let error = call("elsewhere.example", trusting).await.unwrap_err();
    assert!(matches!(error, NetError::Tls { .. }), "{error}");
}

#[tokio::test]
async fn with_verification_off_everybody_is_trusted() {
    let off = |_: &Authority| ClientSettings { verify: false, ..ClientSettings::default() };
    assert_eq!(call("elsewhere.example", off).await.unwrap(), "ok");
}

#[tokio::test]
async fn a_server_without_tls_is_no_tls_server() {
    let server = Server::start().await;
    let client = client(ClientSettings::default());
    let serving = async {
        let mut peer = server.accept().await;
        peer.write("HTTP/1.1 400 Speak HTTP\r\n\r\n").await;
        peer
    };
    let url = format!("https://{}/", server.authority());
    let (_peer, answer) = join!(serving, ask(&client, &url));
    assert!(matches!(answer, Err(NetError::Tls { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_tls_body_that_ends_without_a_farewell_is_cut() {
    let (server, authority) = (Server::start().await, Authority::signing(&["127.0.0.1"]));
    let client = client(trusting(&authority));
    let serving = async |polite: bool| {
        let mut peer = authority.accept(server.accept().await).await.unwrap();
        peer.request().await;
        peer.write("HTTP/1.1 200 OK\r\n\r\nso far").await;
        if polite {
            peer.stream.shutdown().await.unwrap();
        }
    };
    let outgoing = post(&format!("https://{}/", server.authority()), "");
    for polite in [true, false] {
        let asking = async { drain(client.send(&outgoing, &bounds()).await.unwrap()).await };
        let ((), (seen, error)) = join!(serving(polite), asking);
        assert_eq!(seen, b"so far");
        assert_eq!(matches!(error, Some(NetError::Cut)), !polite, "{error:?}");
    }
}

#[test]
fn a_bundle_without_certificates_is_refused() {
    for bundle in ["", "not pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let settings = ClientSettings { ca_bundle_pem: Some(bundle.into()), ..ClientSettings::default() };
        let clock = Arc::new(tollgate_wire::clock::FixedClock::default());
        let Err(NetError::Setting(message)) = tollgate_net::Client::new(settings, clock) else { panic!("{bundle}") };
        assert!(message.contains("CA bundle"), "{message}");
    }
}

#[tokio::test]
async fn a_pinned_address_is_asked_and_the_certificate_is_the_names() {
    let (server, authority) = (Server::start().await, Authority::signing(&["pinned.invalid"]));
    let client = client(trusting(&authority));
    let address: std::net::SocketAddr = server.authority().parse().unwrap();
    for (name, trusted) in [("pinned.invalid", true), ("other.invalid", false)] {
        let serving = async {
            let mut peer = authority.accept(server.accept().await).await.ok()?;
            let request = peer.request().await;
            peer.write(OK).await;
            Some((request, peer))
        };
        let outgoing = post(&format!("https://{name}:{}/x", address.port()), "");
        let (bounds, addresses) = (bounds(), [address]);
        let (served, answer) = join!(serving, client.send_to(&outgoing, &addresses, &bounds));
        assert_eq!(answer.is_ok(), trusted, "{name}");
        let Some((request, _)) = served else {
            assert!(!trusted && matches!(answer, Err(NetError::Tls { .. })));
            continue;
        };
        let host = format!("host: {name}:{}", address.port());
        assert!(request.contains(&host) && request.contains("connection: close"), "{request}");
    }
}
