//! Dumps over https.

use crate::served::{Content, Manner, Served, Stream};
use crate::{ok, program, scratch, serve, tiny};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What a connection speaks through.
fn secure(stream: std::net::TcpStream) -> Box<dyn Stream> {
    let file = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/remote/tls").join(name);
    let (cert, key) = (CertificateDer::from_pem_file(file("leaf.pem")), PrivateKeyDer::from_pem_file(file("key.pem")));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls_graviola::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.unwrap()], key.unwrap());
    let connection = rustls::ServerConnection::new(Arc::new(config.unwrap())).unwrap();
    Box::new(rustls::StreamOwned::new(connection, stream))
}

#[test]
fn over_https() {
    let served = Served::through(Content::bytes(&tiny().1), Manner::Well, secure);
    let url = format!("https://localhost:{}/x", served.address().port());
    let trusted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/remote/tls/root.pem");
    let out = program().args(["info", &url]).env("SSL_CERT_FILE", &trusted).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let plain = serve(&tiny().1, Manner::Well);
    let want = ok(&["info", &plain.url()]).replace(&plain.url(), "NAME");
    assert_eq!(String::from_utf8(out.stdout).unwrap().replace(&url, "NAME"), want);

    // no certificates, and none that vouches for the server
    let dir = scratch();
    let none = dir.path().join("none.pem");
    fs::write(&none, "").unwrap();
    let other = trusted.with_file_name("leaf.pem");
    for (trusted, words) in
        [(none, "no certificates to be trusted"), (other, "invalid peer certificate: UnknownIssuer")]
    {
        let out = program().args(["info", &url]).env("SSL_CERT_FILE", trusted).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.contains(words), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}
