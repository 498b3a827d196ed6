//! `loteria demo`: it shows a whole round, and leaves no process running however it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use loteria_tools::{Ended, Process, run_on_terminal};
use rustix::process::{Pid, Signal, test_kill_process};

fn run(command: &mut Command) -> Ended {
    Process::start(command, |_| ()).expect("it starts").wait().expect("it ended")
}

fn demo(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loteria"));
    command.arg("demo").arg(data);
    command
}

#[test]
fn a_round_ends_with_a_table_of_the_winners() {
    let data = tempfile::tempdir().expect("a folder");
    fs::write(data.path().join("agency-1.csv"), "Ana,Paz,101,1999-03-17,7574\r\nLuz,Paz,102,1999-03-17,1\r\n")
        .expect("written");
    fs::write(data.path().join("agency-2.csv"), "Leo,Sosa,103,1999-03-17,7574\r\n").expect("written");
    let ended = run(&mut demo(data.path()));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    for expected in ["       1 │         2 │       1 │ 101", "       2 │         1 │       1 │ 103"] {
        assert!(ended.lines.iter().any(|line| line == expected), "{expected}: {:#?}", ended.lines);
    }
    assert_eq!(ended.lines_with("server    | ").iter().filter(|line| line.contains("action: sorteo")).count(), 1);
}

#[test]
fn the_winning_number_of_the_environment_is_drawn_and_shown() {
    let data = tempfile::tempdir().expect("a folder");
    fs::write(data.path().join("agency-1.csv"), "Ana,Paz,101,1999-03-17,7574\r\nLuz,Paz,102,1999-03-17,8\r\n")
        .expect("written");
    let ended = run(demo(data.path()).env("WINNING_NUMBER", "8"));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    for expected in ["       1 │         2 │       1 │ 102", "The winning number is 8."] {
        assert!(ended.lines.iter().any(|line| line == expected), "{expected}: {:#?}", ended.lines);
    }
}

#[test]
fn an_agency_that_fails_ends_the_round_with_an_error() {
    let data = tempfile::tempdir().expect("a folder");
    fs::write(data.path().join("agency-1.csv"), "Ana,Paz,101,1999-03-17,7574\r\n").expect("written");
    fs::write(data.path().join("agency-2.csv"), "Leo,Sosa,none,1999-03-17,7574\r\n").expect("written");
    let ended = run(&mut demo(data.path()));
    assert_eq!(ended.status.code(), Some(1), "{:#?}", ended.lines);
    assert!(ended.lines.iter().any(|line| line.starts_with("loteria: agency 2 ended")), "{:#?}", ended.lines);
}

/// True if the process exists, also as a zombie.
fn is_there(pid: u32) -> bool {
    Pid::from_raw(pid.try_into().expect("a process number")).is_some_and(|pid| test_kill_process(pid).is_ok())
}

/// The children of a process, from `/proc`.
fn children(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the kernel says");
    children.split_whitespace().map(|child| child.parse().expect("a process number")).collect()
}

#[test]
fn a_signal_ends_the_round_and_leaves_no_process_behind() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let data = tempfile::tempdir().expect("a folder");
        let rows: String = (1..=400_000).map(|bet| format!("Ana,Paz,{bet},1999-03-17,1\r\n")).collect();
        fs::write(data.path().join("agency-1.csv"), rows).expect("written");
        let demo: Process = Process::start(&mut demo(data.path()), |_| ()).expect("it starts");
        demo.wait_for("action: apuesta_recibida").expect("it begins");
        let started = children(demo.pid());
        assert_eq!(started.len(), 2, "a server and an agency");
        demo.signal(signal);
        let ended = demo.wait().expect("it ended");
        assert_eq!(ended.status.code(), Some(130), "{signal:?}");
        assert_eq!(started.into_iter().find(|&child| is_there(child)), None, "{signal:?}");
    }
}

#[test]
fn a_folder_without_agency_files_is_an_error_that_says_what_to_do() {
    let data = tempfile::tempdir().expect("a folder");
    let ended = run(&mut demo(data.path()));
    assert_eq!(ended.status.code(), Some(1), "{:?}", ended.lines);
    assert!(ended.lines[0].ends_with("no agency-1.csv there; `make data` makes it"), "{:?}", ended.lines);
}

/// A folder with the files of so many agencies, of so many bets each, one in ten of which wins.
fn data_of(agencies: u32, bets: u32) -> tempfile::TempDir {
    let data = tempfile::tempdir().expect("a folder");
    let number = |bet| if bet % 10 == 0 { 7574 } else { 1 };
    let rows: String =
        (1..=bets).map(|bet| format!("Ana,Paz,{},1999-03-17,{}\r\n", 30_000_000 + bet, number(bet))).collect();
    for agency in 1..=agencies {
        fs::write(data.path().join(format!("agency-{agency}.csv")), &rows).expect("written");
    }
    data
}

/// Runs a demo on a terminal of that size. It must end well.
#[track_caller]
fn watch(mut command: Command, lines: u16, columns: u16) -> String {
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    let (status, shown) = run_on_terminal(command, lines, columns).expect("it runs");
    assert!(status.success(), "{shown}");
    shown
}

/// The lines that stay on the terminal: those behind the last one that was erased.
fn what_stays(shown: &str) -> Vec<&str> {
    shown.rsplit('\u{1b}').next().unwrap_or_default().lines().skip(1).collect()
}

#[test]
fn on_a_terminal_bars_follow_the_round_and_the_table_stays() {
    let data = data_of(2, 200);
    fs::write(data.path().join("agency-2.csv"), "Ana,Paz,1,1999-03-17,7574\r\n").expect("written");
    let shown = watch(demo(data.path()), 24, 62);
    for expected in
        ["server ", "agency 2", "200 of 200", "201 of 201", "waiting for the draw", "20 winners", "1 winner"]
    {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    assert!(!shown.contains("action: "), "{shown}");
    let steps = (1..200).filter(|step| shown.contains(&format!(" {step} of 200"))).count();
    assert!(steps > 10, "{steps}: {shown}");
    let stays = what_stays(&shown);
    assert!(stays.contains(&"       1 │       200 │      20 │ 30000010 30000020 30000030 …"), "{stays:#?}");
    assert!(stays.contains(&"The winning number is 7574."), "{stays:#?}");
    assert!(
        stays.last().is_some_and(|line| line.contains("at the agencies' pace, 1 bet each 25ms; try --fast")),
        "{stays:#?}"
    );
    assert_eq!(stays.len(), 10, "nothing but the table and its sentences: {stays:#?}");
}

#[test]
fn a_server_that_is_killed_in_mid_round_is_seen_to_recover() {
    let data = data_of(2, 400);
    let mut command = demo(data.path());
    command.arg("--kill");
    let shown = watch(command, 24, 80);
    let mut rest = shown.as_str();
    for next in ["receiving bets", "killed", "no answer, tries again", "up again, with 4", "has drawn", "40 winners"] {
        rest = rest.split_once(next).unwrap_or_else(|| panic!("{next}, in order: {shown}")).1;
    }
    assert!(rest.contains("Each of the 800 bets is stored once"), "{shown}");
}

#[test]
fn agencies_beyond_the_lines_of_the_terminal_share_one() {
    let data = data_of(20, 10);
    let mut command = demo(data.path());
    command.arg("--fast");
    let shown = watch(command, 10, 80);
    assert!(shown.contains("agency 7  \u{1b}[32m"), "{shown}");
    assert!(!shown.contains("agency 8  \u{1b}[32m"), "{shown}");
    assert!(shown.contains("13 more   130 bets, 0 waiting for the draw, 13 told their winners"), "{shown}");
    assert!(shown.contains("     all │       200 │      20 │"), "{shown}");
}

#[test]
fn no_color_means_no_colour_and_a_dumb_terminal_gets_lines() {
    let data = data_of(1, 10);
    let on = |name: &str, value: &str| {
        let mut command = demo(data.path());
        command.arg("--fast").env_remove("NO_COLOR").env("TERM", "xterm").env(name, value);
        let (status, shown) = run_on_terminal(command, 24, 80).expect("it runs");
        assert!(status.success(), "{shown}");
        shown
    };
    let colour = "\u{1b}[32m";
    assert!(on("TERM", "xterm").contains(colour));
    assert!(!on("NO_COLOR", "1").contains(colour));
    let lines = on("TERM", "dumb");
    assert!(!lines.contains('\u{1b}') && lines.contains("server    | ") && lines.contains("action: sorteo"), "{lines}");
}

#[test]
fn a_reader_that_goes_ends_nothing_and_panics_nobody() {
    let data = data_of(2, 1000);
    let mut bash = Command::new("bash");
    bash.args(["-c", "\"$0\" demo \"$1\" | head -n 1; exit \"${PIPESTATUS[0]}\"", env!("CARGO_BIN_EXE_loteria")]);
    let ended = run(bash.arg(data.path()));
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert_eq!(ended.lines.len(), 1, "{:#?}", ended.lines);
}

#[test]
fn the_files_and_the_logs_of_a_round_are_kept_in_a_new_folder() {
    let (data, place) = (data_of(2, 10), tempfile::tempdir().expect("a folder"));
    let kept = place.path().join("round/1");
    let ended = run(demo(data.path()).arg("--keep").arg(&kept));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    let read = |name: &str| fs::read_to_string(kept.join(name)).expect(name);
    assert_eq!(read("bets.csv").lines().count(), 20);
    assert!(read("server.log").contains("action: sorteo | result: success"));
    assert!(read("agency-2.log").contains("cant_ganadores: 1\n"));

    let again = run(demo(data.path()).arg("--keep").arg(&kept));
    assert_eq!(again.status.code(), Some(1), "{:#?}", again.lines);
    assert!(again.lines[0].ends_with("--keep needs a folder that is new or empty"), "{:#?}", again.lines);
    assert_eq!(read("bets.csv").lines().count(), 20, "it is left as it was");
}
