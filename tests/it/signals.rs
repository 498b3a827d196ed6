//! SIGTERM and SIGINT end both programs wherever they are: in under a second, with code 0, and with a line of the log for
//! each thing closed.

use std::fs;
use std::io::{self, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::fixture::by_hand::{Bet, CLOSED, OPEN, hello, hello2, register_bets, welcome, welcome2};
use crate::fixture::{
    FakeServer, ROW, Server, agency, asleep, end_by, lasting_port, programs, rows, start, sum_of, wait_for,
    wait_for_nth,
};
use loteria_tools::{Ended, Process};
use rustix::process::Signal;

const BOTH: [Signal; 2] = [Signal::TERM, Signal::INT];

/// The server must end with these lines, with no other between or behind them.
fn assert_server_closed_everything(ended: &Ended, signal: Signal) {
    let name = if signal == Signal::INT { "SIGINT" } else { "SIGTERM" };
    let shutdown = ended.lines.iter().position(|line| line.contains("action: shutdown | result: in_progress"));
    let last = &ended.lines[shutdown.expect("it says that it shuts down")..];
    assert!(last[0].ends_with(&format!("signal: {name}")), "{last:#?}");
    assert!(last[1].contains("action: close_listener | result: success"), "{last:#?}");
    assert!(last[last.len() - 2].contains("action: close_storage | result: success"), "{last:#?}");
    assert!(last[last.len() - 1].ends_with(&format!("action: exit | result: success | signal: {name}")), "{last:#?}");
    let accepted = ended.lines_with("action: accept_connections | result: success").len();
    let closed = ended.lines_with("action: close_connection | result: success").len();
    assert_eq!(accepted, closed, "{:#?}", ended.lines);
}

fn stop(server: Server, signal: Signal) -> Ended {
    let ended = end_by(signal, server.process);
    assert_server_closed_everything(&ended, signal);
    ended
}

/// Ends a client, which must close its connections itself and not be cut off by its watchdog.
fn stop_client(client: Process, signal: Signal, connections: usize) -> Ended {
    let ended = end_by(signal, client);
    assert!(ended.lines_with("did not wake").is_empty(), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("action: close_connection | result: success").len(), connections, "{:#?}", ended.lines);
    assert!(ended.lines_with("result: fail").is_empty(), "{:#?}", ended.lines);
    ended
}

/// Ends an agency, which must close its file too.
fn stop_agency(agency: Process, signal: Signal, connections: usize) {
    let ended = stop_client(agency, signal, connections);
    assert_eq!(ended.lines_with("action: close_file | result: success").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn an_idle_server_ends() {
    for signal in BOTH {
        let server = Server::start(5);
        wait_for(&server.process, "action: accept_connections | result: in_progress");
        stop(server, signal);
    }
}

#[test]
fn a_server_ends_while_it_reads_what_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bets.csv"), Bet::of(1, 1, 1).row().repeat(100_000)).expect("written");
    fs::write(folder.path().join("bets.csv.closed"), "").expect("written");
    let server = start(programs().server(folder.path()).env("LOGGING_LEVEL", "DEBUG"));
    wait_for(&server, "action: config");
    end_by(Signal::TERM, server);
}

/// Ends a server whose `agencies` are connected. They try to connect again, and are ended then.
fn stop_under(server: Server, signal: Signal, agencies: Vec<Process>) -> Ended {
    let Server { folder: _folder, process, .. } = server;
    let ended = end_by(signal, process);
    assert_server_closed_everything(&ended, signal);
    for agency in agencies {
        wait_for(&agency, "action: connect | result: in_progress");
        stop_agency(agency, signal, 1);
    }
    ended
}

#[test]
fn a_server_ends_while_five_agencies_send() {
    let rows = rows(40_000);
    for signal in BOTH {
        let server = Server::start(5);
        let start_agency = |id| start(server.agency_with_rows(id, &rows).env("CLI_BATCH_MAXAMOUNT", "2"));
        let agencies: Vec<Process> = (1..=5).map(start_agency).collect();
        for agency in &agencies {
            wait_for(agency, "action: apuesta_enviada");
        }
        let bets = fs::File::open(server.bets_path()).expect("bets.csv");
        let ended = stop_under(server, signal, agencies);
        let stored = io::read_to_string(bets).expect("bets.csv").lines().count() as u64;
        let acknowledged = sum_of(&ended, "action: apuesta_recibida | result: success", "cantidad");
        assert!(0 < acknowledged && acknowledged < 200_000, "{acknowledged}");
        assert_eq!(stored, acknowledged);
    }
}

#[test]
fn a_server_ends_while_agencies_wait_for_the_draw() {
    for signal in BOTH {
        let server = Server::start(5);
        let agencies = (1..=4).map(|id| start(&mut server.agency_with_rows(id, &rows(3)))).collect();
        wait_for_nth(&server.process, "action: cierre_agencia", 4);
        let ended = stop_under(server, signal, agencies);
        assert!(ended.lines_with("sorteo").is_empty());
    }
}

#[test]
fn a_server_ends_among_connections_of_every_kind() {
    for signal in BOTH {
        let server = Server::start(2);
        let silent = server.connect();
        let mut half_a_line = server.connect();
        half_a_line.send(b"hol");
        let mut half_a_message = server.connect();
        half_a_message.send(&[0, 1, 0, 0]);
        let mut half_a_type = server.connect();
        half_a_type.send(&[0]);
        let mut lingering = server.connect();
        lingering.send(b"hola\n").expect(b"hola\n");
        let mut half_a_batch = server.connect_as(1);
        let batch = register_bets(&[Bet::of(1, 1, 1)]);
        half_a_batch.send(&batch[..40]);
        // This one sends one Hello after another and never reads a Welcome.
        let mut deaf = server.connect_as(2);
        deaf.0.set_nonblocking(true).expect("set");
        let hellos = hello(2).repeat(10_000);
        while deaf.0.write(&hellos).is_ok() {}
        wait_for_nth(&server.process, "action: accept_connections | result: success", 7);
        stop(server, signal);
        drop((silent, half_a_line, half_a_message, half_a_type, lingering, half_a_batch, deaf));
    }
}

#[test]
fn a_dozen_signals_end_a_server_once() {
    let server = Server::start(5);
    (0..12).for_each(|_| server.process.terminate());
    let ended = stop(server, Signal::TERM);
    assert_eq!(ended.lines_with("action: exit").len(), 1);
}

#[test]
fn an_agency_ends_while_it_sends_to_a_server_that_does_not_read() {
    let rows = rows(20_000);
    for signal in BOTH {
        let server = FakeServer::start_unbuffered();
        let agency = start(server.agency(1, &rows).env("CLI_BATCH_WINDOW", "128"));
        let mut wire = server.accept();
        wire.expect(&hello2(1)).send(&welcome2(&[], OPEN)).expect(&[0, 1]);
        asleep(agency.pid());
        stop_agency(agency, signal, 1);
    }
}

#[test]
fn an_agency_ends_while_it_waits_for_a_reply_that_does_not_come() {
    for signal in BOTH {
        let server = FakeServer::start();
        let agency = start(&mut server.agency(1, ROW));
        let mut wire = server.accept();
        wire.expect(&hello2(1));
        asleep(agency.pid());
        stop_agency(agency, signal, 1);
    }
}

#[test]
fn an_agency_ends_while_it_waits_for_its_winners() {
    for signal in BOTH {
        let server = Server::start(2);
        let agency = start(&mut server.agency_with_rows(1, &rows(3)));
        wait_for(&server.process, "action: cierre_agencia");
        asleep(agency.pid());
        stop_agency(agency, signal, 1);
        wait_for(&server.process, "action: close_connection");
        // Its closing stays stored.
        server.connect().send(&hello(1)).expect(&welcome(3, CLOSED));
    }
}

#[test]
fn an_echo_client_ends_while_it_sleeps() {
    for signal in BOTH {
        let server = Server::start(5);
        let client = start(server.agency(1).env("CLI_MODE", "echo").env("CLI_LOOP_PERIOD", "1h"));
        wait_for(&client, "action: receive_message | result: success");
        asleep(client.pid());
        let ended = stop_client(client, signal, 1);
        assert!(ended.lines_with("loop_finished").is_empty(), "{:#?}", ended.lines);
    }
}

#[test]
fn an_echo_client_ends_while_it_waits_for_its_line() {
    for signal in BOTH {
        let server = FakeServer::start();
        let client = start(server.client(1).env("CLI_MODE", "echo"));
        let mut wire = server.accept();
        wire.expect("[CLIENT 1] Message N°1\n".as_bytes());
        stop_client(client, signal, 1);
    }
}

#[test]
fn an_agency_ends_while_it_waits_for_a_server_that_is_not_there() {
    for signal in BOTH {
        let folder = tempfile::tempdir().expect("a folder");
        let agency = start(&mut agency(folder.path(), 1, lasting_port(), ROW));
        wait_for_nth(&agency, "action: connect | result: in_progress", 2);
        stop_agency(agency, signal, 0);
    }
}

#[test]
fn an_agency_ends_while_it_connects_to_a_server_that_does_not_accept() {
    for signal in BOTH {
        let server = FakeServer::start_unbuffered();
        // Once a connection is no longer made, the queue of those to be accepted is full.
        let mut queue = Vec::new();
        while let Ok(queued) = TcpStream::connect_timeout(&server.address(), Duration::from_millis(200)) {
            queue.push(queued);
        }
        let agency = start(&mut server.agency(1, ROW));
        wait_for(&agency, "action: config");
        asleep(agency.pid());
        stop_agency(agency, signal, 0);
    }
}

#[test]
fn an_agency_that_can_not_be_woken_ends_all_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("agency.csv");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    // To open a FIFO for reading waits for a writer.
    let agency = start(&mut programs().client(folder.path(), 1, 1));
    wait_for(&agency, "action: config");
    asleep(agency.pid());
    let ended = end_by(Signal::TERM, agency);
    assert_eq!(ended.lines_with("did not wake").len(), 1, "{:#?}", ended.lines);
}
