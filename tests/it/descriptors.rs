//! The limit on descriptors: the server raises the soft limit and keeps within the hard one. While it has no descriptor
//! left it closes no connection and does not spin, and it accepts again as soon as there is one.

use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{Bet, OPEN, REGISTER_BET_OK, hello, register_bet_failed, register_bets, welcome};
use crate::fixture::{Server, Wire, through_bash, wait_for};
use loteria_tools::field;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// Says Hello as `agency`, which must be answered.
fn serve(wire: &mut Wire, agency: u32) {
    wire.send(&hello(agency)).expect(&welcome(0, OPEN));
}

#[test]
fn the_soft_limit_is_raised_to_what_max_connections_needs() {
    let server = Server::start_with(200, |command| {
        command.env("MAX_CONNECTIONS", "200");
        through_bash(command, "ulimit -Sn 40 && exec \"$0\"");
    });
    let _wires: Vec<Wire> = (1..=200).map(|agency| server.connect_as(agency)).collect();
    let ended = server.stop();
    assert_eq!(ended.lines_with("limit_connections"), [""; 0]);
    assert_eq!(ended.lines_with("retry_every"), [""; 0], "it never ran out");
}

#[test]
fn a_hard_limit_below_max_connections_is_logged_and_the_rest_refused() {
    let server = Server::start_with(100, |command| {
        through_bash(command, "ulimit -n 64 && exec \"$0\"");
    });
    let line = wait_for(&server.process, "limit_connections");
    let allowed: u32 = field(&line, "max_connections").and_then(|number| number.parse().ok()).expect("a number");
    assert!((30..=64).contains(&allowed), "{line}");
    assert!(line.contains("configured: 10000") && line.contains("64 descriptors"), "{line}");

    let mut wires: Vec<Wire> = (1..=allowed).map(|agency| server.connect_as(agency)).collect();
    for _ in 0..20 {
        server.connect().expect(&register_bet_failed(12)).expect_closed();
    }
    drop(wires.pop());
    wait_for(&server.process, "close_connection");
    server.connect_as(1);
    let ended = server.stop();
    assert_eq!(ended.lines_with("limit_connections").len(), 1, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("retry_every"), [""; 0], "it never ran out");
}

#[test]
fn without_a_descriptor_left_accepting_pauses_and_does_not_spin() {
    let server = Server::start(30);
    let mut served: Vec<Wire> = (1..=5).map(|agency| server.connect_as(agency)).collect();

    // From here on it can open no other descriptor.
    let pid = Pid::from_raw(server.process.pid() as i32);
    let descriptors = server.process.usage().expect("usage").descriptors as u64;
    let limit = |descriptors| Rlimit { current: Some(descriptors), maximum: Some(20_000) };
    let before = prlimit(pid, Resource::Nofile, limit(descriptors)).expect("a limit");
    let mut waiting: Vec<Wire> = (0..20).map(|_| server.connect()).collect();
    wait_for(&server.process, "accept_connections | result: in_progress | error");

    // Served connections are served on. Meanwhile the loop, which tries again every 100 ms, costs next to nothing.
    let began = server.process.usage().expect("usage").processor;
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        served[0].send(&register_bets(&[Bet::of(1, 7, 7)])).expect(REGISTER_BET_OK);
        thread::sleep(Duration::from_millis(100));
    }
    let used = server.process.usage().expect("usage").processor - began;
    assert!(used < Duration::from_millis(200), "{used:?} of 1 s");
    let paused = server.process.lines().iter().filter(|line| line.contains("retry_every")).count();
    assert_eq!(paused, 1, "one line for one shortage");

    // One that closes makes room for one that waits, and a higher limit for all of them.
    drop(served.pop());
    serve(&mut waiting[0], 6);
    prlimit(pid, Resource::Nofile, before).expect("a limit");
    (7..).zip(&mut waiting[1..]).for_each(|(agency, wire)| serve(wire, agency));
    assert!(server.stop().status.success());
}
