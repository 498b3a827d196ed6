//! Hostile and slow clients of the admin port: agencies go on, and the server stays small.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use loteria::server::admin::MAX_CLIENTS;

use crate::fixture::{Server, admin_address, rows, start, wait_for_nth, with_admin};

/// Hostile clients: more than the port takes.
const HOSTILE: usize = MAX_CLIENTS + 72;
/// Agencies of the round, nearly all of which stay away: a status of two megabytes.
const AGENCIES: u32 = 20_000;
const BETS: u32 = 3000;
/// The bound on the server's memory: itself with its agencies, and what slow clients hold, renderings of the status.
const MEMORY_KIB: u64 = 24 * 1024 + 8 * 3 * 1024;

/// The bytes that a kind of hostile client sends, again and again.
fn says(kind: usize) -> &'static [u8] {
    match kind {
        0 => b"",
        1 => b"G",
        2 => b"GET /status.json HTTP/1.1\r\n\r\n",
        3 => b"GET /events HTTP/1.1\r\n\r\n",
        4 => b"GET /metrics HTTP/1.1\r\nA: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
        _ => b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n",
    }
}

/// Connects, says it, never reads, and comes back as soon as it is closed.
fn attack(address: &str, kind: usize, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let Ok(mut socket) = TcpStream::connect(address) else { continue };
        let _ = socket.set_write_timeout(Some(Duration::from_millis(50)));
        let _ = socket.set_read_timeout(Some(Duration::from_millis(50)));
        let _ = socket.write_all(says(kind));
        while !is_over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
            let is_closed = match kind {
                // It drips.
                1 => socket.write_all(b"E").is_err(),
                // It floods.
                5 => socket.write_all(&[b'a'; 4096]).is_err_and(|error| error.kind() != ErrorKind::WouldBlock),
                // It never reads what it asked for.
                _ => socket.peek(&mut [0]).is_ok_and(|bytes| bytes == 0),
            };
            if is_closed {
                break;
            }
        }
    }
}

#[test]
fn hostile_clients_of_the_admin_port_cost_agencies_nothing() {
    let server = Server::start_with(AGENCIES, with_admin);
    let address = admin_address(&server.process);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..HOSTILE {
            let (address, is_over) = (&address, &is_over);
            scope.spawn(move || attack(address, number % 6, is_over));
        }
        // All places are taken.
        let until = Instant::now() + Duration::from_secs(30);
        while server.process.usage().expect("it runs").descriptors < MAX_CLIENTS {
            assert!(Instant::now() < until, "the attack does not begin");
            thread::sleep(Duration::from_millis(5));
        }
        let agencies = [1, 2, 3].map(|id| start(&mut server.agency_with_rows(id, &rows(BETS))));
        wait_for_nth(&server.process, "action: cierre_agencia | result: success", 3);
        assert_eq!(server.bets().lines().count(), 3 * BETS as usize);
        // A health check still gets through.
        let mut answers = 0;
        while answers < 3 {
            assert!(Instant::now() < until + Duration::from_secs(30), "nobody is answered");
            let health = loteria_tools::http::get(&address, "/healthz");
            answers += usize::from(health.is_ok_and(|health| health.status == 200));
        }
        is_over.store(true, Ordering::Relaxed);
        drop(agencies);
        let memory = server.process.usage().expect("it runs").peak_kib;
        assert!(memory < MEMORY_KIB, "{memory} KiB");
    });
}
