//! As many connections as the system allows: the soft limit is raised, a hard limit is respected and said, and while there is
//! no descriptor left nobody is dropped, nothing spins, and whoever waits is served as soon as there is one.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{Bet, OPEN, REGISTER_BET_OK, hello, register_bet_failed, register_bets, welcome};
use crate::fixture::{Central, Wire, wait_for};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// Has the program run under these limits on descriptors, in the shell's words.
fn under_ulimit(command: &mut Command, ulimit: &str) {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("{ulimit} && exec \"$0\"")]).arg(command.get_program());
    let environment = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
    shell.env_clear().envs(environment).current_dir(command.get_current_dir().expect("a folder"));
    *command = shell;
}

/// Says Hello as `agency`, which is answered.
fn serve(wire: &mut Wire, agency: u32) {
    wire.send(&hello(agency)).expect(&welcome(0, OPEN));
}

#[test]
fn the_soft_limit_is_raised_to_what_max_connections_needs() {
    let central = Central::start_with(200, |command| {
        command.env("MAX_CONNECTIONS", "200").env("SERVER_LISTEN_BACKLOG", "1024");
        under_ulimit(command, "ulimit -Sn 40");
    });
    let mut wires: Vec<Wire> = (0..200).map(|_| central.connect()).collect();
    (1..).zip(&mut wires).for_each(|(agency, wire)| serve(wire, agency));
    let ended = central.stop();
    assert_eq!(ended.lines_with("limit_connections"), [""; 0]);
    assert_eq!(ended.lines_with("retry_every"), [""; 0], "it never ran out");
}

#[test]
fn a_hard_limit_below_max_connections_is_said_once_and_whoever_is_beyond_it_is_refused_with_code_12() {
    let central = Central::start_with(100, |command| {
        command.env("SERVER_LISTEN_BACKLOG", "1024");
        under_ulimit(command, "ulimit -n 64");
    });
    let line = wait_for(&central.process, "limit_connections");
    let allowed = loteria_tools::field(&line, "max_connections").expect("a number");
    let allowed: u32 = allowed.parse().expect("a number");
    assert!((30..=64).contains(&allowed), "{line}");
    assert!(line.contains("configured: 10000") && line.contains("64 descriptors"), "{line}");

    let mut wires: Vec<Wire> = (0..allowed).map(|_| central.connect()).collect();
    (1..).zip(&mut wires).for_each(|(agency, wire)| serve(wire, agency));
    for _ in 0..20 {
        central.connect().expect(&register_bet_failed(12)).expect_closed();
    }
    drop(wires.pop());
    wait_for(&central.process, "close_connection");
    serve(&mut central.connect(), 1);
    let ended = central.stop();
    assert_eq!(ended.lines_with("limit_connections").len(), 1, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("retry_every"), [""; 0], "it never ran out");
}

#[test]
fn without_a_descriptor_left_accepting_pauses_without_spinning_and_goes_on_when_there_is_one() {
    let central = Central::start_with(30, |command| {
        command.env("SERVER_LISTEN_BACKLOG", "64");
    });
    let mut served: Vec<Wire> = (0..5).map(|_| central.connect()).collect();
    (1..).zip(&mut served).for_each(|(agency, wire)| serve(wire, agency));

    // From here on it can't have another one, whatever it had reckoned with.
    let pid = Pid::from_raw(central.process.pid() as i32);
    let descriptors = central.process.usage().expect("usage").descriptors as u64;
    let limit = |descriptors| Rlimit { current: Some(descriptors), maximum: Some(20_000) };
    let before = prlimit(pid, Resource::Nofile, limit(descriptors)).expect("a limit");
    let mut waiting: Vec<Wire> = (0..20).map(|_| central.connect()).collect();
    wait_for(&central.process, "accept_connections | result: in_progress | error");

    // Whoever is served is served on, and the loop, which looks again every 100 ms, costs next to nothing meanwhile.
    let began = central.process.usage().expect("usage").processor;
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        served[0].send(&register_bets(&[Bet::of(1, 7, 7)])).expect(REGISTER_BET_OK);
        thread::sleep(Duration::from_millis(100));
    }
    let used = central.process.usage().expect("usage").processor - began;
    assert!(used < Duration::from_millis(400), "{used:?} of 2 s");
    let paused = central.process.lines().iter().filter(|line| line.contains("retry_every")).count();
    assert_eq!(paused, 1, "one line for one shortage");

    // One that goes makes room for one that waits; a higher limit for all of them.
    drop(served.pop());
    serve(&mut waiting[0], 6);
    prlimit(pid, Resource::Nofile, before).expect("a limit");
    (7..).zip(&mut waiting[1..]).for_each(|(agency, wire)| serve(wire, agency));
    assert!(central.stop().status.success());
}
