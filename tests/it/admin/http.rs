//! HTTP: what is answered, refused and never waited for.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use loteria::central::{Central, Limits};
use loteria::ledger::{Commit, Ledger, Outcome};
use loteria::lottery::Lottery;
use loteria::server;
use loteria::server::reactor::{Door, Reactor};
use loteria::server::turn;
use loteria_tools::http;
use signal_hook_mio::v1_0::Signals;

use crate::fixture::by_hand::{Bet, OPEN, hello, register_bets, welcome};
use crate::fixture::{
    Server, Wire, admin_address, lasting_port, misconfigured, programs, refusal, wait_for, with_admin,
};

/// Everything that the server answers to `bytes`.
fn answer(server: &Server, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(admin_address(&server.process)).expect("it accepts");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    socket.write_all(bytes).expect("sent");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn only_reading_is_answered_and_everything_else_refused() {
    let server = Server::start_with(1, with_admin);
    for (request, status) in [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "200 OK"),
        (b"GET /status.json?a=b HTTP/1.0\r\n\r\n".to_vec(), "200 OK"),
        (b"GET /nothing HTTP/1.1\r\n\r\n".to_vec(), "404 Not Found"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n".to_vec(), "404 Not Found"),
        (
            b"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n".iter().copied().chain(vec![b'a'; 70_000]).collect(),
            "405 Method Not Allowed",
        ),
        (b"DELETE /status.json HTTP/1.1\r\n\r\n".to_vec(), "405 Method Not Allowed"),
        (hello(1), "400 Bad Request"),
        ([b"GET / HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; 9000]].concat(), "431 Request Header Fields Too Large"),
        (
            format!("GET / HTTP/1.1\r\n{}\r\n", "A: a\r\n".repeat(100)).into_bytes(),
            "431 Request Header Fields Too Large",
        ),
    ] {
        let answer = answer(&server, &request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(40)]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{shown:?}: {answer:.200}");
        assert!(
            answer.contains("\r\nConnection: close\r\n") && answer.contains("frame-ancestors 'none'"),
            "{answer:.600}"
        );
    }
}

#[test]
fn a_handshake_of_tls_gets_an_alert_where_there_is_no_certificate() {
    let server = Server::start_with(1, with_admin);
    let mut socket = TcpStream::connect(admin_address(&server.process)).expect("it accepts");
    socket.write_all(b"\x16\x03\x01\x00\xa5\x01").expect("sent");
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).expect("an end");
    assert_eq!(bytes, loteria::tls::HANDSHAKE_FAILURE);
    wait_for(
        &server.process,
        "action: tls_admin | result: fail | ip: 127.0.0.1 | error: a TLS handshake, and TLS_CERTIF",
    );
}

#[test]
fn head_is_answered_with_the_head_alone() {
    let server = Server::start_with(1, with_admin);
    for path in ["/", "/status.json", "/metrics", "/healthz", "/events"] {
        let head = answer(&server, format!("HEAD {path} HTTP/1.1\r\n\r\n").as_bytes());
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{path}: {head}");
        assert_eq!(head.matches("\r\n\r\n").count(), 1, "{path}: {head}");
    }
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let server = Server::start_with(1, with_admin);
    let page = server.get("/").body;
    for outside in ["src=", "@import", "url(", "http://", "https://"] {
        let found = page.matches(outside).count();
        // The name of the SVG namespace in the icon is no address.
        let allowed = usize::from(outside == "http://");
        assert!(found <= allowed, "{outside}");
    }
}

#[test]
fn a_request_that_does_not_end_is_given_up() {
    let server = Server::start_with(1, with_admin);
    let address = admin_address(&server.process);
    let began = Instant::now();
    let mut silent = TcpStream::connect(&address).expect("it accepts");
    let mut partial = TcpStream::connect(&address).expect("it accepts");
    partial.write_all(b"GET / HTTP/1.1\r\n").expect("sent");
    for socket in [&mut silent, &mut partial] {
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let ended = socket.read(&mut [0; 100]).map_err(|error| error.kind());
        assert!(matches!(ended, Ok(0) | Err(ErrorKind::ConnectionReset)), "{ended:?}");
        assert!(began.elapsed() >= Duration::from_secs(4), "it was given time");
    }
}

#[test]
fn events_follow_each_other_without_being_asked_for() {
    let server = Server::start_with(3, with_admin);
    let mut socket = TcpStream::connect(admin_address(&server.process)).expect("it accepts");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    socket.write_all(b"GET /events HTTP/1.1\r\n\r\n").expect("sent");
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    let began = Instant::now();
    while text.matches("\ndata: {").count() < 3 {
        let bytes = socket.read(&mut buffer).expect("events");
        assert_ne!(bytes, 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..bytes]));
    }
    assert!(
        text.contains("\r\nContent-Type: text/event-stream\r\n") && text.contains("\"waiting_for\":[1,2,3]"),
        "{text}"
    );
    assert!(began.elapsed() > Duration::from_millis(900), "one a second");
}

/// A ledger whose commits stay in flight.
struct Stuck;

impl Ledger for Stuck {
    fn begin(&mut self, _: &Commit) {}

    fn poll(&mut self) -> Option<Outcome> {
        None
    }
}

#[test]
fn the_admin_port_answers_while_a_commit_is_in_flight() {
    let admin: TcpListener = server::listen(([127, 0, 0, 1], 0).into(), 16).expect("a listener");
    let admin_address = admin.local_addr().expect("an address").to_string();
    let port = lasting_port();
    thread::spawn(move || {
        let central = Central::new(Limits::default(), None, Lottery::new(1));
        let signals = Signals::new([signal_hook::consts::SIGUSR2]).expect("signals");
        let minute = Duration::from_secs(60);
        let door = Door { address: ([127, 0, 0, 1], port).into(), backlog: 16 };
        let server = turn::Server::new(central, Stuck, 1 << 17);
        let mut reactor = Reactor::new(door, signals, server, minute, || ()).expect("a loop");
        reactor.serve_admin(admin, PathBuf::from("bets.csv"), None).expect("it is registered");
        reactor.run()
    });
    assert_eq!(http::get(&admin_address, "/healthz").expect("a response").status, 200, "it listens now");
    let mut agency = Wire::connect(port);
    agency.send(&hello(1)).expect(&welcome(0, OPEN)).send(&register_bets(&[Bet::of(1, 1, 1)]));
    agency.send(&hello(1));
    let health = http::get(&admin_address, "/healthz").expect("a response");
    assert_eq!(health.status, 200, "{}", health.body);
    agency.0.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
    assert!(agency.0.read(&mut [0; 8]).is_err(), "nothing is acknowledged");
    assert_eq!(http::get(&admin_address, "/status.json").expect("a response").status, 200);
}

#[test]
fn an_admin_address_that_can_not_be_used_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("an address").to_string();
    let error = refusal(programs().server(folder.path()).env("ADMIN_ADDRESS", &address));
    assert!(error.starts_with(&format!("the admin port can't be opened at {address}: ")), "{error}");
    let error = misconfigured(programs().server(folder.path()).env("ADMIN_ADDRESS", "localhost:8080"));
    assert!(error.contains("ADMIN_ADDRESS") && error.contains("such as 127.0.0.1:8080"), "{error}");
}
