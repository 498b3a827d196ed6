//! The admin port: the round in a browser, for Prometheus, for a health check and for `loteria status`, over HTTP/1.1.
//!
//! HTTPS is served with the server's certificate, if it has one. The first byte tells it from HTTP, as on the agencies' port.
//!
//! It is served by the loop of the agencies, behind them in each turn, and also while a commit is in flight. It costs
//! agencies nothing that a client could make large: connections, requests and the work of a turn are bounded, and
//! everything has a deadline. Each connection carries one request. When all are taken, the oldest makes room.
//!
//! It only shows, and shows it to everybody who reaches it: `ADMIN_ADDRESS` decides who that is. No document of a winner is
//! on it.
//!
//! | module | contents |
//! |---|---|
//! | `request`, `response` | HTTP, pure |
//! | [`snapshot`] | what there is to see, as plain data |
//! | `metrics` | the same for Prometheus, pure |
//! | `history` | one sample a second |
//! | `views` | snapshots and renderings at bounded cost |
//! | `client` | one connection |

mod client;
mod history;
mod metrics;
mod request;
mod response;
pub mod snapshot;
mod views;

use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use mio::{Interest, Registry, Token};

pub use snapshot::Snapshot;

use super::Socket;
use super::connection::Connection;
use super::listener::Listener;
use super::turn::Server;
use crate::central::Central;
use crate::ledger::Ledger;
use crate::peer_event;
use client::{Client, Next, Reader, refuse};
use request::{Refusal, Request, Resource};
use response::{Body, head};
use views::Views;

/// Connections at the same time.
pub const MAX_CLIENTS: usize = 128;
/// Connections that are served in a turn. The others wait for the next. Each may cost a signature of TLS, about 0.1 ms.
const CLIENTS_A_TURN: usize = 4;
/// Connections that are accepted in a turn.
const ACCEPTS: usize = 4;
/// Bytes read from a connection in a turn.
const READ_BYTES: usize = 4096;

/// The token of the listener. Below it are those of the connections.
const LISTENER: usize = usize::MAX - 2;

/// The admin port.
#[derive(Debug)]
pub(super) struct Admin {
    listener: Listener,
    /// The index of a connection gives its token.
    clients: Vec<Option<Client>>,
    /// Connections that can go on, each once.
    ready: VecDeque<usize>,
    views: Views,
    buffer: Vec<u8>,
    /// The buffer that it is decrypted to.
    plain: Vec<u8>,
}

/// True if `token` is of the admin port. A token of an agency's connection never is: its lower half is the index of a
/// connection, of which there are at most a million.
pub(super) fn is_of_admin(token: Token) -> bool {
    (LISTENER - MAX_CLIENTS..=LISTENER).contains(&token.0)
}

impl Admin {
    /// The admin port over `listener`, which does not block. `storage` is the file of bets, and `drawn_at` the time of a
    /// former run's draw.
    ///
    /// # Errors
    /// The system's.
    pub fn new(
        listener: TcpListener,
        storage: PathBuf,
        drawn_at: Option<SystemTime>,
        central: &Central,
        registry: &Registry,
    ) -> io::Result<Admin> {
        let mut listener = mio::net::TcpListener::from_std(listener);
        registry.register(&mut listener, Token(LISTENER), Interest::READABLE)?;
        Ok(Admin {
            listener: Listener::new(listener),
            clients: (0..MAX_CLIENTS).map(|_| None).collect(),
            ready: VecDeque::new(),
            views: Views::new(storage, drawn_at, central, Instant::now()),
            buffer: vec![0; READ_BYTES],
            plain: Vec::new(),
        })
    }

    /// The time to sleep before the next turn, if nothing is reported before.
    pub fn time_to_sleep(&self, now: Instant) -> Duration {
        if !self.ready.is_empty() {
            return Duration::ZERO;
        }
        let deadlines = self.clients.iter().flatten().filter_map(Client::deadline);
        let next = deadlines.min().map_or(self.views.due(), |deadline| deadline.min(self.views.due()));
        let until_next = next.saturating_duration_since(now);
        self.listener.time_to_sleep(now).map_or(until_next, |until| until.min(until_next))
    }

    /// A poll reported `token`.
    pub fn note_ready(&mut self, token: Token, is_readable: bool) {
        if token.0 == LISTENER {
            return self.listener.note_ready();
        }
        let index = LISTENER - 1 - token.0;
        // It may be closed since, and its place taken by another: that one finds nothing to read.
        if let Some(client) = &mut self.clients[index] {
            client.connection.is_readable |= is_readable;
            self.list(index);
        }
    }

    /// One turn. It comes behind that of the agencies.
    pub fn turn<S: Socket, L: Ledger>(&mut self, server: &mut Server<S, L>, registry: &Registry, now: Instant) {
        self.views.note_draw(server.central());
        self.accept(registry, now);
        if now >= self.views.due() {
            self.views.sample(server, now);
            self.offer_event(server, now);
        }
        for _ in 0..CLIENTS_A_TURN {
            let Some(index) = self.ready.pop_front() else { break };
            self.serve(index, server, now);
        }
        // After serving: the disk may have kept the loop from a request that came in time.
        self.expire(now);
    }

    fn accept(&mut self, registry: &Registry, now: Instant) {
        for _ in 0..ACCEPTS {
            let Some((mut socket, peer)) = self.listener.accept(now) else { return };
            let index = self.free_index();
            let token = Token(LISTENER - 1 - index);
            let interest = Interest::READABLE | Interest::WRITABLE;
            // A socket that can't be registered can't be served: it is closed.
            if registry.register(&mut socket, token, interest).is_ok() {
                self.clients[index] = Some(Client::new(Connection::new(socket, peer), now));
            }
        }
    }

    /// A free place, from which the oldest connection is reset if there is no other.
    fn free_index(&mut self) -> usize {
        let accepted_at = |client: &Option<Client>| client.as_ref().map(|client| client.accepted_at);
        let (index, place) =
            self.clients.iter_mut().enumerate().min_by_key(|(_, client)| accepted_at(client)).expect("there are some");
        if let Some(mut client) = place.take() {
            client.connection.socket.reset_on_close();
            self.ready.retain(|&listed| listed != index);
        }
        index
    }

    fn expire(&mut self, now: Instant) {
        for place in &mut self.clients {
            if let Some(client) = place.as_mut().filter(|client| client.deadline().is_some_and(|at| at <= now)) {
                client.connection.socket.reset_on_close();
                *place = None;
            }
        }
    }

    /// Offers the next event to all that have taken the last one. The others miss it.
    fn offer_event<S: Socket, L: Ledger>(&mut self, server: &Server<S, L>, now: Instant) {
        if !self.clients.iter().flatten().any(Client::takes_event) {
            return;
        }
        let event = self.views.rendering(Resource::Events, server, now);
        for index in 0..self.clients.len() {
            if self.clients[index].as_mut().is_some_and(|client| client.offer(&event, now)) {
                self.list(index);
            }
        }
    }

    fn serve<S: Socket, L: Ledger>(&mut self, index: usize, server: &mut Server<S, L>, now: Instant) {
        let Admin { clients, views, buffer, plain, .. } = self;
        let Some(client) = &mut clients[index] else { return };
        client.is_listed = false;
        let reader = Reader { buffer, plain, tls: server.tls() };
        let mut next = client.go_on(reader, |request| respond(request, views, server, now), now);
        if let Next::Fail(error) = next {
            let peer = client.connection.peer.ip();
            peer_event!(server.peer_log(), peer, Warn, "tls_admin", fail, "ip": peer, "error": error);
            next = client.end(now);
        }
        match next {
            Next::Wait => {}
            Next::Turn => self.list(index),
            Next::Close | Next::Fail(_) => self.clients[index] = None,
        }
    }

    fn list(&mut self, index: usize) {
        if let Some(client) = self.clients[index].as_mut().filter(|client| !client.is_listed) {
            client.is_listed = true;
            self.ready.push_back(index);
        }
    }
}

/// The response to a request.
fn respond<S: Socket, L: Ledger>(
    request: Result<Request, Refusal>,
    views: &mut Views,
    server: &Server<S, L>,
    now: Instant,
) -> (Vec<u8>, Body) {
    let Request { resource, is_head } = match request {
        Ok(request) => request,
        Err(refusal) => return refuse(refusal),
    };
    let (status, content_type, body) = match resource {
        Resource::Page => ("200 OK", response::HTML, Body::Fixed(response::PAGE.as_bytes())),
        Resource::Status => ("200 OK", response::JSON, Body::Shared(views.rendering(resource, server, now))),
        Resource::Metrics => ("200 OK", metrics::CONTENT_TYPE, Body::Shared(views.rendering(resource, server, now))),
        Resource::Events => ("200 OK", response::EVENTS, Body::Shared(views.rendering(resource, server, now))),
        Resource::Health => {
            let health = Views::health(server, now);
            let line =
                health.reason.map_or_else(|| format!("ok, {}\n", server.part().name()), |reason| format!("{reason}\n"));
            let status = if health.ok { "200 OK" } else { "503 Service Unavailable" };
            (status, response::TEXT, Body::Shared(Rc::new(line.into_bytes())))
        }
    };
    let length = (resource != Resource::Events).then_some(body.bytes().len());
    let head = head(status, content_type, length);
    (head, if is_head { Body::NONE } else { body })
}
