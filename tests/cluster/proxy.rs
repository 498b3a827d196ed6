//! A proxy before the database that can cut a connection between a COMMIT and its answer, or say nothing any more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A proxy to a database on this machine.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Number of COMMITs until the next cut; 0 is never.
    commits_to_cut: AtomicUsize,
    cuts: AtomicUsize,
    /// True while nothing is carried.
    is_silent: AtomicBool,
}

impl Proxy {
    /// A proxy to the database on `port`.
    pub fn start(port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own_port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared::default());
        let for_all = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let link = Arc::new(AtomicBool::new(false));
                for (from, to, is_client) in [(&client, &server, true), (&server, &client, false)] {
                    let (from, to) = (from.try_clone().expect("a handle"), to.try_clone().expect("a handle"));
                    let (shared, link) = (Arc::clone(&for_all), Arc::clone(&link));
                    thread::spawn(move || carry(from, to, is_client, &shared, &link));
                }
            }
        });
        Proxy { port: own_port, shared }
    }

    /// Cuts the connection that says COMMIT the `nth` time from now: the database gets it, and its answer is dropped.
    pub fn cut_at_commit(&self, nth: usize) {
        self.shared.commits_to_cut.store(nth, Ordering::SeqCst);
    }

    /// The number of cuts so far.
    pub fn cuts(&self) -> usize {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Carries nothing any more, in either direction, or everything again.
    pub fn be_silent(&self, is_silent: bool) {
        self.shared.is_silent.store(is_silent, Ordering::SeqCst);
    }
}

/// Carries bytes until an end. `is_cut` is set once the answers of the database are to be dropped.
fn carry(mut from: TcpStream, mut to: TcpStream, is_client: bool, shared: &Shared, is_cut: &AtomicBool) {
    let mut buffer = [0; 1 << 16];
    while let Ok(bytes @ 1..) = from.read(&mut buffer) {
        let bytes = &buffer[..bytes];
        while shared.is_silent.load(Ordering::SeqCst) {
            thread::sleep(std::time::Duration::from_millis(1));
        }
        if is_client && has_commit(bytes) && takes_turn(&shared.commits_to_cut) {
            is_cut.store(true, Ordering::SeqCst);
        }
        if is_client && to.write_all(bytes).is_err() {
            break;
        }
        if !is_client {
            if is_cut.load(Ordering::SeqCst) {
                // It answers, so it has done what it was asked to do.
                shared.cuts.fetch_add(1, Ordering::SeqCst);
                break;
            }
            if to.write_all(bytes).is_err() {
                break;
            }
        }
    }
    // Fails if the other direction was first.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

fn has_commit(bytes: &[u8]) -> bool {
    bytes.windows(7).any(|window| window == b"COMMIT\0")
}

/// Counts `left` down. True if it reaches 0 with this call.
fn takes_turn(left: &AtomicUsize) -> bool {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1)
}
