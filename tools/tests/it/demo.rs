//! `loteria demo`: it shows a whole round, and leaves no process running however it ends.

use std::fs;
use std::path::Path;
use std::process::Command;

use loteria_tools::{Ended, Process};
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
