//! A small HTTP server on loopback that has one file, and manners that can be chosen. It counts what it sends.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)] // each test program has some of them
pub enum Manner {
    /// Well.
    Well,
    /// Waits before each answer, and in the middle of it.
    Slow(Duration),
    /// Sends no byte from this offset on, whatever it announces.
    CutAt(u64),
    /// Closes each connection after so many bytes of an answer.
    CutAfter(u64),
    /// Sends no more than this of a range, and says so.
    Parts(u64),
    /// Says that the file is so much longer than it is.
    Longer(u64),
    /// Says that the file is shorter from the second answer on.
    Shrinks,
    /// Sends one byte more than it announces, in chunks.
    Overfull,
    /// Announces one byte more than it sends, to the client's face.
    Underfull,
    /// Sends the range behind the one that was asked for.
    WrongRange,
    /// Sends the whole file, always.
    NoRanges,
    /// Has another file of the same length after so many answers; knows no If-Match where that is said.
    Replaced { after: u64, blindly: bool },
    /// Says 503 so many times first, and wants to be left alone for no time at all.
    Busy(u64),
    /// Sends requests on to another path, which it has forgotten after so many answers.
    SendsOn { forgets: u64 },
    /// Says this.
    Says(u16),
    /// Says that it compresses.
    Encodes,
    /// Is gone after so many answers: no connection gets one.
    Gone { after: u64 },
    /// Wants a user and a password, u and p.
    Guarded,
}

/// What it has.
pub struct Content {
    file: File,
    len: u64,
}

impl Content {
    /// A file.
    pub fn of(file: File) -> Content {
        let len = file.metadata().unwrap().len();
        Content { file, len }
    }

    /// Bytes.
    pub fn bytes(bytes: &[u8]) -> Content {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Content::of(file)
    }
}

/// A connection.
pub trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// Makes what is spoken through of a connection: TLS, or nothing.
pub type Wrap = fn(TcpStream) -> Box<dyn Stream>;

/// The server, until it is dropped.
pub struct Served {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    content: Content,
    manner: Manner,
    over: AtomicBool,
    /// Bytes of files that were sent.
    sent: AtomicU64,
    answers: AtomicU64,
    connections: AtomicU64,
    /// What was asked for last.
    path: Mutex<String>,
}

impl Served {
    /// Serves `content`.
    pub fn new(content: Content, manner: Manner) -> Served {
        Served::through(content, manner, |stream| Box::new(stream))
    }

    /// The same, where connections are wrapped.
    pub fn through(content: Content, manner: Manner, wrap: Wrap) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (over, sent, answers) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let connections = AtomicU64::new(0);
        let path = Mutex::default();
        let state = Arc::new(State { content, manner, over, sent, answers, connections, path });
        let served = Served { address: listener.local_addr().unwrap(), state: Arc::clone(&state) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if state.over.load(Ordering::SeqCst) {
                    return;
                }
                state.connections.fetch_add(1, Ordering::SeqCst);
                let state = Arc::clone(&state);
                // a client that goes away is no failure of the server
                std::thread::spawn(move || stream.map(|stream| state.converse(wrap(stream))));
            }
        });
        served
    }

    /// The file's URL.
    pub fn url(&self) -> String {
        format!("http://{}/dumps/file", self.address)
    }

    /// Host and port.
    #[allow(dead_code)]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The path that was asked for last, with its query.
    #[allow(dead_code)]
    pub fn path(&self) -> String {
        self.state.path.lock().unwrap().clone()
    }

    /// Bytes of the file that were sent.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// Requests that were answered.
    pub fn answers(&self) -> u64 {
        self.state.answers.load(Ordering::SeqCst)
    }

    /// Connections that were made.
    #[allow(dead_code)]
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// What was asked for.
struct Asked {
    path: String,
    headers: HashMap<String, String>,
}

fn read_request(stream: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.insert(name.to_ascii_lowercase(), value.trim().to_owned()),
            None => return Ok(Some(Asked { path, headers })),
        };
    }
}

impl State {
    fn converse(&self, stream: Box<dyn Stream>) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        while let Some(asked) = read_request(&mut stream)? {
            self.path.lock().unwrap().clone_from(&asked.path);
            let number = self.answers.fetch_add(1, Ordering::SeqCst);
            if !self.answer(&asked, number, stream.get_mut())? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Answers request `number`; whether the connection stays.
    fn answer(&self, asked: &Asked, number: u64, out: &mut dyn Write) -> io::Result<bool> {
        let plain = |out: &mut dyn Write, status: &str, headers: &str| {
            write!(out, "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n").map(|()| true)
        };
        let etag = match self.manner {
            Manner::Replaced { after, .. } if number >= after => "\"two\"",
            _ => "\"one\"",
        };
        let matches = asked.headers.get("if-match").is_none_or(|wanted| wanted == etag);
        match self.manner {
            Manner::Slow(time) => std::thread::sleep(time),
            Manner::Busy(times) if number < times => {
                return plain(out, "503 Service Unavailable", "Retry-After: 0\r\n");
            }
            Manner::SendsOn { forgets } => match asked.path.strip_prefix("/moved/") {
                None => {
                    let to = format!("Location: /moved/{number}/file\r\n");
                    return plain(out, "302 Found", &to);
                }
                Some(rest) if number > forgets && rest.starts_with("0/") => return plain(out, "403 Forbidden", ""),
                Some(_) => {}
            },
            Manner::Says(status) => return plain(out, &format!("{status} Said"), ""),
            Manner::Gone { after } if number >= after => return Ok(false),
            Manner::Guarded if asked.headers.get("authorization").is_none_or(|words| words != "Basic dTpw") => {
                return plain(out, "401 Unauthorized", "WWW-Authenticate: Basic\r\n");
            }
            Manner::Replaced { blindly: false, .. } if !matches => return plain(out, "412 Precondition Failed", ""),
            _ => {}
        }
        self.send(asked, number, etag, out)
    }

    /// Sends what was asked for.
    fn send(&self, asked: &Asked, number: u64, etag: &str, out: &mut dyn Write) -> io::Result<bool> {
        let manner = self.manner;
        let len = match manner {
            Manner::Longer(more) => self.content.len + more,
            Manner::Shrinks if number > 0 => self.content.len - 1,
            _ => self.content.len,
        };
        let range = asked.headers.get("range").filter(|_| manner != Manner::NoRanges).map(|text| range(text, len));
        let mut range = match range {
            None => {
                write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {len}\r\nETag: {etag}\r\n\r\n")?;
                return self.body(0..len, len, out).map(|()| true);
            }
            Some(range) if range.start >= self.content.len => {
                let text =
                    format!("HTTP/1.1 416 Unsatisfiable\r\nContent-Range: bytes */{len}\r\nContent-Length: 0\r\n\r\n");
                return out.write_all(text.as_bytes()).map(|()| true);
            }
            Some(range) => range,
        };
        match manner {
            Manner::Parts(most) => range.end = range.end.min(range.start + most),
            Manner::WrongRange => range = (range.start + 1).min(len - 1)..range.end,
            _ => {}
        }
        let said = range.end - range.start;
        write!(out, "HTTP/1.1 206 Partial Content\r\nETag: {etag}\r\n")?;
        write!(out, "Content-Range: bytes {}-{}/{len}\r\n", range.start, range.end - 1)?;
        match manner {
            Manner::Encodes => write!(out, "Content-Encoding: gzip\r\n")?,
            Manner::Overfull => {
                write!(out, "Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", said)?;
                self.body(range, len, out)?;
                return out.write_all(b"\r\n1\r\nx\r\n0\r\n\r\n").map(|()| true);
            }
            _ => {}
        }
        write!(out, "Content-Length: {said}\r\n\r\n")?;
        match manner {
            Manner::CutAt(at) => self.body(range.start..range.end.min(at.max(range.start)), len, out).map(|()| false),
            Manner::CutAfter(most) => {
                self.body(range.start..range.end.min(range.start + most), len, out).map(|()| false)
            }
            Manner::Underfull => self.body(range.start..range.end - 1, len, out).map(|()| false),
            _ => self.body(range, len, out).map(|()| true),
        }
    }

    /// Sends bytes of the file, zeros where it has none.
    fn body(&self, range: Range<u64>, len: u64, out: &mut dyn Write) -> io::Result<()> {
        let mut piece = vec![0; 64 << 10];
        let mut at = range.start.min(len);
        let middle = (range.start + range.end) / 2;
        while at < range.end {
            let now = (range.end - at).min(piece.len() as u64) as usize;
            let got = self.content.file.read_at(&mut piece[..now], at)?;
            piece[got..now].fill(0);
            out.write_all(&piece[..now])?;
            self.sent.fetch_add(now as u64, Ordering::SeqCst);
            if let (Manner::Slow(time), true) = (self.manner, at <= middle && middle < at + now as u64) {
                std::thread::sleep(time);
            }
            at += now as u64;
        }
        out.flush()
    }
}

fn range(text: &str, len: u64) -> Range<u64> {
    let (first, last) = text.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
    let first = first.parse().unwrap();
    first..(last.parse::<u64>().unwrap() + 1).min(len)
}
