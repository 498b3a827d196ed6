//! Who is waited for, for how long, and at what cost: stalled readers, floods of nothing, and a central that says nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::fixture::by_hand::{ALL_BETS_SENT, Bet, REGISTER_BET_OK, REQUEST_WINNERS, hello, register_bets, welcome};
use crate::fixture::{Central, Wire, programs, start, wait_for_nth};
use loteria::bet::WINNER_NUMBER;
use loteria_tools::Process;
use socket2::{Domain, Socket, Type};

const WINNERS: usize = 1_000_000;
const LIST_BYTES: usize = 10 + 4 * WINNERS;

/// A central whose only agency has closed, with so many winners that no socket's buffers hold their list.
fn drawn_with_many_winners() -> Central {
    let folder = tempfile::tempdir().expect("a folder");
    let rows: String =
        (1..=WINNERS).map(|document| format!("1,Ana,Paz,{document},1999-03-17,{WINNER_NUMBER}\r\n")).collect();
    std::fs::write(folder.path().join("bets.csv"), rows).expect("written");
    std::fs::write(folder.path().join("bets.csv.closed"), format!("1,{WINNERS},1\r\n")).expect("written");
    Central::start_on(folder, 1, |command| {
        command.env("MAX_UNSENT_BYTES", "16384");
    })
}

fn asks_for_winners(central: &Central) -> Wire {
    // A small window, so that what is unread stays with the central.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a size");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], central.port)).into()).expect("it accepts");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let mut wire = Wire(socket.into());
    wire.send(&hello(1)).expect(&welcome(WINNERS as u64, 2)).send(REQUEST_WINNERS);
    wire
}

/// The highest that the memory of a process has been, in KiB.
fn peak_memory(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).expect("the kernel says");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("a peak");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

#[test]
fn a_list_of_winners_is_not_kept_for_each_connection_that_does_not_read_it() {
    let central = drawn_with_many_winners();
    let before = peak_memory(&central.process);
    // Each takes the agency over from the one before; none reads.
    let mut asking: Vec<Wire> = (0..100).map(|_| asks_for_winners(&central)).collect();
    let mut list = vec![0; LIST_BYTES];
    asking.last_mut().expect("one").0.read_exact(&mut list).expect("the last one is told all");
    let grown = peak_memory(&central.process) - before;
    assert!(grown < 100 * 2 * 16 + 8192, "{grown} KiB for 100 lists of {} KiB", LIST_BYTES / 1024);
    assert_eq!(list[LIST_BYTES - 4..], (WINNERS as u32).to_be_bytes());
}

#[test]
fn a_flood_of_empty_batches_has_few_answers_in_a_turn() {
    let central = Central::start_with(1, |command| {
        command.env("MAX_TURN_ANSWERS", "3");
    });
    let mut flood = central.connect();
    flood.send(&hello(1)).expect(&welcome(0, 0));
    flood.send(&register_bets(&[]).repeat(1000)).expect(&REGISTER_BET_OK.repeat(1000));
    flood.send(ALL_BETS_SENT).send(REQUEST_WINNERS).expect(&[0, 7, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/// Sends whole batches on every one of `wires`, from agency 1, as fast as they are taken, and reads the replies, until the
/// central ends.
fn flood(wires: &[Wire]) {
    let bets = |agency| [Bet::of(agency, 7, 7); 148];
    let batches: Vec<Vec<u8>> = (1..).take(wires.len()).map(|agency| register_bets(&bets(agency))).collect();
    let mut sent = vec![0; wires.len()];
    wires.iter().for_each(|wire| wire.0.set_nonblocking(true).expect("it is a socket"));
    loop {
        for ((mut socket, batch), sent) in wires.iter().map(|wire| &wire.0).zip(&batches).zip(&mut sent) {
            while let Ok(bytes) = socket.write(&batch[*sent..]) {
                *sent = (*sent + bytes) % batch.len();
            }
            if socket
                .read(&mut [0; 1024])
                .map_or_else(|error| error.kind() != ErrorKind::WouldBlock, |bytes| bytes == 0)
            {
                return;
            }
        }
    }
}

#[test]
fn who_waits_for_an_answer_waits_for_a_few_commits_however_many_flood() {
    const FLOODS: u32 = 60;
    const BATCHES: usize = 20;
    for turn_bytes in ["131072", "4096"] {
        let central = Central::start_with(FLOODS + 1, |command| {
            command.env("SERVER_LISTEN_BACKLOG", "1024").env("MAX_TURN_BYTES", turn_bytes);
        });
        let floods: Vec<Wire> = (0..FLOODS).map(|_| central.connect()).collect();
        std::thread::spawn(move || flood(&floods));
        wait_for_nth(&central.process, "action: apuesta_recibida", 4 * FLOODS as usize);
        let mut small = central.connect();
        central.state_number(1, "commits");
        for _ in 0..BATCHES {
            small.send(&register_bets(&[Bet::of(FLOODS + 1, 7, 7)])).expect(REGISTER_BET_OK);
        }
        let commits = central.state_number(2, "commits");
        assert!(commits <= 4 * BATCHES, "{commits} commits for {BATCHES} batches, a share of {turn_bytes}");
    }
}

#[test]
fn nobody_has_to_read_the_log_for_a_program_to_end() {
    let central = Central::start(1);
    let mut command = programs().client(central.folder.path(), 1, central.port);
    let rows: String = (1..=60_000).map(|document| format!("Ana,Paz,{document},1999-03-17,1\r\n")).collect();
    let file = central.folder.path().join("agency.csv");
    std::fs::write(&file, rows).expect("written");
    command.env("CLI_BETS_FILE", file).env("CLI_BATCH_MAXAMOUNT", "10").stdout(Stdio::piped()).stderr(Stdio::null());
    let mut agency = command.spawn().expect("it starts");
    let mut last = 0;
    // Its pipe is full once it stores no more, though there is more.
    loop {
        let stored = central.bets().lines().count();
        if stored > 0 && stored == last {
            break;
        }
        last = stored;
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(last < 60_000, "it is not blocked");
    let asked = Instant::now();
    rustix::process::kill_process(rustix::process::Pid::from_child(&agency), rustix::process::Signal::TERM)
        .expect("sent");
    assert!(agency.wait().expect("it ended").success());
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
}

#[test]
fn an_agency_gives_up_on_a_central_that_accepts_and_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("agency.csv"), "Ana,Paz,1,1999-03-17,1\r\n").expect("written");
    let port = silent.local_addr().expect("an address").port();
    let mut agency = programs().client(folder.path(), 1, port);
    let agency = start(agency.env("CLI_REPLY_TIMEOUT", "100ms").env("CLI_RETRY_TIMEOUT", "500ms"));
    let ended = agency.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    assert!(ended.lines_with("the central says nothing, see reply.timeout; gave up").len() == 1, "{:#?}", ended.lines);
}
