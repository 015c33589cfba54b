//! Where a QMP server listens.

use dump_core::{Error, Result};
use std::fmt;
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a QMP server listens, as `-qmp` of QEMU has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system. Files are passed through it, and it tells which process is at the other end.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

impl FromStr for Address {
    type Err = Error;

    /// `PATH`, `unix:PATH`, `tcp:HOST:PORT`.
    fn from_str(text: &str) -> Result<Address> {
        let tcp = text.strip_prefix("tcp:");
        match (tcp, text.strip_prefix("unix:").unwrap_or(text)) {
            (Some(host), _) if has_port(host) => Ok(Address::Tcp(host.to_owned())),
            (Some(host), _) => Err(Error::unsupported(format!("tcp:{host}: expected tcp:HOST:PORT"))),
            (None, "") => Err(Error::unsupported("expected the path of a socket, or tcp:HOST:PORT")),
            (None, path) => Ok(Address::Unix(path.into())),
        }
    }
}

impl Address {
    /// Whether the server is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Address::Unix(_) => true,
            Address::Tcp(host) => {
                let mut found = host.to_socket_addrs().into_iter().flatten().peekable();
                found.peek().is_some() && found.all(|address| address.ip().is_loopback())
            }
        }
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(name, port)| !name.is_empty() && port.parse::<u16>().is_ok())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => path.display().fmt(f),
            Address::Tcp(host) => write!(f, "tcp:{host}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_is_what_loops_back() {
        assert!(Address::Tcp("127.0.0.1:1".into()).is_local() && Address::Unix("x".into()).is_local());
        assert!(!Address::Tcp("192.0.2.1:1".into()).is_local());
    }

    #[test]
    fn as_written() {
        for (text, want) in [
            ("/run/vm.sock", Some(Address::Unix("/run/vm.sock".into()))),
            ("unix:vm.sock", Some(Address::Unix("vm.sock".into()))),
            ("tcp:host:4444", Some(Address::Tcp("host:4444".into()))),
            ("tcp:[::1]:4444", Some(Address::Tcp("[::1]:4444".into()))),
            ("tcp:host", None),
            ("tcp::1", None),
            ("", None),
            ("unix:", None),
        ] {
            assert_eq!(text.parse::<Address>().ok(), want, "{text}");
        }
    }
}
