//! Going through proxies, and past them.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    join,
};
use tollgate_net::{ClientSettings, NetError, ProxySettings};

use crate::{
    peer::{OK, Server, ask, bounds, client, post},
    secure::Authority,
};

fn through(pairs: &[(&str, String)]) -> ClientSettings {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    ClientSettings { proxy: ProxySettings::from_pairs(&pairs).unwrap(), ..ClientSettings::default() }
}

#[tokio::test]
async fn https_goes_through_a_tunnel_that_sees_no_request() {
    let (proxy, authority) = (Server::start().await, Authority::signing(&["provider.example"]));
    let mut settings = through(&[("HTTPS_PROXY", format!("http://me:pass@{}", proxy.authority()))]);
    settings.ca_bundle_pem = Some(authority.pem.clone());
    let client = client(settings);
    let serving = async {
        let mut peer = proxy.accept().await;
        let connect = peer.head().await;
        assert!(connect.starts_with("CONNECT provider.example:8443 HTTP/1.1\r\n"), "{connect}");
        assert!(connect.contains("Proxy-Authorization: Basic bWU6cGFzcw==\r\n"), "{connect}");
        peer.write("HTTP/1.1 200 Connection established\r\n\r\n").await;
        let mut inner = authority.accept(peer).await.unwrap();
        for _ in 0..2 {
            let request = inner.request().await;
            assert!(request.starts_with("POST /v1 HTTP/1.1\r\n"), "{request}");
            assert!(!request.to_lowercase().contains("proxy-authorization"), "{request}");
            inner.write(OK).await;
        }
        inner
    };
    let asking = async {
        for _ in 0..2 {
            assert_eq!(ask(&client, "https://provider.example:8443/v1").await.unwrap(), "ok");
        }
    };
    join!(serving, asking);
    proxy.assert_no_further_connection().await;
}

#[tokio::test]
async fn a_proxy_that_itself_speaks_tls_may_hold_the_tunnel() {
    let (proxy, authority) = (Server::start().await, Authority::signing(&["127.0.0.1", "provider.example"]));
    let mut settings = through(&[("HTTPS_PROXY", format!("https://{}", proxy.authority()))]);
    settings.ca_bundle_pem = Some(authority.pem.clone());
    let client = client(settings);
    let serving = async {
        let mut outer = authority.accept(proxy.accept().await).await.unwrap();
        assert!(outer.head().await.starts_with("CONNECT provider.example:443 "));
        outer.write("HTTP/1.1 200 OK\r\n\r\n").await;
        let mut inner = authority.accept(outer).await.unwrap();
        inner.request().await;
        inner.write(OK).await;
        inner
    };
    let (_inner, answer) = join!(serving, ask(&client, "https://provider.example/v1"));
    assert_eq!(answer.unwrap(), "ok");
}

#[tokio::test]
async fn plain_http_names_the_whole_url_to_the_proxy() {
    let proxy = Server::start().await;
    let client = client(through(&[("HTTP_PROXY", format!("http://me:pass@{}", proxy.authority()))]));
    let ((_peer, request), answer) = join!(proxy.answer(OK), ask(&client, "http://provider.example:8080/v1?a=b"));
    assert_eq!(answer.unwrap(), "ok");
    assert!(request.starts_with("POST http://provider.example:8080/v1?a=b HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("host: provider.example:8080\r\n"), "{request}");
    assert!(request.contains("proxy-authorization: Basic bWU6cGFzcw==\r\n"), "{request}");
}

#[tokio::test]
async fn a_tunnel_refused_is_a_failure_to_connect() {
    let proxy = Server::start().await;
    let client = client(through(&[("ALL_PROXY", format!("http://{}", proxy.authority()))]));
    let serving = async {
        let mut peer = proxy.accept().await;
        peer.head().await;
        peer.write("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        peer
    };
    let (_peer, answer) = join!(serving, ask(&client, "https://provider.example/v1"));
    let error = answer.unwrap_err();
    assert!(matches!(error, NetError::Connect { .. }) && error.to_string().contains("proxy"), "{error}");
}

#[tokio::test]
async fn exceptions_go_past_the_proxy() {
    let (server, proxy) = (Server::start().await, Server::start().await);
    let pairs = [("ALL_PROXY", format!("http://{}", proxy.authority())), ("NO_PROXY", "127.0.0.0/8".to_owned())];
    let client = client(through(&pairs));
    let url = server.url();
    let ((_peer, request), answer) = join!(server.answer(OK), ask(&client, &url));
    assert_eq!(answer.unwrap(), "ok");
    assert!(request.starts_with("POST /v1/chat HTTP/1.1\r\n"), "{request}");
    proxy.assert_no_further_connection().await;
}

#[tokio::test]
async fn socks5_resolves_the_name_at_the_proxy() {
    let proxy = Server::start().await;
    let client = client(through(&[("ALL_PROXY", format!("socks5h://{}", proxy.authority()))]));
    let serving = async {
        let mut peer = proxy.accept().await;
        let mut greeting = [0; 3];
        peer.stream.read_exact(&mut greeting).await.unwrap();
        assert_eq!(greeting, [5, 1, 0]);
        peer.stream.write_all(&[5, 0]).await.unwrap();
        let mut wish = [0; 5 + 16 + 2];
        peer.stream.read_exact(&mut wish).await.unwrap();
        assert_eq!(wish[..5], [5, 1, 0, 3, 16]);
        assert_eq!(&wish[5..21], b"provider.example");
        assert_eq!(u16::from_be_bytes([wish[21], wish[22]]), 80);
        peer.stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        let request = peer.request().await;
        peer.write(OK).await;
        (peer, request)
    };
    let ((_peer, request), answer) = join!(serving, ask(&client, "http://provider.example/v1"));
    assert_eq!(answer.unwrap(), "ok");
    assert!(request.starts_with("POST /v1 HTTP/1.1\r\n"), "{request}");
}

#[tokio::test]
async fn a_proxy_is_told_a_pinned_address_and_not_the_name() {
    let (proxy, authority) = (Server::start().await, Authority::signing(&["media.invalid"]));
    let at = format!("http://{}", proxy.authority());
    let mut settings = through(&[("HTTPS_PROXY", at.clone()), ("HTTP_PROXY", at)]);
    settings.ca_bundle_pem = Some(authority.pem.clone());
    let client = client(settings);
    let bounds = bounds();
    let (tunnelled, forwarded) = (post("https://media.invalid/a", ""), post("http://media.invalid/b", ""));
    let serving = async {
        let mut peer = proxy.accept().await;
        let connect = peer.head().await;
        assert!(connect.starts_with("CONNECT 192.0.2.7:443 HTTP/1.1\r\n"), "{connect}");
        assert!(!connect.contains("media.invalid"), "{connect}");
        peer.write("HTTP/1.1 200 OK\r\n\r\n").await;
        let mut inner = authority.accept(peer).await.unwrap();
        inner.request().await;
        inner.write(OK).await;
        let (_peer, request) = proxy.answer(OK).await;
        assert!(request.starts_with("POST http://192.0.2.7:80/b HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("host: media.invalid\r\n"), "{request}");
    };
    let asking = async {
        for (outgoing, address) in [(&tunnelled, "192.0.2.7:443"), (&forwarded, "192.0.2.7:80")] {
            let answer = client.send_to(outgoing, &[address.parse().unwrap()], &bounds).await.unwrap();
            assert_eq!(answer.collect().await.unwrap(), "ok");
        }
        let nowhere = client.send_to(&tunnelled, &[], &bounds).await;
        assert!(matches!(nowhere, Err(NetError::Dns { .. })));
    };
    let (_held, ()) = join!(async { (serving.await, proxy.accept().await) }, asking);
}
