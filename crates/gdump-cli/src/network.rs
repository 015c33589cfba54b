//! Dumps on servers: which names are of them, and what opens them, if this program can.

use crate::plan::Plan;
use dump::{Error, Opener, Reach, Result};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What names of files on servers begin with, whether this program opens them or not.
const SERVERS: [&str; 3] = ["http://", "https://", "s3://"];

/// What opens them.
static OPENER: OnceLock<Arc<dyn Opener>> = OnceLock::new();

/// Opens files on servers by `opener` from now on.
pub fn begin_with(opener: Option<Arc<dyn Opener>>) {
    if let Some(opener) = opener {
        let _ = OPENER.set(opener); // once, in main()
    }
}

/// What opens files on servers, if this program can.
pub fn opener() -> Option<Arc<dyn Opener>> {
    OPENER.get().map(Arc::clone)
}

/// Whether `path` is no path but a name of a file on a server.
pub fn is_remote(path: &Path) -> bool {
    let begins =
        |name: &str, start: &str| name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    path.to_str().is_some_and(|name| SERVERS.iter().any(|start| begins(name, start)))
}

/// Makes ready to open the dumps of `plan` that are on servers; what that takes, if any is.
///
/// # Errors
/// If one is and this program cannot, or what is no dump is named so.
pub fn prepare(plan: &Plan) -> Result<Option<Reach>> {
    let dumps = plan.dumps();
    let others = plan.inputs().into_iter().filter(|path| !dumps.contains(path)).chain(plan.outputs());
    if let Some(other) = others.into_iter().find(|path| is_remote(path)) {
        let e = Error::unsupported("of what is on servers, dumps are read, and nothing is written there");
        return Err(e.within(other.display()));
    }
    let names: Vec<&str> = dumps.iter().filter(|path| is_remote(path)).filter_map(|path| path.to_str()).collect();
    match (names.first(), OPENER.get()) {
        (None, _) => Ok(None),
        (Some(_), Some(opener)) => opener.prepare(&names).map(Some),
        (Some(name), None) => {
            let e = Error::unsupported("reading over the network is gdump-fleet's");
            Err(e.hint("curl URL | gdump VERB - reads a stream").within(name))
        }
    }
}

/// Why a dump on a server cannot be read any more, if one cannot.
pub fn failure() -> Option<Error> {
    OPENER.get()?.failure()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_on_servers() {
        for name in ["http://h/x", "HTTPS://h", "s3://b/k"] {
            assert!(is_remote(Path::new(name)), "{name}");
        }
        for name in ["x", "http:", "./http://h/x", "s3:/b"] {
            assert!(!is_remote(Path::new(name)), "{name}");
        }
    }
}
