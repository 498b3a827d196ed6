//! One connection of the admin port: a request over HTTP or HTTPS, then a response or a stream of events.

use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;

use super::request::{self, Refusal, Request, Resource};
use super::response::{self, Body};
use crate::server::connection::{Connection, Received, Written};
use crate::server::transport::Fault;
use crate::tls::{Acceptor, TlsError};

/// The longest time until a request is whole, a handshake before it included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest time until a response is taken.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time until an event is taken.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes written to a connection in a turn.
const TURN_BYTES: usize = 64 * 1024;

/// A connection of the admin port.
#[derive(Debug)]
pub(super) struct Client {
    pub connection: Connection<TcpStream>,
    pub accepted_at: Instant,
    /// True if it waits for its share of a turn.
    pub is_listed: bool,
    phase: Phase,
    /// The moment at which it is closed if its phase has not ended.
    deadline: Option<Instant>,
}

#[derive(Debug)]
enum Phase {
    /// Its request arrives.
    Request(Vec<u8>),
    /// Its response goes out.
    Response(Outgoing),
    /// It gets events. `None` while the last one is out.
    Events(Option<Outgoing>),
    /// It was answered, and its input is dropped.
    Lingering,
}

/// Bytes that go out.
#[derive(Debug)]
struct Outgoing {
    head: Vec<u8>,
    body: Body,
    sent: usize,
}

/// The buffers that a connection reads with, and TLS if there is a certificate.
pub(super) struct Reader<'r> {
    pub buffer: &'r mut [u8],
    /// The buffer that is decrypted to.
    pub plain: &'r mut Vec<u8>,
    pub tls: Option<&'r Acceptor>,
}

/// The next need of a connection.
pub(super) enum Next {
    /// A poll reports it.
    Wait,
    /// Another share of a turn.
    Turn,
    /// To be closed.
    Close,
    /// To be [ended](Client::end): no handshake was possible.
    Fail(TlsError),
}

impl Client {
    pub fn new(connection: Connection<TcpStream>, now: Instant) -> Client {
        let deadline = Some(now + REQUEST_TIMEOUT);
        Client { connection, accepted_at: now, is_listed: false, phase: Phase::Request(Vec::new()), deadline }
    }

    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes its share of a turn. `respond` gives the response to its request.
    pub fn go_on(
        &mut self,
        reader: Reader<'_>,
        respond: impl FnOnce(Result<Request, Refusal>) -> (Vec<u8>, Body),
        now: Instant,
    ) -> Next {
        match &mut self.phase {
            Phase::Request(received) => {
                if self.connection.flush().is_err() {
                    return Next::Close;
                }
                if !self.connection.is_readable {
                    return Next::Wait;
                }
                let is_secure = match self.connection.read(reader.buffer, reader.plain, reader.tls, now) {
                    Received::Bytes { bytes, .. } => {
                        received.extend_from_slice(bytes);
                        true
                    }
                    Received::Fault { fault: Fault::Insecure(_), .. } => false,
                    Received::Fault { fault: Fault::Tls(error), .. } => return Next::Fail(error),
                    Received::None => return Next::Wait,
                    Received::End | Received::Broken(_) => return Next::Close,
                };
                self.connection.transport.take_completed();
                if self.connection.flush().is_err() {
                    return Next::Close;
                }
                let request = if is_secure { request::parse(received) } else { Some(Err(Refusal::Insecure)) };
                let Some(request) = request else { return Next::Turn };
                let is_stream = matches!(request, Ok(Request { resource: Resource::Events, is_head: false }));
                let (head, body) = respond(request);
                let outgoing = Outgoing { head, body, sent: 0 };
                if is_stream {
                    self.phase = Phase::Events(Some(outgoing));
                    self.deadline = Some(now + EVENT_TIMEOUT);
                } else {
                    self.phase = Phase::Response(outgoing);
                    self.deadline = Some(now + RESPONSE_TIMEOUT);
                }
                self.write(now)
            }
            Phase::Events(_) if self.connection.is_readable => {
                match self.connection.read(reader.buffer, reader.plain, reader.tls, now) {
                    Received::None => self.write(now),
                    // A part of a record, or one of TLS alone.
                    Received::Bytes { bytes: [], .. } => Next::Turn,
                    // It has nothing to say here.
                    Received::Bytes { .. } | Received::End | Received::Fault { .. } | Received::Broken(_) => {
                        Next::Close
                    }
                }
            }
            Phase::Response(_) | Phase::Events(_) => self.write(now),
            Phase::Lingering if !self.connection.is_lingering() => self.end(now),
            Phase::Lingering if !self.connection.is_readable => Next::Wait,
            Phase::Lingering => match self.connection.drop_input(reader.buffer) {
                Some(0) => Next::Wait,
                Some(_) => Next::Turn,
                None => Next::Close,
            },
        }
    }

    /// Sends `event` if it takes events and has taken the last one. False if it does not get it.
    pub fn offer(&mut self, event: &Rc<Vec<u8>>, now: Instant) -> bool {
        let Phase::Events(next @ None) = &mut self.phase else { return false };
        *next = Some(Outgoing { head: Vec::new(), body: Body::Shared(Rc::clone(event)), sent: 0 });
        self.deadline = Some(now + EVENT_TIMEOUT);
        true
    }

    /// True if it takes events and has taken the last one.
    pub fn takes_event(&self) -> bool {
        matches!(self.phase, Phase::Events(None))
    }

    fn write(&mut self, now: Instant) -> Next {
        let (Phase::Response(outgoing) | Phase::Events(Some(outgoing))) = &mut self.phase else { return Next::Wait };
        let mut left = TURN_BYTES;
        while let Some(bytes) = outgoing.unsent() {
            let bytes = &bytes[..bytes.len().min(left)];
            if bytes.is_empty() {
                return Next::Turn;
            }
            match self.connection.write(bytes) {
                Written::Bytes(0) => return Next::Wait,
                Written::Bytes(sent) => {
                    outgoing.sent += sent;
                    left -= sent;
                }
                Written::Broken(_) => return Next::Close,
            }
        }
        if matches!(self.phase, Phase::Events(_)) {
            self.phase = Phase::Events(None);
            self.deadline = None;
            return Next::Wait;
        }
        self.end(now)
    }

    /// Ends this side, as far as the socket has room for it.
    pub fn end(&mut self, now: Instant) -> Next {
        if !self.connection.linger(now) {
            return Next::Close;
        }
        self.phase = Phase::Lingering;
        self.deadline = self.connection.due();
        if self.connection.is_lingering() { Next::Turn } else { Next::Wait }
    }
}

impl Outgoing {
    /// The next bytes. `None` if all are sent.
    fn unsent(&self) -> Option<&[u8]> {
        let body = self.body.bytes();
        let rest = match self.sent.checked_sub(self.head.len()) {
            None => &self.head[self.sent..],
            Some(sent) => &body[sent..],
        };
        Some(rest).filter(|rest| !rest.is_empty())
    }
}

/// The response to a refused request.
pub(super) fn refuse(refusal: Refusal) -> (Vec<u8>, Body) {
    let (status, text): (_, &'static str) = match refusal {
        Refusal::Malformed => ("400 Bad Request", "this is not a request of HTTP/1.1\n"),
        Refusal::NotFound => ("404 Not Found", "there are /, /status.json, /metrics, /healthz and /events\n"),
        Refusal::NotAllowed => ("405 Method Not Allowed\r\nAllow: GET, HEAD", "only GET and HEAD are answered\n"),
        Refusal::TooLong => ("431 Request Header Fields Too Large", "the request is longer than 8192 bytes\n"),
        Refusal::Insecure => ("400 Bad Request", "TLS_REQUIRED is set: ask over HTTPS, with https:// in the address\n"),
    };
    (response::head(status, response::TEXT, Some(text.len())), Body::Fixed(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::server::listener::listen;

    #[test]
    fn a_reader_that_stops_misses_events_and_is_due() {
        let listener = listen(([127, 0, 0, 1], 0).into(), 1).expect("a listener");
        listener.set_nonblocking(false).expect("set");
        let mut reader = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("it accepts");
        let (socket, peer) = listener.accept().expect("it connects");
        socket.set_nonblocking(true).expect("set");
        let socket = TcpStream::from_std(socket);
        let start = Instant::now();
        let mut client = Client::new(Connection::new(socket, peer), start);
        assert_eq!(client.deadline(), Some(start + REQUEST_TIMEOUT));
        reader.write_all(b"GET /events HTTP/1.1\r\n\r\n").expect("sent");
        let (mut buffer, mut plain) = ([0; 4096], Vec::new());
        let mut go_on = |client: &mut Client| {
            let reader = Reader { buffer: &mut buffer, plain: &mut plain, tls: None };
            client.go_on(reader, |_| (b"head".to_vec(), Body::NONE), start)
        };
        while !client.takes_event() {
            client.connection.is_readable = true;
            assert!(!matches!(go_on(&mut client), Next::Close));
        }
        assert_eq!(client.deadline(), None, "it may wait for the next event for ever");

        let event = Rc::new(vec![b'e'; 50_000]);
        let mut offered = 0;
        while client.offer(&event, start) {
            offered += 1;
            assert!(offered < 1000, "the kernel takes everything");
            while matches!(go_on(&mut client), Next::Turn) {}
        }
        assert!(offered > 1, "some were taken");
        assert_eq!(Rc::strong_count(&event), 2, "one event waits, and no queue of them");
        assert_eq!(client.deadline(), Some(start + EVENT_TIMEOUT));
        reader.write_all(b"more").expect("sent");
        client.connection.is_readable = true;
        while !matches!(go_on(&mut client), Next::Close) {
            client.connection.is_readable = true;
        }
    }
}
