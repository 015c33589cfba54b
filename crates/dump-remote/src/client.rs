//! Requests for ranges of files.

use crate::patience::Patience;
use crate::tls::tls;
use crate::trouble::{Tried, Trouble};
use dump_core::Error;
use std::fmt;
use std::ops::Range;
use ureq::http::{Response, header};
use ureq::{Agent, Body};

/// Connections to a server that are kept open, as many as there may be workers.
const CONNECTIONS: usize = 32;

/// Asks servers for ranges of files. Settings are those of an agent, not of a request: each request with settings of its
/// own would have a connection of its own.
pub(crate) struct Client {
    /// For http, which may lead to https.
    http: Agent,
    /// For https, which may not lead to http.
    https: Agent,
    /// For what is signed, which leads nowhere: a signature is good for one host.
    signed: Agent,
    /// Why it cannot do https, if it cannot.
    no_https: Option<Error>,
}

/// What is asked for.
pub(crate) struct Request<'a> {
    pub url: &'a str,
    /// Bytes of the file; not empty.
    pub range: Range<u64>,
    /// The ETag that the file must have.
    pub etag: Option<&'a str>,
    /// Whether the server may send the request on to another.
    pub follows: bool,
    /// Whether the file was opened before.
    pub opened: bool,
}

impl Client {
    /// A client with the certificates that the system trusts.
    pub fn new(patience: &Patience) -> Client {
        let tls = tls();
        let agent = |https_only: bool, redirects: u32| {
            let settings = Agent::config_builder()
                .http_status_as_error(false)
                .https_only(https_only)
                .max_redirects(if tls.is_harmful { 0 } else { redirects })
                .max_redirects_will_error(false)
                .user_agent(concat!("gdump/", env!("CARGO_PKG_VERSION")))
                .accept_encoding("identity")
                .max_idle_connections(CONNECTIONS)
                .max_idle_connections_per_host(CONNECTIONS)
                .timeout_connect(Some(patience.connect))
                .timeout_recv_response(Some(patience.answer))
                .timeout_per_read(Some(patience.answer))
                .timeout_per_write(Some(patience.answer));
            (tls.add)(settings).build().new_agent()
        };
        let (http, https, signed) = (agent(false, 10), agent(true, 10), agent(false, 0));
        Client { http, https, signed, no_https: tls.missing }
    }

    /// Why files cannot be read over https, if they cannot.
    pub fn no_https(&self) -> Option<&Error> {
        self.no_https.as_ref()
    }

    /// The port of the proxy that the environment names, which is connected to in the place of servers.
    pub fn proxy_port(&self) -> Option<u16> {
        Some(self.http.config().proxy()?.port())
    }

    /// The answer to a request, whatever it is; its body is still to be read.
    pub fn get(&self, request: &Request<'_>) -> Tried<Response<Body>> {
        let agent = match request.follows {
            false => &self.signed,
            true if request.url.starts_with("https:") => &self.https,
            true => &self.http,
        };
        let Range { start, end } = request.range;
        let asked = agent.get(request.url).header(header::RANGE, format!("bytes={start}-{}", end - 1));
        let asked = request.etag.iter().fold(asked, |asked, etag| asked.header(header::IF_MATCH, *etag));
        asked.call().map_err(|e| Trouble::without_answer(&e, request.opened))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}
