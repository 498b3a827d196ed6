//! The stored bets of an agency are the first of its file, or it ends: bets of two files are never mixed.

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, CLOSED, OPEN, REGISTER_BET_OK, hello, hello2, refused, register_bets, welcome2,
};
use crate::fixture::{
    FakeServer, ONE_BET, Server, fails_with, rows, run, start, stored, succeeded, sum_of, wait_for, wait_for_nth,
};
use loteria_tools::Process;

/// Rows of other people than those of [`rows`].
fn other_rows(count: u32) -> String {
    (1..=count).map(|document| format!("Eva,Sosa,{document},2001-02-03,1\n")).collect()
}

#[test]
fn a_bet_by_environment_is_not_the_first_of_a_file() {
    let server = Server::start(1);
    assert!(run(server.agency(1).envs(ONE_BET)).status.success());
    let bets = server.bets();
    let ended = fails_with(start(&mut server.agency_with_rows(1, &rows(3))), "another file was sent before");
    let line = ended.lines_with("another file was sent before")[0].to_owned();
    assert!(line.contains("the server has 1 bets with checksum "), "{line}");
    assert!(line.contains("and the first 1 of ") && line.contains("agency-1.csv have checksum "), "{line}");
    assert!(line.contains("begin a new round: stop the server and move bets.csv"), "{line}");
    assert_eq!(server.bets(), bets);
}

#[test]
fn a_file_that_is_changed_in_mid_round_is_refused() {
    let server = Server::start(2);
    let agency = start(&mut server.agency_with_rows(1, &rows(50)));
    wait_for(&server.process, "action: cierre_agencia");
    agency.kill();
    fails_with(start(&mut server.agency_with_rows(1, &other_rows(50))), "another file was sent before");
    // One byte of one row that is stored.
    let changed = rows(50).replacen("1999", "1998", 1);
    fails_with(start(&mut server.agency_with_rows(1, &changed)), "another file was sent before");
    assert_eq!(server.bets(), stored(1, &rows(50)));
}

#[test]
fn a_file_that_is_changed_while_it_is_sent_is_not_closed() {
    let folder = tempfile::tempdir().expect("a folder");
    let before = rows(40_000);
    let half = before[..before.len() / 2].rfind('\n').expect("a row");
    // Every row that the agency reads is valid.
    for after in [before.replace("1999", "1998"), before[..=half].to_owned()] {
        let server = Server::start(1);
        let mut agency = crate::fixture::agency(folder.path(), 1, server.port, &before);
        let agency = start(agency.env("CLI_BATCH_PERIOD", "2ms"));
        wait_for(&agency, "action: apuesta_enviada");
        // In place, as an editor or `cat > file` does.
        std::fs::write(folder.path().join("agency-1.csv"), after).expect("written");
        fails_with(agency, "was changed while it was read");
        assert!(server.stop().lines_with("cierre_agencia").is_empty());
    }
}

#[test]
fn of_two_programs_with_different_files_the_bets_of_one_are_stored() {
    for _ in 0..5 {
        let server = Server::start(1);
        let files = [rows(2000), other_rows(2000)];
        let started = files.each_ref().map(|rows| {
            let folder = tempfile::tempdir().expect("a folder");
            let mut agency = crate::fixture::agency(folder.path(), 1, server.port, rows);
            (start(agency.env("CLI_BATCH_MAXAMOUNT", "5")), folder)
        });
        let [one, two] = started.map(|(agency, _folder)| agency.wait().expect("it ended"));
        let survivors = [&one, &two].map(|ended| ended.status.success());
        assert_eq!(survivors.iter().filter(|&&survives| survives).count(), 1, "{:#?} {:#?}", one.lines, two.lines);
        let survivor = usize::from(survivors[1]);
        assert_eq!(server.bets(), stored(1, &files[survivor]));
    }
}

#[test]
fn a_welcome_has_the_checksum_of_the_stored_bets_also_after_a_restart() {
    let mut server = Server::start(2);
    let bets = [Bet::of(1, 1, 7574), Bet::of(1, 2, 2), Bet { first_name: "\"Ñ\", o".as_bytes(), ..Bet::of(1, 3, 3) }];
    let mut one = server.connect();
    one.send(&hello2(1)).expect(&welcome2(&[], OPEN));
    one.send(&register_bets(&bets[..1])).expect(REGISTER_BET_OK).send(&hello2(1)).expect(&welcome2(&bets[..1], OPEN));
    // A refused batch leaves it as it was; another agency's bets do not count.
    one.send(&register_bets(&[bets[1], Bet { document: 100_000_000, ..bets[2] }])).expect(&refused(2, 2));
    one.send(&hello2(1)).expect(&welcome2(&bets[..1], OPEN));
    server.connect().send(&register_bets(&[Bet::of(2, 9, 9)])).expect(REGISTER_BET_OK);
    one.send(&register_bets(&bets[1..])).expect(REGISTER_BET_OK).send(ALL_BETS_SENT);
    one.send(&hello2(1)).expect(&welcome2(&bets, CLOSED));
    server.restart_after(Process::terminate);
    server.connect().send(&hello2(1)).expect(&welcome2(&bets, CLOSED));
    server.connect().send(&hello2(2)).expect(&welcome2(&[Bet::of(2, 9, 9)], OPEN));
}

#[test]
fn a_refusal_says_which_bet_of_the_batch_to_version_2_only() {
    let server = Server::start(2);
    let of_another = register_bets(&[Bet::of(1, 1, 1), Bet::of(1, 2, 2), Bet::of(2, 3, 3)]);
    let mut one = server.connect();
    one.send(&hello2(1)).expect(&welcome2(&[], OPEN)).send(&of_another).expect(&refused(4, 3));
    // A batch behind a refused one is refused without a bet that is the reason.
    one.send(&register_bets(&[Bet::of(1, 1, 1)])).expect(&refused(4, 0));
    one.send(&hello2(2)).expect(&refused(4, 0)).send(&[0, 7]).expect(&refused(1, 0)).expect_closed();
    server.connect().send(&hello2(3)).expect(&refused(5, 0)).expect_closed();
    let mut older = server.connect_as(1);
    older.send(&of_another).expect(&[0, 3, 0, 4]).send(&hello(2)).expect(&[0, 3, 0, 4]);
    assert_eq!(server.bets(), "");
}

/// The bet of [`ONE_BET`].
fn lorca() -> Bet<'static> {
    let birthdate = 921_628_800;
    Bet { first_name: b"Santiago Lionel", last_name: b"Lorca", birthdate, ..Bet::of(1, 30_904_465, 2201) }
}

#[test]
fn a_bet_by_environment_is_not_taken_for_one_of_another_client() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, "").envs(ONE_BET));
    let (before, other, batch) = (Bet::of(1, 1, 1), Bet::of(1, 2, 2), register_bets(&[lorca()]));
    server.accept().expect(&hello2(1)).send(&welcome2(&[before], OPEN)).expect(&batch);
    // It is not stored, and another client's bet is.
    server.accept().expect(&hello2(1)).send(&welcome2(&[before, other], OPEN)).expect(&batch);
    server.accept().expect(&hello2(1)).send(&welcome2(&[before, other, lorca()], OPEN));
    wait_for_nth(&agency, "connect | result: in_progress", 2);
    let ended = succeeded(agency);
    assert_eq!(sum_of(&ended, "action: apuesta_enviada", "cantidad"), 0, "it is stored already: {:#?}", ended.lines);
}

#[test]
fn a_bet_by_environment_among_those_of_other_clients_is_not_sent_twice() {
    let server = FakeServer::start();
    let agency = start(server.agency(1, "").envs(ONE_BET));
    let others = [Bet::of(1, 1, 1), Bet::of(1, 2, 2)];
    server.accept().expect(&hello2(1)).send(&welcome2(&[], OPEN)).expect(&register_bets(&[lorca()]));
    server.accept().expect(&hello2(1)).send(&welcome2(&others, OPEN));
    fails_with(agency, "some of them from another client, so it can't be told if this bet is one of them");
}
