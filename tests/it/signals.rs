//! SIGTERM and SIGINT end both programs wherever they are: in under a second, with code 0, and with a line of the log for
//! each thing closed.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::Duration;

use crate::fixture::by_hand::{Bet, OPEN, hello, register_bets, welcome};
use crate::fixture::{Central, Reserved, Wire, end_by, programs, start, wait_for, wait_for_nth};
use loteria_tools::{Ended, Process};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

const BOTH: [Signal; 2] = [Signal::TERM, Signal::INT];

/// The lines with which a server ends, and which no other may follow or stand between.
fn assert_server_closed_everything(ended: &Ended, signal: Signal) {
    let name = if signal == Signal::INT { "SIGINT" } else { "SIGTERM" };
    let shutdown = ended.lines.iter().position(|line| line.contains("action: shutdown | result: in_progress"));
    let last = &ended.lines[shutdown.expect("it says that it goes")..];
    assert!(last[0].ends_with(&format!("signal: {name}")), "{last:#?}");
    assert!(last[1].contains("action: close_listener | result: success"), "{last:#?}");
    assert!(last[last.len() - 2].contains("action: close_storage | result: success"), "{last:#?}");
    assert!(last[last.len() - 1].ends_with(&format!("action: exit | result: success | signal: {name}")), "{last:#?}");
    let accepted = ended.lines_with("action: accept_connections | result: success").len();
    let closed = ended.lines_with("action: close_connection | result: success").len();
    assert_eq!(accepted, closed, "{:#?}", ended.lines);
}

fn stop(central: Central, signal: Signal) -> Ended {
    let ended = end_by(signal, central.process);
    assert_server_closed_everything(&ended, signal);
    ended
}

/// Ends a client, which is to close its connections by itself and not be cut off by its last resort.
fn stop_client(client: Process, signal: Signal, connections: usize) -> Ended {
    let ended = end_by(signal, client);
    assert!(ended.lines_with("did not wake").is_empty(), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("action: close_connection | result: success").len(), connections, "{:#?}", ended.lines);
    assert!(ended.lines_with("result: fail").is_empty(), "{:#?}", ended.lines);
    ended
}

/// Ends an agency, which is to close its file too.
fn stop_agency(agency: Process, signal: Signal, connections: usize) {
    let ended = stop_client(agency, signal, connections);
    assert_eq!(ended.lines_with("action: close_file | result: success").len(), 1, "{:#?}", ended.lines);
}

/// Rows for a long while.
fn many_rows(bets: u32) -> String {
    (1..=bets).map(|bet| format!("Ana,Paz,{bet},2000-01-01,1\n")).collect()
}

#[test]
fn an_idle_server_ends() {
    for signal in BOTH {
        let central = Central::start(5);
        wait_for(&central.process, "action: accept_connections | result: in_progress");
        stop(central, signal);
    }
}

#[test]
fn a_server_ends_while_it_reads_what_is_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = Bet::of(1, 1, 1).row();
    fs::write(folder.path().join("bets.csv"), row.repeat(100_000)).expect("written");
    let mut server = programs().server(folder.path());
    let server = start(server.env("LOGGING_LEVEL", "DEBUG"));
    wait_for(&server, "action: config");
    end_by(Signal::TERM, server);
}

#[test]
fn a_server_ends_while_five_agencies_send() {
    for signal in BOTH {
        let central = Central::start(5);
        let rows = many_rows(40_000);
        let start_agency = |id| start(central.agency_with_rows(id, &rows).env("CLI_BATCH_MAXAMOUNT", "2"));
        let agencies: Vec<Process> = (1..=5).map(start_agency).collect();
        for agency in &agencies {
            wait_for(agency, "action: apuesta_enviada");
        }
        let bets_path = central.bets_path();
        let Central { folder: _folder, process, .. } = central;
        let ended = end_by(signal, process);
        assert_server_closed_everything(&ended, signal);
        let stored = fs::read_to_string(bets_path).expect("bets.csv").lines().count() as u64;
        let acknowledged = crate::fixture::sum_of(&ended, "action: apuesta_recibida | result: success", "cantidad");
        assert!(0 < acknowledged && acknowledged < 200_000, "{acknowledged}");
        assert_eq!(stored, acknowledged);
        for agency in agencies {
            wait_for(&agency, "action: connect | result: in_progress");
            stop_agency(agency, signal, 1);
        }
    }
}

#[test]
fn a_server_ends_while_agencies_wait_for_the_draw() {
    for signal in BOTH {
        let central = Central::start(5);
        let start_agency = |id| start(&mut central.agency_with_rows(id, &many_rows(3)));
        let agencies: Vec<Process> = (1..=4).map(start_agency).collect();
        wait_for_nth(&central.process, "action: cierre_agencia", 4);
        let Central { folder: _folder, process, .. } = central;
        let ended = end_by(signal, process);
        assert_server_closed_everything(&ended, signal);
        assert!(ended.lines_with("sorteo").is_empty());
        for agency in agencies {
            wait_for(&agency, "action: connect | result: in_progress");
            stop_agency(agency, signal, 1);
        }
    }
}

#[test]
fn a_server_ends_among_connections_of_every_kind() {
    for signal in BOTH {
        let central = Central::start(2);
        let silent = central.connect();
        let mut half_a_line = central.connect();
        half_a_line.send(b"hol");
        let mut half_a_message = central.connect();
        half_a_message.send(&[0, 1, 0, 0]);
        let mut half_a_type = central.connect();
        half_a_type.send(&[0]);
        let mut lingering = central.connect();
        lingering.send(b"hola\n").expect(b"hola\n");
        let mut half_a_batch = central.connect();
        let batch = register_bets(&[Bet::of(1, 1, 1)]);
        half_a_batch.send(&hello(1)).expect(&welcome(0, OPEN)).send(&batch[..40]);
        // One that says Hello without end and never reads a Welcome.
        let mut deaf = central.connect();
        deaf.send(&hello(2)).expect(&welcome(0, OPEN));
        deaf.0.set_nonblocking(true).expect("non-blocking");
        let hellos = hello(2).repeat(10_000);
        while std::io::Write::write(&mut deaf.0, &hellos).is_ok() {}
        wait_for_nth(&central.process, "action: accept_connections | result: success", 7);
        stop(central, signal);
        drop((silent, half_a_line, half_a_message, half_a_type, lingering, half_a_batch, deaf));
    }
}

#[test]
fn signals_by_the_dozen_end_a_server_once() {
    let central = Central::start(5);
    (0..12).for_each(|_| central.process.terminate());
    let ended = stop(central, Signal::TERM);
    assert_eq!(ended.lines_with("action: exit").len(), 1);
}

/// A peer by hand for an agency that has `bets` bets, and the agency.
fn agency_of(bets: u32, listener: &TcpListener, folder: &Path) -> Process {
    fs::write(folder.join("agency.csv"), many_rows(bets)).expect("written");
    let port = listener.local_addr().expect("an address").port();
    start(programs().client(folder, 1, port).env("CLI_BATCH_WINDOW", "128"))
}

fn listener() -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    // What is accepted takes little before it is read.
    socket.set_recv_buffer_size(4096).expect("set");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("bound");
    socket.listen(1).expect("it listens");
    socket.into()
}

#[test]
fn an_agency_ends_while_it_sends_to_a_central_that_does_not_read() {
    for signal in BOTH {
        let (folder, listener) = (tempfile::tempdir().expect("a folder"), listener());
        let agency = agency_of(250_000, &listener, folder.path());
        let mut central = Wire::accept(&listener);
        central.expect(&hello(1)).send(&welcome(0, OPEN)).expect(&[0, 1]);
        wait_until_asleep(&agency);
        stop_agency(agency, signal, 1);
    }
}

#[test]
fn an_agency_ends_while_it_waits_for_a_reply_that_does_not_come() {
    for signal in BOTH {
        let (folder, listener) = (tempfile::tempdir().expect("a folder"), listener());
        let agency = agency_of(1, &listener, folder.path());
        let mut central = Wire::accept(&listener);
        central.expect(&hello(1));
        wait_until_asleep(&agency);
        stop_agency(agency, signal, 1);
    }
}

#[test]
fn an_agency_ends_while_it_waits_for_its_winners() {
    for signal in BOTH {
        let central = Central::start(2);
        let agency = start(&mut central.agency_with_rows(1, &many_rows(3)));
        wait_for(&central.process, "action: cierre_agencia");
        wait_until_asleep(&agency);
        stop_agency(agency, signal, 1);
        wait_for(&central.process, "action: close_connection");
        // What it was promised holds: the closing is stored.
        central.connect().send(&hello(1)).expect(&welcome(3, crate::fixture::by_hand::CLOSED));
    }
}

#[test]
fn an_echo_client_ends_while_it_sleeps() {
    for signal in BOTH {
        let central = Central::start(5);
        let client = start(central.agency(1).env("CLI_MODE", "echo").env("CLI_LOOP_PERIOD", "1h"));
        wait_for(&client, "action: receive_message | result: success");
        wait_until_asleep(&client);
        let ended = stop_client(client, signal, 1);
        assert!(ended.lines_with("loop_finished").is_empty(), "{:#?}", ended.lines);
    }
}

#[test]
fn an_echo_client_ends_while_it_waits_for_its_line() {
    for signal in BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let client = start(programs().client(&std::env::temp_dir(), 1, port).env("CLI_MODE", "echo"));
        let mut server = Wire::accept(&listener);
        server.expect("[CLIENT 1] Message N°1\n".as_bytes());
        stop_client(client, signal, 1);
    }
}

#[test]
fn an_agency_ends_while_it_waits_for_a_central_that_is_not_there() {
    for signal in BOTH {
        let (folder, port) = (tempfile::tempdir().expect("a folder"), Reserved::port());
        fs::write(folder.path().join("agency.csv"), many_rows(1)).expect("written");
        let agency = start(&mut programs().client(folder.path(), 1, port.number));
        wait_for_nth(&agency, "action: connect | result: in_progress", 3);
        stop_agency(agency, signal, 0);
    }
}

#[test]
fn an_agency_ends_while_it_connects_to_a_central_that_does_not_accept() {
    for signal in BOTH {
        let (folder, listener) = (tempfile::tempdir().expect("a folder"), listener());
        let address = listener.local_addr().expect("an address");
        // The queue of connections to be accepted is full once a connection is no longer made.
        let mut queue = Vec::new();
        while let Ok(queued) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            queue.push(queued);
        }
        let agency = agency_of(1, &listener, folder.path());
        wait_for(&agency, "action: config");
        wait_until_asleep(&agency);
        stop_agency(agency, signal, 0);
    }
}

#[test]
fn an_agency_ends_though_what_it_waits_for_can_not_be_woken() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("agency.csv");
    let made: ExitStatus = Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());
    // Opening a FIFO that nobody writes to does not return.
    let agency = start(&mut programs().client(folder.path(), 1, 1));
    wait_for(&agency, "action: config");
    wait_until_asleep(&agency);
    let ended = end_by(Signal::TERM, agency);
    assert_eq!(ended.lines_with("did not wake").len(), 1, "{:#?}", ended.lines);
}

/// Waits until the program's first thread sleeps, whatever it waits for.
fn wait_until_asleep(process: &Process) {
    let stat = format!("/proc/{0}/task/{0}/stat", process.pid());
    loop {
        let stat = fs::read_to_string(&stat).expect("it runs");
        let (_, state) = stat.rsplit_once(") ").expect("its state is behind its name");
        match state.as_bytes()[0] {
            b'S' => return,
            b'Z' => panic!("it ended: {:#?}", process.lines()),
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}
