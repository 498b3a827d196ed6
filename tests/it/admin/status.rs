//! `/status.json` and `/healthz`: where the round stands and whether bets can be stored.

use loteria::central::Stage;
use loteria_tools::{Process, field};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::fixture::by_hand::{
    ALL_BETS_SENT, Bet, REGISTER_BET_OK, REQUEST_WINNERS, register_bet_failed, register_bets,
};
use crate::fixture::{ROW, Server, start, succeeded, wait_for_nth, with_admin};

#[test]
fn the_status_shows_each_agency_and_who_is_missing() {
    let server = Server::start_with(4, with_admin);
    let snapshot = server.snapshot();
    assert!(snapshot.agencies.iter().all(|agency| agency.stage == Stage::Missing && agency.silent_seconds.is_none()));
    assert_eq!(snapshot.round.waiting_for, [1, 2, 3, 4]);
    assert_eq!(snapshot.server.role, "active");

    let mut connected = server.connect_as(2);
    connected.send(&register_bets(&[Bet::of(2, 1, 1), Bet::of(2, 2, 2)])).expect(REGISTER_BET_OK);
    let parked = server.park(3, ROW);
    let mut closed = server.connect_as(4);
    closed.send(ALL_BETS_SENT);
    wait_for_nth(&server.process, "action: cierre_agencia | result: success", 2);
    drop(closed);
    let snapshot = server.wait_for_snapshot(|snapshot| snapshot.connections.parked == 1 && snapshot.round.closed == 2);
    let stages: Vec<Stage> = snapshot.agencies.iter().map(|agency| agency.stage).collect();
    assert_eq!(stages, [Stage::Missing, Stage::Connected, Stage::Waiting, Stage::Closed]);
    let bets: Vec<u64> = snapshot.agencies.iter().map(|agency| agency.bets).collect();
    assert_eq!((bets, snapshot.round.bets), (vec![0, 2, 1, 0], 3));
    assert_eq!(snapshot.round.waiting_for, [1, 2]);
    assert_eq!((snapshot.round.missing, snapshot.round.connected, snapshot.round.closed), (1, 1, 2));
    assert!(snapshot.agencies[1].silent_seconds.is_some_and(|seconds| seconds < 30.0), "it was heard");
    assert!(snapshot.draw.is_none() && snapshot.agencies.iter().all(|agency| agency.winners.is_none()));
    assert!(snapshot.commits.count >= 2 && snapshot.commits.failed == 0);
    assert!(snapshot.storage.bets_bytes > 0 && snapshot.storage.free_bytes > 0);
    assert!(snapshot.server.memory_bytes > 0);
    drop((connected, parked));
}

#[test]
fn the_draw_is_shown_with_counts_of_winners_and_no_documents() {
    let mut server = Server::start_with(2, with_admin);
    let winner = 38_291_746;
    let row = format!("Ana,Paz,{winner},2000-01-01,7574\r\n");
    let agencies =
        [(1, row.repeat(2)), (2, String::new())].map(|(id, rows)| start(&mut server.agency_with_rows(id, &rows)));
    agencies.into_iter().for_each(|agency| _ = succeeded(agency));
    let snapshot = server.snapshot();
    let draw = snapshot.draw.expect("it was drawn");
    assert_eq!((draw.winning_number, draw.winners), (7574, 2));
    assert!(draw.time.is_some_and(|time| (snapshot.server.time - 60.0..=snapshot.server.time).contains(&time)));
    let winners: Vec<Option<u64>> = snapshot.agencies.iter().map(|agency| agency.winners).collect();
    assert_eq!(winners, [Some(2), Some(0)]);
    for path in ["/", "/status.json", "/metrics", "/healthz"] {
        assert!(!server.get(path).body.contains(&winner.to_string()), "{path}");
    }
    // The time of the draw is kept, to the second, in its certificate.
    server.restart_after(Process::terminate);
    let (before, after) = (draw.time, server.snapshot().draw.and_then(|draw| draw.time));
    let lag = before.zip(after).map(|(before, after)| before - after);
    assert!(lag.is_some_and(|lag| (0.0..2.0).contains(&lag)), "{before:?} {after:?}");
}

#[test]
fn a_restarted_server_shows_what_the_former_one_stored() {
    let mut server = Server::start_with(2, with_admin);
    drop(server.park(1, ROW));
    server.restart_after(Process::terminate);
    let snapshot = server.snapshot();
    assert_eq!((snapshot.round.bets, snapshot.agencies[0].bets), (1, 1));
    assert_eq!(snapshot.history.bets_per_second.iter().sum::<u64>(), 0, "they came before");
}

#[test]
fn the_health_check_fails_while_commits_do() {
    let server = Server::start_with(1, with_admin);
    let health = server.get("/healthz");
    assert_eq!((health.status, health.body.as_str()), (200, "ok, active\n"));
    let limit = |bytes| {
        let pid = i32::try_from(server.process.pid()).ok().and_then(Pid::from_raw);
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None }).expect("our own child");
    };
    limit(Some(0));
    let mut agency = server.connect_as(1);
    let batch = register_bets(&[Bet::of(1, 1, 1)]);
    agency.send(&batch).expect(&register_bet_failed(9));
    let health = server.get("/healthz");
    assert_eq!(health.status, 503);
    assert!(
        health.body.contains("the last commit stored nothing") && health.body.contains("File too large"),
        "{}",
        health.body
    );
    assert!(!server.snapshot().health.ok);
    assert!(server.get("/metrics").body.contains("\nloteria_healthy 0\n"));
    limit(None);
    drop(agency);
    let mut agency = server.connect_as(1);
    agency.send(&batch).expect(REGISTER_BET_OK).send(ALL_BETS_SENT).send(REQUEST_WINNERS);
    server.wait_for_snapshot(|snapshot| snapshot.draw.is_some());
    assert_eq!(server.get("/healthz").status, 200);
    assert_eq!(server.snapshot().commits.failed, 1);
}

#[test]
fn there_is_no_admin_port_unless_it_is_asked_for() {
    let ended = Server::start(1).stop();
    assert!(ended.lines_with("listen_admin").is_empty());
    let [line] = ended.lines_with("action: listen |")[..] else { panic!("{:#?}", ended.lines) };
    assert!(field(line, "port").is_some());
}
