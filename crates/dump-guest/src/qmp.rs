//! A client of QMP, QEMU's machine protocol: JSON objects over a socket, one command at a time.
//!
//! Source of the protocol: QEMU, docs/interop/qmp-spec.rst. Commands carry a number, so that an answer that comes late,
//! after its command was given up, is not taken for that of the next.

use crate::address::Address;
use crate::received::Received;
use dump_core::{Error, ErrorKind, Result, system_text};
use rustix::net::{self, AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a client waits.
#[derive(Clone)]
pub struct Patience {
    /// For the answer to a command.
    pub answer: Duration,
    /// For that to one that must be done, whoever asks to stop: a connection that is closed takes with it what QEMU has
    /// not read yet.
    pub last: Duration,
    /// Whether somebody asked to stop; what waits then gives up.
    pub stopped: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Patience {
    /// Waits for an answer as long as `answer`, whoever asks to stop.
    pub fn of(answer: Duration) -> Patience {
        Patience { answer, last: answer, stopped: Arc::new(|| false) }
    }
}

/// How often somebody who waits looks whether to stop.
const LOOK: Duration = Duration::from_millis(50);

/// Bytes of one message at most. The longest, the memory map of a machine with many devices, has some 100 KiB.
const LONGEST: usize = 16 << 20;

/// The event of a guest that runs again.
const RESUMED: &str = "RESUME";

/// The event of a machine that was reset, in which firmware and kernels that QEMU loads itself are put into memory anew.
const RESET: &str = "RESET";

/// Events that are kept for whoever waits for them later; older ones are forgotten.
const EVENTS: usize = 256;

/// What QEMU says unasked.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// What happened: `GUEST_PANICKED`.
    pub name: String,
    /// What is said of it.
    pub data: Value,
}

/// A connection to a QMP server. Used by several threads, one command is under way at a time.
pub struct Qmp {
    address: Address,
    patience: Patience,
    link: Mutex<Link>,
}

impl Qmp {
    /// Connects, and negotiates.
    ///
    /// # Errors
    /// `Io` if nobody listens, or does not greet in time: QEMU serves one client at a time. `BadMagic` if it is no QMP
    /// server.
    pub fn connect(address: &Address, patience: Patience) -> Result<Qmp> {
        let link = Link::open(address, &patience).map_err(|e| e.within(address))?;
        Ok(Qmp { address: address.clone(), patience, link: Mutex::new(link) })
    }

    /// Where the server is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How long it waits.
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// The process that listens, where the socket tells.
    pub fn peer(&self) -> Option<i32> {
        match &self.link().stream {
            Stream::Unix(stream) => {
                net::sockopt::socket_peercred(stream).ok().map(|peer| peer.pid.as_raw_nonzero().get())
            }
            Stream::Tcp(_) => None,
        }
    }

    /// Whether files can be passed.
    pub fn passes_files(&self) -> bool {
        matches!(self.address, Address::Unix(_))
    }

    /// Runs `command`, and gives what it returns.
    ///
    /// # Errors
    /// What QEMU answers, `Unsupported` if it does not know the command; `Io` if there is no answer in time or the
    /// connection is lost; `Interrupted`.
    pub fn run(&self, command: &str, arguments: Value) -> Result<Value> {
        self.link().run(command, arguments, None, &self.patience).map_err(|e| e.within(&self.address))
    }

    /// The same, and asks nobody whether to stop; over a new connection where this one is lost.
    ///
    /// # Errors
    /// As [`run`](Qmp::run).
    pub fn run_whatever_happens(&self, command: &str) -> Result<Value> {
        self.run_whatever_happens_within(self.patience.last, command)
    }

    /// The same, with less patience.
    ///
    /// # Errors
    /// As [`run`](Qmp::run).
    pub(crate) fn run_whatever_happens_within(&self, patience: Duration, command: &str) -> Result<Value> {
        let patience = Patience::of(patience);
        let mut link = self.link();
        if !link.lost {
            match link.run(command, json!({}), None, &patience) {
                Err(_) if link.lost => {}
                done => return done.map_err(|e| e.within(&self.address)),
            }
        }
        // a server that serves one client at a time would not greet the next
        link.stream.close();
        let again = Link::open(&self.address, &patience).and_then(|new| {
            *link = Link { happened: link.happened, ..new };
            link.run(command, json!({}), None, &patience)
        });
        again.map_err(|e| e.within(&self.address))
    }

    /// The same, and waits for the answer although somebody asked to stop.
    ///
    /// # Errors
    /// As [`run`](Qmp::run).
    pub(crate) fn run_to_its_end(&self, command: &str, arguments: Value) -> Result<Value> {
        let done = self.link().run(command, arguments, None, &Patience::of(self.patience.answer));
        done.map_err(|e| e.within(&self.address))
    }

    /// Hands a file to QEMU, which knows it as `name` from then on, in the message of the command itself.
    ///
    /// # Errors
    /// As [`run`](Qmp::run); `Unsupported` over TCP.
    pub fn pass(&self, name: &str, file: BorrowedFd<'_>) -> Result<()> {
        let done = self.link().run("getfd", json!({ "fdname": name }), Some(file), &self.patience);
        done.map(drop).map_err(|e| e.within(&self.address))
    }

    /// Takes a file back that no command used.
    pub fn take_back(&self, name: &str) {
        // what is no more there is closed already
        let _ = self.link().run("closefd", json!({ "fdname": name }), None, &Patience::of(self.patience.answer));
    }

    /// Waits for an event with one of `names`, for as long as `limit`, or for ever. Events that came before are
    /// looked at first, and go.
    ///
    /// # Errors
    /// `Io` if there is none in time or the connection is lost; `Interrupted`.
    pub fn wait(&self, names: &[&str], limit: Option<Duration>) -> Result<Event> {
        let until = limit.map(|limit| Instant::now() + limit);
        loop {
            if let Some(event) = self.look(names).map_err(|e| e.within(&self.address))? {
                return Ok(event);
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                let text = format!("no event {} in {}", names.join(" or "), seconds(limit.unwrap_or_default()));
                return Err(Error::new(ErrorKind::Io, text).within(&self.address));
            }
        }
    }

    /// Looks for an event with one of `names` for a moment.
    ///
    /// # Errors
    /// If the connection is lost; `Interrupted`.
    pub fn look(&self, names: &[&str]) -> Result<Option<Event>> {
        let mut link = self.link();
        if let Some(event) = link.take(names) {
            return Ok(Some(event));
        }
        let until = Instant::now() + LOOK;
        match link.message(until, &self.patience)? {
            Some(message) => link.keep(&message),
            None => return Ok(None),
        }
        Ok(link.take(names))
    }

    /// What happened to the guest, by the events that came so far.
    pub(crate) fn happened(&self) -> Happened {
        self.link().happened
    }

    /// Forgets what events came.
    pub fn forget_events(&self) {
        self.link().events.clear();
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often things happened to a guest that change its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Happened {
    /// It was let run.
    pub resumptions: u64,
    /// It was reset.
    pub resets: u64,
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// A connection and what came over it.
struct Link {
    stream: Stream,
    received: Received,
    events: VecDeque<Event>,
    happened: Happened,
    /// The number of the last command.
    number: u64,
    lost: bool,
}

impl Link {
    fn open(address: &Address, patience: &Patience) -> Result<Link> {
        let stream = match address {
            Address::Unix(path) => Stream::Unix(unix(path, patience)?),
            Address::Tcp(host) => Stream::Tcp(tcp(host, patience)?),
        };
        stream.set_timeouts(patience.answer)?;
        let mut link = Link {
            stream,
            received: Received::default(),
            events: VecDeque::new(),
            happened: Happened::default(),
            number: 0,
            lost: false,
        };
        link.greet(patience)?;
        link.run("qmp_capabilities", json!({}), None, patience)?;
        Ok(link)
    }

    fn greet(&mut self, patience: &Patience) -> Result<()> {
        let greeting = self.message(Instant::now() + patience.answer, patience)?;
        let greeting = greeting.ok_or_else(|| busy("no greeting", patience))?;
        match greeting.get("QMP") {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::BadMagic, format!("not a QMP server: it says {}", shortened(&greeting)))),
        }
    }

    fn run(
        &mut self,
        command: &str,
        arguments: Value,
        file: Option<BorrowedFd<'_>>,
        patience: &Patience,
    ) -> Result<Value> {
        self.number += 1;
        let number = self.number;
        let mut line = json!({ "execute": command, "arguments": arguments, "id": number }).to_string();
        line.push('\n');
        self.send(line.as_bytes(), file).map_err(|e| e.within(command))?;
        self.answer(number, patience).map_err(|e| e.within(command))
    }

    fn send(&mut self, line: &[u8], file: Option<BorrowedFd<'_>>) -> Result<()> {
        if self.lost {
            return Err(lost());
        }
        let sent = match (&mut self.stream, file) {
            (Stream::Unix(stream), Some(file)) => send_with(stream, line, file),
            (Stream::Tcp(_), Some(_)) => return Err(Error::unsupported("no file can be passed over TCP")),
            (Stream::Unix(stream), None) => stream.write_all(line),
            (Stream::Tcp(stream), None) => stream.write_all(line),
        };
        sent.map_err(|e| {
            self.lost = true;
            lost_by(&e)
        })
    }

    /// What the command with `number` returns.
    fn answer(&mut self, number: u64, patience: &Patience) -> Result<Value> {
        let until = Instant::now() + patience.answer;
        // events may come without end
        while let Some(mut message) = self.message(until, patience)?.filter(|_| Instant::now() < until) {
            let other = message.get("id").is_some_and(|id| id.as_u64() != Some(number));
            match (message.get_mut("return").map(Value::take), message.get("error")) {
                _ if message.get("event").is_some() => self.keep(&message),
                _ if other => {}
                (Some(value), _) => return Ok(value),
                (None, Some(error)) => return Err(refusal(error)),
                (None, None) => {
                    let text = format!("expected an answer, found {}", shortened(&message));
                    return Err(Error::corrupt(text));
                }
            }
        }
        Err(Error::new(ErrorKind::Io, format!("no answer in {}", seconds(patience.answer))))
    }

    /// The next message; `None` if there is no whole one by `until`.
    fn message(&mut self, until: Instant, patience: &Patience) -> Result<Option<Value>> {
        loop {
            if let Some(message) = self.received.take().inspect_err(|_| self.lost = true)? {
                return Ok(Some(message));
            }
            if self.received.pending() > LONGEST {
                self.lost = true;
                return Err(Error::corrupt(format!("a message of more than {} MiB", LONGEST >> 20)));
            }
            if (patience.stopped)() {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
            // it may come byte by byte
            if Instant::now() >= until {
                return Ok(None);
            }
            self.receive()?;
        }
    }

    /// Takes up what comes within a moment.
    fn receive(&mut self) -> Result<()> {
        if self.lost {
            return Err(lost());
        }
        let mut piece = [0; 16 << 10];
        match self.stream.read(&mut piece) {
            Ok(0) => {
                self.lost = true;
                Err(lost())
            }
            Ok(n) => {
                self.received.add(&piece[..n]);
                Ok(())
            }
            Err(e) if is_pause(&e) => Ok(()),
            Err(e) => {
                self.lost = true;
                Err(lost_by(&e))
            }
        }
    }

    fn keep(&mut self, message: &Value) {
        let Some(name) = message.get("event").and_then(Value::as_str) else { return };
        self.happened.resumptions += u64::from(name == RESUMED);
        self.happened.resets += u64::from(name == RESET);
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        let data = message.get("data").cloned().unwrap_or(Value::Null);
        self.events.push_back(Event { name: name.to_owned(), data });
    }

    fn take(&mut self, names: &[&str]) -> Option<Event> {
        let at = self.events.iter().position(|event| names.contains(&event.name.as_str()))?;
        self.events.remove(at)
    }
}

impl Stream {
    /// Nothing more is sent or received.
    fn close(&self) {
        // what is closed already is closed
        let _ = match self {
            Stream::Unix(stream) => stream.shutdown(Shutdown::Both),
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }

    fn set_timeouts(&self, answer: Duration) -> Result<()> {
        match self {
            Stream::Unix(s) => s.set_read_timeout(Some(LOOK)).and_then(|()| s.set_write_timeout(Some(answer))),
            Stream::Tcp(s) => s.set_read_timeout(Some(LOOK)).and_then(|()| s.set_write_timeout(Some(answer))),
        }
        .map_err(Error::from)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.read(into),
            Stream::Tcp(stream) => stream.read(into),
        }
    }
}

/// A server that is busy, and has as many waiting as it lets wait, would hold a plain connect(2) for ever.
fn unix(path: &Path, patience: &Patience) -> Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(io::Error::from)?;
    let address = net::SocketAddrUnix::new(path).map_err(io::Error::from)?;
    let until = Instant::now() + patience.answer;
    loop {
        match net::connect(&socket, &address).map_err(io::Error::from) {
            Ok(()) => break,
            Err(_) if (patience.stopped)() => return Err(Error::new(ErrorKind::Interrupted, "interrupted")),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => std::thread::sleep(LOOK),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(busy("not let in", patience)),
            Err(e) => return Err(Error::from(e)),
        }
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn tcp(host: &str, patience: &Patience) -> Result<TcpStream> {
    let mut last = Error::new(ErrorKind::Io, "no such host");
    for address in host.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience.answer) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = Error::from(e),
        }
    }
    Err(last)
}

/// Sends a line, the first bytes of which carry `file`.
fn send_with(stream: &mut UnixStream, line: &[u8], file: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut carried = SendAncillaryBuffer::new(&mut space);
    let files = [file];
    if !carried.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let sent = net::sendmsg(stream.as_fd(), &[IoSlice::new(line)], &mut carried, SendFlags::NOSIGNAL)?;
    stream.write_all(line.get(sent..).unwrap_or_default())
}

/// What QEMU says against a command.
fn refusal(error: &Value) -> Error {
    let text = error.get("desc").and_then(Value::as_str).unwrap_or("it failed, QEMU does not say why");
    match error.get("class").and_then(Value::as_str) {
        Some("CommandNotFound") => Error::unsupported(text),
        _ => Error::new(ErrorKind::Io, text),
    }
}

/// A server that serves somebody else.
fn busy(what: &str, patience: &Patience) -> Error {
    let hint = "QEMU serves one client a socket; libvirt keeps its own: add a second -qmp unix:PATH,server=on,wait=off";
    Error::new(ErrorKind::Io, format!("{what} in {}", seconds(patience.answer))).hint(hint)
}

fn is_pause(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn lost() -> Error {
    Error::new(ErrorKind::Io, "the connection is closed")
}

fn lost_by(e: &io::Error) -> Error {
    Error::new(ErrorKind::Io, format!("the connection is lost: {}", system_text(e)))
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f32())
}

/// The beginning of a message, for an error.
fn shortened(message: &Value) -> String {
    message.to_string().chars().take(80).collect()
}
