//! A QMP server that does as a test says: it serves one client at a time, as QEMU does, on a thread of its own.

#![allow(dead_code)] // two programs of tests, each of which needs a part

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What a test makes of a client.
pub trait Server: Send + 'static {
    /// A client came.
    fn greet(&mut self, client: &Client) {
        client.send(&greeting(7));
    }

    /// It sent a command.
    fn answer(&mut self, client: &Client, call: Call);

    /// It went.
    fn gone(&mut self) {}
}

/// Whoever greets as QEMU does.
impl<F: FnMut(&Client, Call) + Send + 'static> Server for F {
    fn answer(&mut self, client: &Client, call: Call) {
        self(client, call);
    }
}

/// The greeting of a version.
pub fn greeting(major: u64) -> Value {
    let version = json!({ "qemu": { "micro": 0, "minor": 2, "major": major }, "package": "" });
    json!({ "QMP": { "version": version, "capabilities": ["oob"] } })
}

/// A command.
pub struct Call {
    pub name: String,
    pub arguments: Value,
    pub id: Value,
    /// What came with the message that it began in.
    pub file: Option<File>,
}

impl Call {
    /// An argument that is a text.
    pub fn text(&self, name: &str) -> &str {
        self.arguments.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The other end. What cannot be sent to it is lost.
pub struct Client {
    /// Of whatever family.
    stream: UnixStream,
    dead: Arc<AtomicBool>,
}

impl Client {
    pub fn raw(&self, bytes: &[u8]) -> bool {
        (&self.stream).write_all(bytes).is_ok()
    }

    pub fn send(&self, message: &Value) -> bool {
        self.raw(format!("{message}\r\n").as_bytes())
    }

    pub fn answer(&self, call: &Call, value: Value) {
        self.send(&json!({ "return": value, "id": call.id }));
    }

    pub fn refuse(&self, call: &Call, class: &str, text: &str) {
        self.send(&json!({ "error": { "class": class, "desc": text }, "id": call.id }));
    }

    pub fn event(&self, name: &str, data: Value) {
        self.send(&json!({ "event": name, "data": data, "timestamp": { "seconds": 1, "microseconds": 2 } }));
    }

    /// Hangs up.
    pub fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Hangs up, and listens no more.
    pub fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.close();
    }

    /// The same, for another thread.
    pub fn another(&self) -> Client {
        Client { stream: self.stream.try_clone().unwrap(), dead: Arc::clone(&self.dead) }
    }
}

/// A server that listens.
pub struct Fake {
    address: String,
    path: PathBuf,
    calls: Arc<Mutex<Vec<(String, Value)>>>,
    _dir: tempfile::TempDir,
}

impl Fake {
    /// Serves clients from now on.
    pub fn start(server: impl Server) -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qmp");
        let listener = UnixListener::bind(&path).unwrap();
        let accept = move || listener.accept().ok().map(|(stream, _)| stream);
        Fake::serving(server, path.to_str().unwrap().to_owned(), path, dir, accept)
    }

    /// The same over TCP, on this machine.
    pub fn start_tcp(server: impl Server) -> Fake {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp:{}", listener.local_addr().unwrap());
        // a descriptor is read and written by the same calls, of whatever family its socket is
        let accept = move || listener.accept().ok().map(|(stream, _)| UnixStream::from(OwnedFd::from(stream)));
        Fake::serving(server, address, dir.path().join("none"), dir, accept)
    }

    fn serving(
        mut server: impl Server,
        address: String,
        path: PathBuf,
        dir: tempfile::TempDir,
        accept: impl Fn() -> Option<UnixStream> + Send + 'static,
    ) -> Fake {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (seen, dead) = (Arc::clone(&calls), Arc::new(AtomicBool::new(false)));
        std::thread::spawn(move || {
            while !dead.load(Ordering::SeqCst) {
                let Some(stream) = accept() else { return };
                serve(&Client { stream, dead: Arc::clone(&dead) }, &mut server, &seen);
                server.gone();
            }
        });
        Fake { address, path, calls, _dir: dir }
    }

    /// Where it listens, as a user names it.
    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The commands that came, in order, without those that each connection begins with.
    pub fn calls(&self) -> Vec<String> {
        let names = self.arguments().into_iter().map(|(name, _)| name);
        names.filter(|name| name != "qmp_capabilities").collect()
    }

    /// The same, all of them, with their arguments.
    pub fn arguments(&self) -> Vec<(String, Value)> {
        self.calls.lock().unwrap().clone()
    }

    pub fn saw(&self, name: &str) -> bool {
        self.calls().iter().any(|call| call == name)
    }
}

fn serve(client: &Client, server: &mut impl Server, seen: &Mutex<Vec<(String, Value)>>) {
    server.greet(client);
    let mut received = Vec::new();
    let mut file = None;
    loop {
        let mut piece = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut carried = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut piece)];
        let Ok(came) = recvmsg(&client.stream, into, &mut carried, RecvFlags::CMSG_CLOEXEC) else { return };
        for message in carried.drain() {
            if let RecvAncillaryMessage::ScmRights(mut files) = message {
                assert!(received.is_empty(), "a file belongs to the command that its message begins with");
                file = files.next().map(File::from);
            }
        }
        if came.bytes == 0 {
            return;
        }
        received.extend_from_slice(&piece[..came.bytes]);
        while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            let mut message: Value = serde_json::from_slice(&line).unwrap();
            let name = message["execute"].as_str().unwrap().to_owned();
            let call =
                Call { name, arguments: message["arguments"].take(), id: message["id"].take(), file: file.take() };
            seen.lock().unwrap().push((call.name.clone(), call.arguments.clone()));
            server.answer(client, call);
        }
    }
}
