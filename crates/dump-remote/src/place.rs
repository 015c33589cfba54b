//! Where a file is, by its name.

use crate::account::Account;
use dump_core::{Error, Result};
use rusty_s3::{Bucket, Credentials, S3Action};
use std::time::Duration;
use url::Url;

const HTTP: [&str; 2] = ["http://", "https://"];
const S3: &str = "s3://";

/// How long a signature is good for: a request is made as soon as it is signed, but clocks differ.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// Whether `name` is one of a file on a server: begins with `http://`, `https://` or `s3://`.
pub fn is_remote(name: &str) -> bool {
    HTTP.iter().chain([&S3]).any(|start| begins(name, start))
}

fn begins(name: &str, start: &str) -> bool {
    name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// Where a file is.
#[derive(Debug)]
pub(crate) enum Place {
    /// On an HTTP server.
    Url(Url),
    /// In a bucket.
    Object { bucket: Bucket, key: String, credentials: Option<Credentials> },
}

impl Place {
    /// By a name that [`is_remote`]; `account` is asked for only where it is of S3.
    ///
    /// # Errors
    /// If the name is no URL, or names no object.
    pub fn of(name: &str, account: impl FnOnce() -> Result<Account>) -> Result<Place> {
        if !begins(name, S3) {
            let url = Url::parse(name).map_err(|e| Error::unsupported(format!("no URL: {e}")))?;
            return Ok(Place::Url(without_fragment(url)));
        }
        let path = name.get(S3.len()..).unwrap_or_default();
        let (bucket, key) = path
            .split_once('/')
            .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
            .ok_or_else(|| Error::unsupported("no object of S3: expected s3://BUCKET/KEY"))?;
        let account = account()?;
        let (bucket, key) = (account.bucket(bucket)?, key.to_owned());
        Ok(Place::Object { bucket, key, credentials: account.credentials().cloned() })
    }

    /// A URL to ask for it now.
    pub fn url(&self) -> String {
        match self {
            Place::Url(url) => url.to_string(),
            Place::Object { bucket, key, credentials } => {
                bucket.get_object(credentials.as_ref(), key).sign(SIGNED_FOR).to_string()
            }
        }
    }

    /// Whether another URL that a server names is followed. A signature is good for one host.
    pub fn follows(&self) -> bool {
        matches!(self, Place::Url(_))
    }

    /// The server.
    pub fn server(&self) -> &Url {
        match self {
            Place::Url(url) => url,
            Place::Object { bucket, .. } => bucket.base_url(),
        }
    }

    /// Whether it is read over https.
    pub fn is_secure(&self) -> bool {
        self.server().scheme() == "https"
    }

    /// What may help where a server refuses access.
    pub fn hint(&self) -> &'static str {
        match self {
            Place::Url(_) => "a URL may have a user and a password: http://USER:PASSWORD@HOST/PATH",
            Place::Object { credentials: None, .. } => {
                "asked as nobody: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            }
            Place::Object { .. } => {
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION say as whom"
            }
        }
    }
}

fn without_fragment(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_on_servers() {
        for name in ["http://h/x", "HTTPS://h/x", "s3://b/k"] {
            assert!(is_remote(name), "{name}");
        }
        for name in ["", "http:/h/x", "./http://h/x", "ftp://h/x", "s3:/b", "/http://h", "httpé//"] {
            assert!(!is_remote(name), "{name}");
        }
    }

    #[test]
    fn urls_of_names() {
        let account = || Account::from_env().map_err(|_| Error::bug("not asked for"));
        let url = |name: &str| Place::of(name, account).map(|place| place.url());
        assert_eq!(url("http://h:81/a b?c=d#e").unwrap(), "http://h:81/a%20b?c=d");
        for name in ["http://", "http://h:99999/", "s3://b", "s3://b/", "s3:///k"] {
            assert!(url(name).is_err(), "{name}");
        }
    }
}
