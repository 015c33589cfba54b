//! Where S3 is, and as whom it is asked: what the environment says, in the variables that all its clients know.

use dump_core::{Error, ErrorKind, Result};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use std::path::{Path, PathBuf};
use url::Url;

/// Where S3 is, and as whom it is asked.
#[derive(Clone, Debug)]
pub struct Account {
    /// `None` for Amazon's.
    endpoint: Option<Url>,
    region: String,
    /// `None` for nobody: what everybody may read can be read.
    credentials: Option<Credentials>,
}

/// The region of a store that has none.
const REGION: &str = "us-east-1";

impl Account {
    /// As the environment has it: `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`, `AWS_REGION` or `AWS_DEFAULT_REGION`,
    /// `AWS_ACCESS_KEY_ID` with `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, or else `AWS_PROFILE` of
    /// `AWS_SHARED_CREDENTIALS_FILE` (`~/.aws/credentials`).
    ///
    /// # Errors
    /// If the endpoint is no URL, or the file of credentials cannot be read or lacks the profile that was named.
    pub fn from_env() -> Result<Account> {
        Account::of(&|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn of(var: &dyn Fn(&str) -> Option<String>) -> Result<Account> {
        let endpoint = var("AWS_ENDPOINT_URL_S3").or_else(|| var("AWS_ENDPOINT_URL"));
        let region = var("AWS_REGION").or_else(|| var("AWS_DEFAULT_REGION")).unwrap_or_else(|| REGION.to_owned());
        Ok(Account {
            endpoint: endpoint.as_deref().map(endpoint_url).transpose()?,
            region,
            credentials: credentials(var)?,
        })
    }

    /// As whom objects are asked for.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The bucket called `name`. Amazon's are hosts of their own, unless the name makes none that a certificate is good
    /// for; those of others are folders.
    pub(crate) fn bucket(&self, name: &str) -> Result<Bucket> {
        let of_host = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let (endpoint, style) = match &self.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            None => {
                let style = if name.chars().all(of_host) { UrlStyle::VirtualHost } else { UrlStyle::Path };
                let domain = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                (endpoint_url(&format!("https://s3.{}.{domain}", self.region))?, style)
            }
        };
        let bucket = Bucket::new(endpoint, style, name.to_owned(), self.region.clone());
        bucket.map_err(|e| Error::unsupported(format!("no bucket can be called {name}: {e}")))
    }
}

fn endpoint_url(text: &str) -> Result<Url> {
    let folder = if text.ends_with('/') { text.to_owned() } else { format!("{text}/") };
    Url::parse(&folder).map_err(|e| Error::unsupported(format!("{text} is no URL of an S3 endpoint: {e}")))
}

fn credentials(var: &dyn Fn(&str) -> Option<String>) -> Result<Option<Credentials>> {
    if let (Some(key), Some(secret)) = (var("AWS_ACCESS_KEY_ID"), var("AWS_SECRET_ACCESS_KEY")) {
        return Ok(Some(with_token(key, secret, var("AWS_SESSION_TOKEN"))));
    }
    let home = || var("HOME").map(|home| Path::new(&home).join(".aws/credentials"));
    let given = var("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let (named, profile) = (given.is_some() || var("AWS_PROFILE").is_some(), var("AWS_PROFILE"));
    let Some(path) = given.or_else(home) else { return Ok(None) };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if !named => return Ok(None),
        Err(e) => return Err(Error::from(e).within(path.display())),
    };
    let profile = profile.unwrap_or_else(|| "default".to_owned());
    match in_file(&text, &profile) {
        None if named => {
            let text = format!("no aws_access_key_id and aws_secret_access_key of profile {profile}");
            Err(Error::new(ErrorKind::MissingInfo, text).within(path.display()))
        }
        found => Ok(found),
    }
}

/// The credentials of `[profile]` in a file with sections of lines `name = value`.
fn in_file(text: &str, profile: &str) -> Option<Credentials> {
    let (mut within, mut key, mut secret, mut token) = (false, None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            within = section.trim() == profile;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| within) else { continue };
        let value = Some(value.trim().to_owned());
        match name.trim() {
            "aws_access_key_id" => key = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(with_token(key?, secret?, token))
}

fn with_token(key: String, secret: String, token: Option<String>) -> Credentials {
    match token {
        Some(token) => Credentials::new_with_token(key, secret, token),
        None => Credentials::new(key, secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use rusty_s3::S3Action;
    use std::time::Duration;

    fn account(vars: &[(&str, &str)]) -> Result<Account> {
        Account::of(&|name| vars.iter().find(|(var, _)| *var == name).map(|(_, value)| (*value).to_owned()))
    }

    fn base(account: &Account, bucket: &str) -> String {
        account.bucket(bucket).unwrap().base_url().to_string()
    }

    #[test]
    fn amazons_or_another() {
        let amazon = account(&[("AWS_DEFAULT_REGION", "eu-west-3")]).unwrap();
        assert_eq!(base(&amazon, "dumps"), "https://dumps.s3.eu-west-3.amazonaws.com/");
        assert_eq!(base(&amazon, "my.dumps"), "https://s3.eu-west-3.amazonaws.com/my.dumps/");
        assert!(amazon.credentials().is_none());
        let other = [("AWS_ENDPOINT_URL", "http://x"), ("AWS_ENDPOINT_URL_S3", "http://localhost:9000/s3")];
        assert_eq!(base(&account(&other).unwrap(), "dumps"), "http://localhost:9000/s3/dumps/");
        let e = account(&[("AWS_ENDPOINT_URL", "localhost")]).unwrap_err();
        assert!(e.to_string().contains("no URL of an S3 endpoint"), "{e}");
    }

    #[test]
    fn keys_of_the_environment_or_of_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("credentials");
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key=b\n# c\n[other]\naws_access_key_id = d\n\
             aws_session_token = t\naws_secret_access_key = e=\n[half]\naws_access_key_id = f\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let keys = |vars: &[(&str, &str)]| {
            let account = account(vars)?;
            let all = account.credentials().map(|c| (c.key().to_owned(), c.secret().to_owned(), c.token().is_some()));
            Ok(all.unwrap_or_default())
        };
        let want = |key: &str, secret: &str, token| (key.to_owned(), secret.to_owned(), token);
        let at = ("AWS_SHARED_CREDENTIALS_FILE", file);
        assert_eq!(keys(&[at]).unwrap(), want("a", "b", false));
        assert_eq!(keys(&[at, ("AWS_PROFILE", "other")]).unwrap(), want("d", "e=", true));
        let own = [at, ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"), ("AWS_SESSION_TOKEN", "z")];
        assert_eq!(keys(&own).unwrap(), want("x", "y", true));
        for profile in ["half", "none"] {
            let e: Error = keys(&[at, ("AWS_PROFILE", profile)]).unwrap_err();
            assert!(e.to_string().contains(&format!("of profile {profile}")), "{e}");
        }
        assert!(keys(&[("AWS_SHARED_CREDENTIALS_FILE", "/no/such/file")]).is_err());
        assert_eq!(keys(&[("HOME", "/no/such/home")]).unwrap(), want("", "", false));
    }

    /// Amazon's own example, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
    #[test]
    fn signed_as_amazon_signs() {
        let key = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")];
        let secret = [("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")];
        let mut account = account(&[key, secret].concat()).unwrap();
        account.endpoint = None;
        let bucket = Bucket::new(
            endpoint_url("https://s3.amazonaws.com").unwrap(),
            UrlStyle::VirtualHost,
            "examplebucket",
            REGION,
        );
        let (bucket, now) = (bucket.unwrap(), "2013-05-24T00:00:00Z".parse::<Timestamp>().unwrap());
        let action = bucket.get_object(account.credentials(), "test.txt");
        let url = action.sign_with_time(Duration::from_secs(86_400), &now).to_string();
        let signature = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert!(url.ends_with(&format!("X-Amz-Signature={signature}")), "{url}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let own = [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "token")];
        let shown = format!("{:?}", account(&own).unwrap());
        assert!(!shown.contains("secret") && !shown.contains("token"), "{shown}");
    }
}
