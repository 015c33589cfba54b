//! Opens files on servers by their names.

use crate::account::Account;
use crate::file::{RemoteFile, Shared};
use crate::patience::Patience;
use crate::place::{Place, is_remote};
use dump_core::{Error, Opener, Reach, ReadAt, Result};
use std::sync::{Arc, OnceLock};

/// What says to a process where servers are, in all C libraries; and where links to the first of them lead.
const RESOLVER: [&str; 7] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/run/systemd/resolve",
];

/// Of name servers, whose answers may be too long for a datagram.
const DNS: u16 = 53;

/// Where redirects lead.
const WEB: [u16; 2] = [80, 443];

/// Opens files on HTTP servers, `http://` and `https://`, and in S3-compatible stores, `s3://BUCKET/KEY`.
///
/// All of them share connections and what was fetched. Nothing is read or connected to before it is asked for something.
#[derive(Debug, Default)]
pub struct Remote {
    patience: Patience,
    shared: OnceLock<Arc<Shared>>,
    account: OnceLock<Result<Account>>,
}

impl Remote {
    /// One that waits for servers as `patience` says.
    pub fn with(patience: Patience) -> Remote {
        Remote { patience, ..Remote::default() }
    }

    /// One that asks S3 by an account of the caller's, rather than by what the environment says.
    #[must_use]
    pub fn asking_by(self, account: Account) -> Remote {
        Remote { account: OnceLock::from(Ok(account)), ..self }
    }

    fn place(&self, name: &str) -> Result<Place> {
        Place::of(name, || self.account.get_or_init(Account::from_env).clone())
    }

    fn shared(&self) -> &Arc<Shared> {
        self.shared.get_or_init(|| Arc::new(Shared::new(self.patience.clone())))
    }
}

impl Opener for Remote {
    fn takes(&self, name: &str) -> bool {
        is_remote(name)
    }

    fn prepare(&self, names: &[&str]) -> Result<Reach> {
        let mut ports: Vec<u16> = WEB.into_iter().chain([DNS]).collect();
        for name in names {
            let place = self.place(name).map_err(|e| e.within(name))?;
            ports.extend(place.server().port_or_known_default());
        }
        ports.extend(self.shared().client.proxy_port());
        ports.sort_unstable();
        ports.dedup();
        Ok(Reach { files: RESOLVER.iter().map(Into::into).collect(), ports })
    }

    fn open(&self, name: &str) -> Result<Arc<dyn ReadAt>> {
        RemoteFile::open(self.shared(), name, self.place(name)?)
    }

    fn failure(&self) -> Option<Error> {
        self.shared.get()?.failure()
    }
}
