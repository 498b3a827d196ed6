//! Failures of every part in the middle of a round.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use loteria_tools::field;
use rustix::process::Signal;

use crate::database::{Database, PATIENCE, wait_until};
use crate::proxy::Proxy;
use crate::round::{Round, exported, start, wait_for, wait_for_end};

const LISTENS: &str = "action: listen | result: success";
const STANDS_BY: &str = "action: standby | result: success";

#[test]
fn a_round_in_a_database_is_stored_once_in_order_and_drawn() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 3, 300, 1);
    let server = round.server(0);
    wait_for(&server, "synchronous_standby_names: empty");
    wait_for(&server, LISTENS);
    round.finish(round.start_agencies());
    let lines = server.lines();
    assert_eq!(lines.iter().filter(|line| line.contains("action: sorteo | result: success")).count(), 1);
    assert_eq!(database.ask("SELECT count(*) FROM loteria_round WHERE drawn_at IS NOT NULL"), "1");
}

#[test]
fn a_restarted_server_goes_on_and_answers_after_the_draw() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 2, 100, 1);
    let server = round.server(0);
    let first = start(&mut round.agency_command(1));
    wait_for(&server, "action: cierre_agencia");
    server.kill();
    let server = round.server(0);
    let line = wait_for(&server, "action: recover | result: success");
    assert!(line.ends_with("bets: 100 | agencies_closed: 1"), "{line}");
    let second = start(&mut round.agency_command(2));
    round.finish(vec![first, second]);
    server.kill();
    let server = round.server(0);
    let line = wait_for(&server, "action: recover | result: success");
    assert!(line.ends_with("bets: 200 | agencies_closed: 2"), "{line}");
    round.finish(round.start_agencies());
    assert!(!server.lines().iter().any(|line| line.contains("sorteo")), "{:#?}", server.lines());
}

#[test]
fn a_standby_takes_over_within_three_seconds_of_a_kill() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 3, 1500, 2);
    let active = round.server(0);
    wait_for(&active, LISTENS);
    let standby = start(round.server_command(1).env("ADMIN_ADDRESS", "127.0.0.1:0"));
    wait_for(&standby, STANDS_BY);
    let line = wait_for(&standby, "action: listen_admin | result: success");
    let admin = field(&line, "port").expect("a port").to_owned();
    assert_eq!(health(&admin), "HTTP/1.1 200 OK, ok, standby");
    assert!(TcpStream::connect(("127.0.0.1", round.port(1))).is_err(), "a standby does not listen");
    let agencies = round.start_agencies();
    database.wait_for_bets(300);
    active.kill();
    let killed = Instant::now();
    wait_for(&standby, LISTENS);
    let took = killed.elapsed();
    assert_eq!(health(&admin), "HTTP/1.1 200 OK, ok, active");
    println!("a standby serves {took:?} after the kill");
    assert!(took < Duration::from_secs(3), "{took:?}");
    round.finish(agencies);
}

/// The answer of the admin port on `port` to a health check: its status and its line.
fn health(port: &str) -> String {
    let mut connection = TcpStream::connect(format!("127.0.0.1:{port}")).expect("it listens");
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").expect("sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).expect("answered");
    let lines = [answer.lines().next(), answer.lines().last()];
    lines.map(Option::unwrap_or_default).join(", ")
}

#[test]
fn a_cut_between_commit_and_its_answer_stores_nothing_twice() {
    let database = Database::start(&[]);
    let proxy = Proxy::start(database.port);
    let round = Round::new(Database::url(&[proxy.port]), 3, 1000, 1);
    let server = round.server(0);
    wait_for(&server, LISTENS);
    let agencies = round.start_agencies();
    for cut in 1..=5 {
        database.wait_for_bets(cut as u64 * 300);
        proxy.cut_at_commit(3);
        wait_until(|| proxy.cuts() == cut, || format!("{} cuts", proxy.cuts()));
    }
    round.finish(agencies);
    let lines = server.lines();
    assert!(lines.iter().filter(|line| line.contains("action: database | result: fail")).count() >= 5, "{lines:#?}");
}

#[test]
fn a_frozen_server_that_wakes_after_the_takeover_does_no_harm() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 3, 1500, 2);
    let first = round.server(0);
    wait_for(&first, LISTENS);
    let second = round.server(1);
    wait_for(&second, STANDS_BY);
    let agencies = round.start_agencies();
    database.wait_for_bets(300);
    first.signal(Signal::STOP);
    let frozen = Instant::now();
    wait_for(&second, LISTENS);
    let took = frozen.elapsed();
    println!("a standby serves {took:?} after the other froze");
    assert!(took < Duration::from_secs(12), "{took:?}");
    database.wait_for_bets(600);
    first.signal(Signal::CONT);
    wait_for(&first, "action: database | result: fail");
    wait_for(&first, STANDS_BY);
    round.finish(agencies);
}

#[test]
fn a_healthy_server_that_is_idle_stays_active() {
    let database = Database::start(&[]);
    let round = Round::new(Database::url(&[database.port]), 1, 10, 2);
    let active = round.server(0);
    wait_for(&active, LISTENS);
    let standby = round.server(1);
    wait_for(&standby, STANDS_BY);
    // A silent session would be ended after 8 seconds.
    database.wait_for("SELECT now() - pg_postmaster_start_time() > interval '11 seconds'", "t");
    for server in [active, standby] {
        assert!(!server.lines().iter().any(|line| line.contains("action: database | result: fail")));
    }
    assert_eq!(database.ask("SELECT epoch FROM loteria_round"), "1");
}

#[test]
fn a_killed_primary_loses_nothing_that_was_acknowledged() {
    let (primary, replica) = Database::start_pair(&[]);
    let round = Round::new(Database::url(&[primary.port, replica.port]), 3, 1500, 2);
    let servers = [round.server(0), round.server(1)];
    wait_until(
        || servers.iter().any(|server| server.lines().iter().any(|line| line.contains(LISTENS))),
        || "no server is active".to_owned(),
    );
    let agencies = round.start_agencies();
    primary.wait_for_bets(300);
    primary.kill();
    replica.promote();
    round.finish(agencies);
    assert_eq!(replica.ask("SELECT count(*) FROM loteria_bet"), "4500");
}

#[test]
fn a_commit_waits_for_the_synchronous_standby() {
    let (primary, replica) = Database::start_pair(&[]);
    let round = Round::new(Database::url(&[primary.port]), 1, 50, 1);
    let server = round.server(0);
    wait_for(&server, LISTENS);
    replica.kill();
    primary.wait_for("SELECT count(*) FROM pg_stat_replication", "0");
    // Hello alone is not answered either: the epoch is checked by a transaction that is replicated.
    let mut connection = TcpStream::connect(("127.0.0.1", round.port(0))).expect("it listens");
    connection.write_all(&[0, 8, 0, 1, 0, 0, 0, 1, 0, 0]).expect("sent");
    primary.wait_for("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'", "1");
    connection.set_read_timeout(Some(Duration::from_millis(300))).expect("set");
    let read = connection.read(&mut [0; 16]);
    assert!(read.is_err(), "{read:?}");
    // A wait that is cut short commits here alone, and only warns.
    primary.ask("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    let line = wait_for(&server, "action: database | result: fail");
    assert!(line.contains("canceling wait for synchronous replication"), "{line}");
    connection.set_read_timeout(Some(PATIENCE)).expect("set");
    let read = connection.read(&mut [0; 16]);
    assert!(read.is_err() || matches!(read, Ok(0)), "{read:?}");
}

#[test]
fn a_lost_database_stops_neither_echo_nor_the_end() {
    let database = Database::start(&[]);
    let proxy = Proxy::start(database.port);
    let round = Round::new(Database::url(&[proxy.port]), 1, 1000, 1);
    let mut server = start(round.server_command(0).env("ADMIN_ADDRESS", "127.0.0.1:0"));
    wait_for(&server, LISTENS);
    let line = wait_for(&server, "action: listen_admin | result: success");
    let admin = field(&line, "port").expect("a port").to_owned();
    let agency = start(&mut round.agency_command(1));
    database.wait_for_bets(100);
    proxy.be_silent(true);
    let echo = || {
        let mut connection = TcpStream::connect(("127.0.0.1", round.port(0))).expect("it listens");
        connection.set_read_timeout(Some(Duration::from_secs(2))).expect("set");
        connection.write_all(b"hola\n").expect("sent");
        let mut line = [0; 5];
        connection.read_exact(&mut line).expect("echoed");
        assert_eq!(&line, b"hola\n");
    };
    echo();
    database.kill();
    proxy.be_silent(false);
    wait_for(&server, "part: suspended");
    assert_eq!(health(&admin), "HTTP/1.1 503 Service Unavailable, the database can't be reached");
    echo();
    wait_for(&agency, "action: connect | result: in_progress");
    server.terminate();
    let asked = Instant::now();
    wait_for_end(&mut server);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[test]
fn servers_and_databases_die_again_and_again_and_nothing_is_lost() {
    let (primary, replica) = Database::start_pair(&[]);
    let proxies = [Proxy::start(primary.port), Proxy::start(replica.port)];
    let url = Database::url(&[proxies[0].port, proxies[1].port]);
    let round = Round::new(url, 5, 3000, 3);
    let mut servers = [round.server(0), round.server(1), round.server(2)];
    let agencies = round.start_agencies();
    let mut random = fastrand::Rng::with_seed(7574);
    for step in 0..24 {
        let database = if step < 12 { &primary } else { &replica };
        database.wait_for_bets(step * 500 + 100);
        let victim = random.usize(..servers.len());
        match random.u8(..4) {
            0 => {
                servers[victim].kill();
                servers[victim] = round.server(victim);
            }
            1 => proxies[usize::from(step >= 12)].cut_at_commit(random.usize(1..5)),
            2 => {
                servers[victim].signal(Signal::STOP);
                thread::sleep(Duration::from_millis(random.u64(..1500)));
                servers[victim].signal(Signal::CONT);
            }
            _ => {
                servers[victim].signal(Signal::STOP);
                let other = (victim + 1) % servers.len();
                servers[other].kill();
                servers[other] = round.server(other);
                servers[victim].signal(Signal::CONT);
            }
        }
        if step == 11 {
            primary.kill();
            replica.promote();
        }
    }
    round.finish(agencies);
    let draws = |server: &loteria_tools::Process| server.lines().iter().filter(|line| line.contains("sorteo")).count();
    assert!(servers.iter().map(draws).sum::<usize>() <= 1, "the draw happens once");
    assert_eq!(exported(&Database::url(&[replica.port])).lines().count(), 5 * 3000);
}
