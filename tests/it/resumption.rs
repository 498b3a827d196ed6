//! An agency's program goes on after whatever breaks, at the bet after the last one that is stored, and says so when it can't.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::fixture::{Central, run};
use loteria_tools::{Ended, Process, field};

const BETS: usize = 200;

fn rows(bets: usize) -> String {
    (1..=bets).map(|document| format!("Ana,Paz,{document},1999-03-17,{}\r\n", 7500 + document)).collect()
}

fn stored(agency: u32, bets: usize) -> String {
    rows(bets).lines().map(|row| format!("{agency},{row}\r\n")).collect()
}

fn welcome(stored: u8, state: u8) -> [u8; 11] {
    [0, 9, 0, 0, 0, 0, 0, 0, 0, stored, state]
}

const WINNER: [u8; 14] = [0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 74];

/// A Hello of `agency`, without a credential.
fn hello(agency: u8) -> [u8; 10] {
    [0, 8, 0, 1, 0, 0, 0, agency, 0, 0]
}

/// A batch of one bet of `agency`: Ana Paz, of this document, born on 1970-01-01, on number 7574.
fn batch(agency: u8, document: u8) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 34, 0, 0, 0, agency];
    bytes.extend([0, 0, 0, 3, b'A', b'n', b'a', 0, 0, 0, 3, b'P', b'a', b'z', 0, 0, 0, document]);
    bytes.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 29, 150]);
    bytes
}

const BATCH_OK: [u8; 2] = [0, 2];
const ALL_BETS_SENT: [u8; 2] = [0, 5];

/// A central by hand: what it does with each connection, in order.
fn by_hand(connections: Vec<Box<dyn FnOnce(TcpStream) + Send>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for connection in connections {
            connection(listener.accept().expect("an agency").0);
        }
    });
    port
}

/// Reads a Hello and answers it.
fn greet(stream: &mut TcpStream, stored: u8, state: u8) {
    stream.read_exact(&mut [0; 10]).expect("a Hello");
    stream.write_all(&welcome(stored, state)).expect("sent");
}

/// The program of agency 1 with `bets` bets, against the central on `port`.
fn agency(folder: &tempfile::TempDir, port: u16, bets: usize) -> std::process::Command {
    let file = folder.path().join("agency.csv");
    std::fs::write(&file, rows(bets)).expect("written");
    let mut command = crate::fixture::programs().client(folder.path(), 1, port);
    command.env("CLI_BETS_FILE", file);
    command
}

fn assert_fails(ended: &Ended, expected: &str) {
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    let line = ended.lines_with("action: exit | result: fail")[0];
    assert!(line.contains(expected), "{expected:?} is not in {line:?}");
}

/// Carries bytes between agencies and the central on `port`, and cuts each connection in both directions after it has carried as
/// many bytes to the central, or from it, as the next of `cuts` says; after the last cut it carries everything.
fn cutting_proxy(port: u16, cuts: Vec<(usize, usize)>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy_port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        let mut cuts = cuts.into_iter();
        while let Ok((agency, _)) = listener.accept() {
            let (to_central, to_agency) = cuts.next().unwrap_or((usize::MAX, usize::MAX));
            let central = TcpStream::connect(("127.0.0.1", port)).expect("it accepts");
            let both = || (agency.try_clone().expect("a clone"), central.try_clone().expect("a clone"));
            let ((agency_in, central_out), (agency_out, central_in)) = (both(), both());
            thread::spawn(move || carry(agency_in, central_out, to_central));
            thread::spawn(move || carry(central_in, agency_out, to_agency));
        }
    });
    proxy_port
}

fn carry(mut from: TcpStream, mut to: TcpStream, mut left: usize) {
    let mut bytes = [0; 4096];
    while left > 0 {
        let wanted = left.min(bytes.len());
        let Ok(count @ 1..) = from.read(&mut bytes[..wanted]) else { break };
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
        left -= count;
    }
    // One of the two may be closed already, which is as good.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn an_agency_whose_connection_is_cut_at_any_byte_goes_on_exactly() {
    let central = Central::start(1);
    // In the Hello, in a batch, between batches, in a Welcome, in a reply, behind some replies.
    let cuts = vec![(5, 99), (300, 99), (10, 99), (99, 4), (9_999, 12), (1_000, 31), (2_000, 99), (9_999, 13)];
    let broken = cuts.len();
    let proxy = cutting_proxy(central.port, cuts);
    let mut command = central.agency_with_rows(1, &rows(BETS));
    command.env("CLI_SERVER_ADDRESS", format!("127.0.0.1:{proxy}"));
    let ended = run(command.env("CLI_BATCH_MAXAMOUNT", "5").env("CLI_BATCH_WINDOW", "3"));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("action: connect | result: in_progress").len(), broken);
    assert_eq!(central.bets(), stored(1, BETS));
    assert_eq!(field(ended.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some("1"));
}

#[test]
fn a_client_that_is_started_again_sends_only_what_is_missing() {
    let central = Central::start(1);
    let mut first = central.connect();
    first.send(&hello(1)).expect(&welcome(0, 0)).send(&batch(1, 1)).expect(&BATCH_OK);
    drop(first);
    let file = format!("Ana,Paz,1,1970-01-01,7574\r\n{}", rows(BETS));
    let ended = run(&mut central.agency_with_rows(1, &file));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    let sent: usize = ended
        .lines_with("action: apuesta_enviada | result: success")
        .iter()
        .map(|line| field(line, "cantidad").and_then(|count| count.parse::<usize>().ok()).expect("a count"))
        .sum();
    assert_eq!(sent, BETS);
    assert_eq!(central.bets(), format!("1,Ana,Paz,1,1970-01-01,7574\r\n{}", stored(1, BETS)));
}

#[test]
fn an_agency_waits_longer_each_time_and_never_quite_as_long() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run(agency(&folder, crate::fixture::lasting_port(), 1).env("CLI_RETRY_TIMEOUT", "1500ms"));
    assert_fails(&ended, "gave up after trying for");
    let pause = |line: &&str| -> u64 {
        field(line, "retry_in").and_then(|pause| pause.strip_suffix("ms")?.parse().ok()).expect("a pause")
    };
    let pauses: Vec<u64> = ended.lines_with("result: in_progress").iter().map(pause).collect();
    assert!(pauses.len() >= 3, "{pauses:?}");
    // The last ends with the time that there is.
    for (&pause, longest) in pauses[..pauses.len() - 1].iter().zip([100, 200, 400, 800, 1600]) {
        assert!(longest / 2 <= pause && pause <= longest, "{pauses:?}");
    }
}

#[test]
fn a_client_without_hello_waits_for_its_central_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = crate::fixture::lasting_port();
    let client = crate::fixture::start(agency(&folder, port, 1).env("CLI_HANDSHAKE", "false"));
    client.wait_for("action: connect | result: in_progress").expect("it tries again");
    let central = Central::start_on(tempfile::tempdir().expect("a folder"), 1, |command| {
        command.env("SERVER_PORT", port.to_string());
    });
    assert!(client.wait().expect("it ended").status.success());
    assert_eq!(central.bets(), stored(1, 1));
}

#[test]
fn an_agency_that_waits_for_the_draw_outlives_any_number_of_restarts() {
    let folder = tempfile::tempdir().expect("a folder");
    let park = || -> Box<dyn FnOnce(TcpStream) + Send> {
        Box::new(|mut stream: TcpStream| {
            greet(&mut stream, 1, 1);
            stream.read_exact(&mut [0; 4]).expect("AllBetsSent and RequestWinners");
            // What it waits for is the point here: longer than the pause that would follow.
            thread::sleep(Duration::from_millis(450));
        })
    };
    let told = |mut stream: TcpStream| {
        greet(&mut stream, 1, 2);
        stream.read_exact(&mut [0; 4]).expect("AllBetsSent and RequestWinners");
        stream.write_all(&WINNER).expect("sent");
        stream.read_to_end(&mut Vec::new()).expect("it closes");
    };
    let port = by_hand(vec![park(), park(), park(), Box::new(told)]);
    let ended = run(agency(&folder, port, 1).env("CLI_RETRY_TIMEOUT", "700ms"));
    assert!(ended.status.success(), "{:#?}", ended.lines);
}

#[test]
fn a_central_that_has_more_bets_than_the_file_is_told_from_a_network_that_breaks() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = by_hand(vec![Box::new(|mut stream| greet(&mut stream, 3, 0))]);
    let ended = run(&mut agency(&folder, port, 2));
    assert_fails(&ended, "the central has 3 bets of this agency, and ");
    assert_fails(&ended, "agency.csv holds only 2: is it the file that was sent?");
    assert_eq!(ended.lines_with("in_progress").len(), 0, "trying again would not help");
}

#[test]
fn an_agency_that_has_closed_and_has_more_bets_says_so() {
    let central = Central::start(2);
    let mut wire = central.connect();
    wire.send(&hello(1)).expect(&welcome(0, 0)).send(&ALL_BETS_SENT);
    central.process.wait_for("action: cierre_agencia").expect("it closes");
    let ended = run(&mut central.agency_with_rows(1, &rows(1)));
    assert_fails(&ended, "the agency has closed with 0 bets, and there are more here");
    assert_eq!(central.bets(), "");
}

#[test]
fn the_newer_connection_of_an_agency_wins_and_nothing_that_the_older_says_later_counts() {
    let central = Central::start(1);
    let (mut older, mut newer) = (central.connect(), central.connect());
    older.send(&hello(1)).expect(&welcome(0, 0)).send(&batch(1, 1)).expect(&BATCH_OK);
    newer.send(&hello(1)).expect(&welcome(1, 0));
    older.send(&batch(1, 2)).send(&ALL_BETS_SENT).expect(&[0, 3, 0, 10]).expect_closed();
    newer.send(&batch(1, 3)).expect(&BATCH_OK);
    assert_eq!(central.bets(), "1,Ana,Paz,1,1970-01-01,7574\r\n1,Ana,Paz,3,1970-01-01,7574\r\n");
}

#[test]
fn a_connection_that_speaks_late_does_not_take_over_from_a_newer_one() {
    let central = Central::start(1);
    let [mut hello_late, mut batch_late, mut newest] = [(); 3].map(|()| central.connect());
    newest.send(&hello(1)).expect(&welcome(0, 0));
    hello_late.send(&hello(1)).expect(&[0, 3, 0, 10]).expect_closed();
    batch_late.send(&batch(1, 1)).expect(&[0, 3, 0, 10]).expect_closed();
    newest.send(&batch(1, 2)).expect(&BATCH_OK);
    assert_eq!(central.bets(), "1,Ana,Paz,2,1970-01-01,7574\r\n");
}

#[test]
fn the_program_whose_agency_another_one_takes_over_ends_and_says_why() {
    let central = Central::start(2);
    let start = || -> Process { crate::fixture::start(&mut central.agency_with_rows(1, &rows(1))) };
    let older = start();
    central.process.wait_for("action: cierre_agencia").expect("it closes and waits");
    let newer = start();
    assert_fails(&older.wait().expect("it ended"), "code 10: a newer connection of the same agency took over");
    assert!(run(&mut central.agency_with_rows(2, "")).status.success());
    assert!(newer.wait().expect("it ended").status.success());
    assert_eq!(central.bets(), stored(1, 1));
}
