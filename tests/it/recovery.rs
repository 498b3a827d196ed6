//! What a central makes of the files that the last one left: it goes on after any crash, and refuses what no crash can have done.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::Instant;

use crate::fixture::{Central, programs, run};
use loteria::ledger::file::{Medium, RecoveryError, Store, Sync};
use loteria::lottery::Lottery;
use loteria_tools::{Ended, field};
use tempfile::TempDir;

const ANA: &str = "1,Ana,Paz,30904465,1999-03-17,7574\r\n";
const LEO: &str = "2,\"Leo, \"\"el\"\" Ñandú\",Paz,20904465,1999-03-17,1\r\n";
const EVA: &str = "1,Eva,Paz,10904465,1999-03-17,7574\r\n";

/// A folder with these two files; a file that is `None` is missing.
fn folder(bets: Option<&[u8]>, closings: Option<&[u8]>) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in [("bets.csv", bets), ("bets.csv.closed", closings)] {
        if let Some(content) = content {
            fs::write(folder.path().join(name), content).expect("written");
        }
    }
    folder
}

/// A central of two that starts on `bets` and `closings`, and the line it says about them.
fn recover(bets: &[u8], closings: &[u8]) -> (Central, String) {
    let central = Central::start_on(folder(Some(bets), Some(closings)), 2, |_| ());
    let line = central.process.wait_for("action: recover").expect("a line");
    (central, line)
}

/// How a central of two that must not start on these files ends, and that it changes nothing.
fn refuse(bets: &[u8], closings: &[u8]) -> Ended {
    let folder = folder(Some(bets), Some(closings));
    let ended = run(programs().server(folder.path()).env("NUM_AGENCIES", "2"));
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    assert_eq!(fs::read(folder.path().join("bets.csv")).expect("read"), bets, "the bets are as they were");
    assert_eq!(fs::read(folder.path().join("bets.csv.closed")).expect("read"), closings, "so are the closings");
    ended
}

#[track_caller]
fn assert_says(ended: &Ended, expected: &str) {
    let line = ended.lines_with("action: exit | result: fail").first().copied().unwrap_or_default();
    assert!(line.contains(expected), "{expected:?} is not in {line:?}");
}

#[test]
fn a_row_that_a_crash_tore_is_cut_off_at_whatever_byte_it_ends() {
    let whole = format!("{ANA}{LEO}");
    for torn in 0..EVA.len() {
        let bets = format!("{whole}{}", &EVA[..torn]);
        let (central, line) = recover(bets.as_bytes(), b"");
        assert!(
            line.ends_with(&format!(
                "action: recover | result: success | bets: 2 | agencies_closed: 0 | truncated_bytes: {torn}"
            )),
            "{line}"
        );
        assert_eq!(central.bets(), whole);
    }
}

#[test]
fn zeros_that_a_power_loss_left_are_cut_off_however_many_they_are() {
    for zeros in [1, 1000, 1064, 70_000] {
        for torn in ["", "1", "1,Eva,Pa"] {
            let mut bets = format!("{ANA}{torn}").into_bytes();
            bets.resize(bets.len() + zeros, 0);
            let (central, line) = recover(&bets, b"");
            assert_eq!(field(&line, "truncated_bytes"), Some((torn.len() + zeros).to_string().as_str()), "{line}");
            assert_eq!(central.bets(), ANA);
        }
    }
}

#[test]
fn a_torn_closing_is_cut_off_and_its_agency_is_open_still() {
    let (central, line) = recover(format!("{ANA}{LEO}").as_bytes(), b"2,1,2\r\n1,1,2");
    assert!(line.ends_with("bets: 2 | agencies_closed: 1 | truncated_bytes: 5"), "{line}");
    let row = |row: &str| row.split_once(',').expect("fields").1.to_owned();
    let agency = run(&mut central.agency_with_rows(1, &row(ANA)));
    assert_eq!(field(agency.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some("1"));
    assert!(central.process.wait_for("action: sorteo | result: success").is_some());
    let closings = fs::read_to_string(central.folder.path().join("bets.csv.closed")).expect("read");
    assert_eq!(closings, "2,1,2\r\n1,1,2\r\n");
}

#[test]
fn a_damaged_row_with_whole_rows_behind_it_is_named_and_nothing_is_changed() {
    for (damaged, fault) in [
        ("1,Ana,Paz,3090", "line 2: "),
        ("1,Ana,Paz,30904465,1999-03-17,99999\r\n", "line 2: number is not between"),
        ("1,Ana,Paz,30904465,1999-02-30,1\r\n", "line 2: birthdate"),
        ("x,Ana,Paz,30904465,1999-03-17,1\r\n", "line 2: agency is not a number"),
        ("1,Ana,Paz,30904465,1999-03-17\r\n", "line 2: 5 fields instead of 6"),
        ("1,\"Ana,Paz,30904465,1999-03-17,1\r\n", "line 2: "),
        ("\0\0\0\0\0\0\0\0\r\n", "line 2: "),
        ("3,Ana,Paz,30904465,1999-03-17,1\r\n", "line 2: agency 3 is not one of the 2"),
    ] {
        let bets = format!("{ANA}{damaged}{LEO}");
        let ended = refuse(bets.as_bytes(), b"");
        assert_says(&ended, "the file of bets is damaged, ");
        assert_says(&ended, fault);
    }
}

#[test]
fn a_quote_that_is_never_closed_is_named_and_not_read_to_the_end_of_the_file() {
    let mut bets = format!("{ANA}1,\"Ana,Paz,30904465,1999-03-17,1\r\n");
    bets.extend(std::iter::repeat_n(ANA, 20_000));
    let ended = refuse(bets.as_bytes(), b"");
    assert_says(&ended, "line 2: ");
    assert_says(&ended, "is a quote missing?");
}

#[test]
fn a_tail_that_is_no_beginning_of_a_row_is_not_taken_for_a_crash() {
    for tail in ["apuestas\tde la agencia".to_owned(), "9".repeat(5000)] {
        let ended = refuse(format!("{ANA}{tail}").as_bytes(), b"");
        assert_says(&ended, "are no beginning of a row");
    }
}

#[test]
fn closings_that_do_not_fit_the_bets_are_not_believed() {
    let bets = format!("{ANA}{LEO}");
    for (closings, fault) in [
        ("1,2,2\r\n", "line 1: agency 1 closed with 2 bets, and 1 are stored"),
        ("2,1,2\r\n1,0,2\r\n", "line 2: agency 1 closed with 0 bets, and 1 are stored"),
        ("3,0,2\r\n", "line 1: agency 3 is not one of the 2"),
        ("1\r\n2,1,2\r\n", "line 1: 1 fields instead of 3"),
        ("1,1,5\r\n", "line 1: it is of a contest of 5 agencies, and NUM_AGENCIES is 2"),
        ("1,one,2\r\n2,1,2\r\n", "line 1: bets is not a number"),
    ] {
        let ended = refuse(bets.as_bytes(), closings.as_bytes());
        assert_says(&ended, "the file of closed agencies is damaged, ");
        assert_says(&ended, fault);
    }
}

#[test]
fn without_its_file_of_bets_a_contest_does_not_go_on() {
    let folder = folder(None, Some(b"1,1,2\r\n"));
    let ended = run(programs().server(folder.path()).env("NUM_AGENCIES", "2"));
    assert_eq!(ended.status.code(), Some(1));
    assert_says(&ended, "agency 1 closed with 1 bets, and 0 are stored");
    assert_eq!(fs::read(folder.path().join("bets.csv.closed")).expect("read"), b"1,1,2\r\n");
}

#[test]
fn bets_of_more_agencies_than_take_part_are_refused() {
    let folder = folder(Some(format!("{ANA}{LEO}").as_bytes()), None);
    let ended = run(programs().server(folder.path()).env("NUM_AGENCIES", "1"));
    assert_says(&ended, "line 2: agency 2 is not one of the 1 of NUM_AGENCIES");
}

#[test]
fn rows_that_end_with_a_line_feed_only_are_read_too() {
    let bets = format!("{ANA}{LEO}").replace("\r\n", "\n");
    let (central, line) = recover(bets.as_bytes(), b"1,1,2\n");
    assert!(line.ends_with("bets: 2 | agencies_closed: 1 | truncated_bytes: 0"), "{line}");
    assert_eq!(central.bets(), bets, "they stay as they are");
}

#[test]
fn agencies_that_had_closed_or_been_told_are_answered_by_the_next_central_and_the_draw_happens_once() {
    let own = |row: &str| row.split_once(',').expect("fields").1.to_owned();
    let mut central = Central::start(2);
    let parked = crate::fixture::start(&mut central.agency_with_rows(1, &own(ANA)));
    central.process.wait_for("action: cierre_agencia").expect("agency 1 closes");

    central = central.restart_after(2, |process| process.kill());
    parked.wait_for("action: connect | result: in_progress").expect("it tries again");
    let late = run(&mut central.agency_with_rows(2, &own(LEO)));
    let ended = parked.wait().expect("it ended");
    for (agency, winners) in [(&ended, "1"), (&late, "0")] {
        assert!(agency.status.success(), "{:#?}", agency.lines);
        assert_eq!(field(agency.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some(winners));
    }
    let first_draws = central.process.lines().iter().filter(|line| line.contains("action: sorteo")).count();

    central = central.restart_after(2, |process| process.kill());
    for (id, row, winners) in [(1, ANA, "1"), (2, LEO, "0")] {
        let again = run(&mut central.agency_with_rows(id, &own(row)));
        assert!(again.status.success(), "{:#?}", again.lines);
        assert_eq!(field(again.lines_with("consulta_ganadores")[0], "cant_ganadores"), Some(winners));
    }
    assert_eq!(central.bets(), format!("{ANA}{LEO}"));
    let ended = central.stop();
    assert_eq!((first_draws, ended.lines_with("action: sorteo").len()), (1, 0));
}

/// A file that is `times` the same rows, made as it is read: there is never more of it than one copy.
#[derive(Debug)]
struct Repeated {
    rows: Vec<u8>,
    length: u64,
    position: u64,
    is_synced: bool,
}

impl Repeated {
    fn new(rows: &str, times: usize) -> Repeated {
        Repeated { rows: rows.into(), length: (rows.len() * times) as u64, position: 0, is_synced: false }
    }
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let at = (self.position % self.rows.len() as u64) as usize;
        let left = (self.length - self.position).min((self.rows.len() - at) as u64) as usize;
        let bytes = left.min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.rows[at..at + bytes]);
        self.position += bytes as u64;
        Ok(bytes)
    }
}

impl Seek for Repeated {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::End(offset) => self.length.saturating_add_signed(offset),
            SeekFrom::Current(offset) => self.position.saturating_add_signed(offset),
        };
        Ok(self.position)
    }
}

impl Write for Repeated {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for Repeated {
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.length = bytes;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.is_synced = true;
        Ok(())
    }
}

#[test]
fn rows_whose_sync_a_crash_prevented_are_synced_before_they_count() {
    #[derive(Debug)]
    struct Unsyncable(Repeated);
    impl Read for Unsyncable {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Seek for Unsyncable {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    impl Write for Unsyncable {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    impl Medium for Unsyncable {
        fn set_len(&mut self, bytes: u64) -> io::Result<()> {
            self.0.set_len(bytes)
        }
        fn sync(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::Other.into())
        }
    }
    let files = || (Unsyncable(Repeated::new(ANA, 2)), Unsyncable(Repeated::new("", 1)));
    let recover = |sync| {
        let (bets, closings) = files();
        Store::recover(bets, closings, sync, &mut Lottery::new(1)).map(|(_, recovered)| recovered.bets)
    };
    assert!(matches!(recover(Sync::Always), Err(RecoveryError::Io(_))));
    assert!(matches!(recover(Sync::Never), Ok(2)), "whoever does not sync does not sync here either");
}

/// `cargo test --release --test recovery -- --ignored --nocapture`
#[test]
#[ignore = "a measurement, which says something in a release build only"]
fn ten_million_rows_are_recovered_at_three_million_a_second_in_memory_that_does_not_grow() {
    const ROWS: usize = 10_000_000;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bets.csv");
    let mut file = io::BufWriter::new(fs::File::create(&path).expect("created"));
    for row in 0..ROWS {
        let (agency, document, number) = (row % 5 + 1, row + 1, row % 10_000);
        write!(file, "{agency},Santiago Lionel,Lorca,{document},1999-03-17,{number}\r\n").expect("written");
    }
    file.into_inner().expect("written");
    let (bets, closings) = loteria::ledger::file::open(&path).expect("opened");
    let (mut lottery, memory, began) = (Lottery::new(5), peak_kib(), Instant::now());
    let (_, recovered) = Store::recover(bets, closings, Sync::Always, &mut lottery).expect("recovered");
    let seconds = began.elapsed().as_secs_f64();
    let (rate, more) = (ROWS as f64 / seconds, peak_kib() - memory);
    println!("{ROWS} rows in {seconds:.2} s, {rate:.0} a second, {more} KiB more at the peak");
    assert_eq!(recovered.bets, ROWS as u64);
    assert!(rate > 3e6 && more < 4096, "{rate:.0} rows a second, {more} KiB");
}

/// The most memory that this process has had: `VmHWM` of proc(5).
fn peak_kib() -> i64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}
