//! A file on a server, as bytes by offset.

use crate::answer::{Answer, Identity, replaced};
use crate::arrival::{Arrival, cut, too_much};
use crate::blocks::{BLOCK, Blocks, Claim, Found};
use crate::client::{Client, Request};
use crate::pace::Pace;
use crate::patience::Patience;
use crate::place::Place;
use crate::tries::Tries;
use crate::trouble::{Tried, Trouble};
use dump_core::{Error, ErrorKind, ReadAt, Result};
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use ureq::http::Response;
use ureq::{Body, ResponseExt};

/// How long a file may be that is taken whole, from a server that sends no part of it (bytes).
const WHOLE: u64 = 16 << 20;

/// What all files of an opener share.
pub(crate) struct Shared {
    pub client: Client,
    pub patience: Patience,
    blocks: Blocks,
    /// Files that were opened.
    opened: AtomicU64,
    /// Why the first of them ended that did.
    failure: OnceLock<Error>,
}

impl Shared {
    pub fn new(patience: Patience) -> Shared {
        let (blocks, opened, failure) = (Blocks::default(), AtomicU64::new(0), OnceLock::new());
        Shared { client: Client::new(&patience), patience, blocks, opened, failure }
    }

    /// Why the first file ended that did.
    pub fn failure(&self) -> Option<Error> {
        self.failure.get().cloned()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("client", &self.client).finish_non_exhaustive()
    }
}

/// A file on a server, of which only the ranges are fetched that are read.
pub struct RemoteFile {
    shared: Arc<Shared>,
    /// Its number among those that were opened.
    number: u64,
    name: String,
    place: Place,
    identity: Identity,
    pace: Pace,
    /// Where the server sent the last request on to.
    reached: Mutex<Option<String>>,
    /// Why it cannot be read any more, if it cannot.
    failed: OnceLock<Error>,
}

impl RemoteFile {
    /// Opens the file at `place`; `name` is for messages.
    pub(crate) fn open(shared: &Arc<Shared>, name: &str, place: Place) -> Result<Arc<dyn ReadAt>> {
        if let Some(e) = shared.client.no_https().filter(|_| place.is_secure()) {
            return Err(e.clone());
        }
        let file = RemoteFile {
            shared: Arc::clone(shared),
            number: shared.opened.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            place,
            identity: Identity { len: 0, etag: None, modified: None },
            pace: Pace::default(),
            reached: Mutex::default(),
            failed: OnceLock::new(),
        };
        let mut tries = Tries::new(&shared.patience, shared.patience.at_first);
        let opened = loop {
            match file.first() {
                Ok(first) => break first,
                Err(trouble) => tries.after(trouble)?,
            }
        };
        file.with(opened)
    }

    /// Asks for the first block, which says what the file is.
    fn first(&self) -> Tried<(Answer, Vec<u8>)> {
        let asked = 0..BLOCK;
        let (answer, response) = self.ask(asked, false)?;
        let most = match &answer {
            Answer::Part { range, .. } => range.end,
            Answer::Whole(Some(len)) if *len > WHOLE => return Err(Trouble::lasting(no_ranges())),
            Answer::Whole(len) => len.unwrap_or(WHOLE + 1),
            Answer::Past(_) => 0,
            Answer::Other => return Err(Trouble::refused(&response, self.place.hint())),
        };
        let (mut bytes, mut body) = (Vec::new(), response.into_body().into_reader());
        let read = body.by_ref().take(most).read_to_end(&mut bytes);
        read.map_err(|e| Trouble::of_stream(&e, true))?;
        // the connection is free for another request only now
        let more = body.read(&mut [0]).unwrap_or(0) != 0;
        match answer {
            Answer::Part { .. } if more => Err(Trouble::lasting(too_much())),
            Answer::Whole(None) if bytes.len() as u64 > WHOLE => Err(Trouble::lasting(no_ranges())),
            Answer::Part { .. } | Answer::Whole(Some(_)) if (bytes.len() as u64) < most => {
                Err(cut(bytes.len() as u64, most))
            }
            answer => Ok((answer, bytes)),
        }
    }

    /// The file as the first answer has it.
    fn with(mut self, (answer, bytes): (Answer, Vec<u8>)) -> Result<Arc<dyn ReadAt>> {
        match answer {
            Answer::Part { identity, .. } => {
                self.identity = identity;
                if bytes.len() as u64 == self.identity.len.min(BLOCK) && !bytes.is_empty() {
                    if let Found::Claimed(mut claim) = self.shared.blocks.find(self.number, 0, 1, || 1) {
                        claim.put(Arc::from(bytes));
                    }
                }
                Ok(Arc::new(self))
            }
            Answer::Whole(_) => Ok(Arc::new(bytes)),
            Answer::Past(Some(0)) => Ok(Arc::new(Vec::new())),
            _ => Err(Error::corrupt("the server says that the file does not have a first byte, but has a length")),
        }
    }

    /// Asks for bytes of the file.
    fn ask(&self, range: Range<u64>, opened: bool) -> Tried<(Answer, Response<Body>)> {
        let reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let url = reached.clone().unwrap_or_else(|| self.place.url());
        let etag = self.identity.strong_etag();
        let request = Request { url: &url, range: range.clone(), etag, follows: self.place.follows(), opened };
        let response = self.shared.client.get(&request)?;
        if response.status().is_client_error() && reached.is_some() {
            // it was good for a while: the first server may know another
            self.goes_to(None);
            return Err(Trouble { passes: true, ..Trouble::refused(&response, "") });
        }
        if self.place.follows() && response.status().is_success() {
            self.goes_to(Some(response.get_uri().to_string()).filter(|last| *last != self.place.url()));
        }
        let answer = Answer::of(&response, &range).map_err(Trouble::lasting)?;
        Ok((answer, response))
    }

    fn goes_to(&self, url: Option<String>) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = url;
    }

    /// A block of the file, of which more are asked for, up to block `end`.
    fn block(&self, number: u64, end: u64) -> Result<Arc<[u8]>> {
        let last = self.identity.len.div_ceil(BLOCK);
        match self.shared.blocks.find(self.number, number, last, || self.pace.run(number, end - number)) {
            Found::Here(bytes) => Ok(bytes),
            Found::Claimed(claim) => self.fetch(claim),
        }
    }

    /// Fetches all that was claimed; the first block of it.
    fn fetch(&self, claim: Claim<'_>) -> Result<Arc<[u8]>> {
        if let Some(e) = self.failed.get() {
            return Err(e.clone());
        }
        let mut arrival = Arrival::new(claim, self.identity.len);
        let mut tries = Tries::new(&self.shared.patience, self.shared.patience.later);
        while arrival.at < arrival.end {
            let before = arrival.at;
            let done = self.fetch_some(&mut arrival);
            let goes_on = arrival.at - before >= BLOCK;
            match done {
                // in pieces, but it comes
                Err(trouble) if trouble.passes && goes_on => tries.begin_anew(),
                done => done.or_else(|trouble| tries.after(trouble)).map_err(|e| self.fail(&e, arrival.at))?,
            }
        }
        arrival.first.ok_or_else(|| Error::bug("no block was claimed"))
    }

    /// One request for what is still to come.
    fn fetch_some(&self, arrival: &mut Arrival<'_>) -> Tried<()> {
        let asked = arrival.at..arrival.end;
        let (answer, response) = self.ask(asked, true)?;
        let lasting = |e: Error| Err(Trouble::lasting(e));
        match answer {
            Answer::Part { range, identity } => {
                self.identity.check(&identity).or_else(lasting)?;
                // a server may send less than was asked for (RFC 9110, 15.3.7): the rest is asked for anew
                arrival.take(response.into_body().into_reader(), range.end)
            }
            Answer::Whole(_) => lasting(replaced("the server sends all of it instead of a part")),
            Answer::Past(_) => lasting(replaced(&format!("it ends before offset {:#x}", arrival.at))),
            Answer::Other if response.status() == 412 => lasting(replaced("its ETag is not what it was")),
            Answer::Other => Err(Trouble::refused(&response, self.place.hint())),
        }
    }

    /// Ends the file, because of what happened at an offset.
    fn fail(&self, e: &Error, at: u64) -> Error {
        let unreachable = Error::new(ErrorKind::Unreachable, format!("offset {at:#x}: {e}"));
        let e = if e.is_temporary() { unreachable.temporary() } else { unreachable };
        let e = self.failed.get_or_init(|| e).clone();
        let _ = self.shared.failure.set(e.clone().within(&self.name));
        e
    }
}

impl ReadAt for RemoteFile {
    fn len(&self) -> Result<u64> {
        Ok(self.identity.len)
    }

    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<()> {
        let end = offset.saturating_add(buf.len() as u64);
        if end > self.identity.len {
            return Err(Error::truncated("a read", end, self.identity.len));
        }
        let (mut at, mut left) = (offset, buf);
        while !left.is_empty() {
            let block = self.block(at / BLOCK, end.div_ceil(BLOCK))?;
            let from = block.get((at % BLOCK) as usize..).filter(|from| <[u8]>::len(from) != 0);
            let from = from.ok_or_else(|| Error::bug("a block is shorter than it should be"))?;
            let (now, rest) = left.split_at_mut(from.len().min(left.len()));
            now.copy_from_slice(&from[..now.len()]);
            (at, left) = (at + now.len() as u64, rest);
        }
        Ok(())
    }
}

/// The error for a server that sends files as a whole alone.
fn no_ranges() -> Error {
    let text = format!("the server sends no parts of files, and this one is longer than {} MiB", WHOLE >> 20);
    Error::unsupported(text).hint("curl URL | gdump-fleet VERB - reads it through a pipe")
}
