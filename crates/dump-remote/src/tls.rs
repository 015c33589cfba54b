//! Cryptography for https, and the certificates that are trusted.
//!
//! It is graviola, through rustls: no C compiler, and a licence that goes together with GPL-2.0-only. It has code for
//! x86-64 and AArch64 CPUs made since about 2013; elsewhere there is no https.

use dump_core::Error;
use ureq::config::ConfigBuilder;
use ureq::typestate::AgentScope;

/// Settings of a client.
pub(crate) type Settings = ConfigBuilder<AgentScope>;

/// What clients do https with.
pub(crate) struct Tls {
    /// Adds it to the settings of a client.
    pub add: Box<dyn Fn(Settings) -> Settings>,
    /// Why there is no https, if there is none.
    pub missing: Option<Error>,
    /// Whether the attempt does harm: not even a server may lead to https then.
    pub is_harmful: bool,
}

impl Tls {
    fn none(what: &str, is_harmful: bool) -> Tls {
        let e = Error::unsupported(format!("https is not to be had on {what}"));
        let e = e.hint("curl URL | gdump-fleet VERB - reads a dump through a pipe");
        Tls { add: Box::new(|settings| settings), missing: Some(e), is_harmful }
    }
}

/// What this machine and its system have.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn tls() -> Tls {
    Tls::none("this machine", false)
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use here::tls;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod here {
    use super::{Settings, Tls};
    use dump_core::{Error, ErrorKind};
    use std::sync::Arc;
    use ureq::tls::{Certificate, RootCerts, TlsConfig};

    /// What this machine and its system have.
    pub(crate) fn tls() -> Tls {
        if !has_instructions() {
            return Tls::none("this CPU", true);
        }
        let found = rustls_native_certs::load_native_certs();
        let missing = found.certs.is_empty().then(|| {
            let why = found.errors.first().map(|e| format!(": {e}")).unwrap_or_default();
            let text = format!("no certificates to be trusted are found{why}");
            Error::new(ErrorKind::Io, text).hint("SSL_CERT_FILE names some")
        });
        let trusted: Vec<_> = found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned()).collect();
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls_graviola::default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(trusted)))
            .build();
        Tls { add: Box::new(move |settings: Settings| settings.tls_config(tls.clone())), missing, is_harmful: false }
    }

    /// Whether the CPU has what graviola takes for granted, and panics without.
    #[cfg(target_arch = "x86_64")]
    fn has_instructions() -> bool {
        use std::arch::is_x86_feature_detected as has;
        has!("aes") && has!("pclmulqdq") && has!("bmi1") && has!("bmi2") && has!("adx") && has!("avx") && has!("avx2")
    }

    /// Whether the CPU has what graviola takes for granted, and panics without.
    #[cfg(target_arch = "aarch64")]
    fn has_instructions() -> bool {
        use std::arch::is_aarch64_feature_detected as has;
        has!("neon") && has!("aes") && has!("pmull") && has!("sha2")
    }
}
