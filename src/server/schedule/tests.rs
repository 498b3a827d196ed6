use slotmap::SlotMap;

use super::*;

const SHARE: usize = 4 * SLICE_BYTES;

fn ids(count: usize) -> Vec<ConnectionId> {
    let mut map = SlotMap::new();
    (0..count).map(|_| map.insert(())).collect()
}

/// A schedule in which `bulk` are known as bulk senders and have more to give, after commits of `commit`.
fn schedule(bulk: &[ConnectionId], commit: Duration) -> Schedule {
    let mut schedule = Schedule::new(SHARE);
    (0..100).for_each(|_| schedule.settled(commit));
    for &id in bulk {
        schedule.add(id);
        schedule.entries[id].bulk_until = 1000;
        schedule.list(id);
    }
    schedule.begin_turn();
    schedule
}

/// A schedule in which `ids` are new and have something to give.
fn newcomers(share: usize, ids: &[ConnectionId]) -> Schedule {
    let mut schedule = Schedule::new(share);
    ids.iter().for_each(|&id| join(&mut schedule, id));
    schedule.begin_turn();
    schedule
}

fn join(schedule: &mut Schedule, id: ConnectionId) {
    schedule.add(id);
    schedule.list(id);
}

/// Reads a turn in which every connection gives all that is granted. Gives the reads: a connection and its bytes.
fn read_turn(schedule: &mut Schedule) -> Vec<(ConnectionId, usize)> {
    let mut read = Vec::new();
    while let Some(Grant { id, bytes, .. }) = schedule.grant() {
        schedule.took(id, bytes, true);
        schedule.list(id);
        read.push((id, bytes));
    }
    read
}

const MILLI: Duration = Duration::from_millis(1);

#[test]
fn bulk_senders_are_read_by_slices_in_turn_up_to_their_share() {
    let ids = ids(2);
    let mut schedule = schedule(&ids, 100 * MILLI);
    let expected: Vec<_> = (0..8).map(|slice| (ids[slice % 2], SLICE_BYTES)).collect();
    assert_eq!(read_turn(&mut schedule), expected);
    assert!(schedule.has_work(), "the next turn does not sleep");
    schedule.begin_turn();
    assert_eq!(read_turn(&mut schedule), expected, "a new turn owes a new share");
}

#[test]
fn a_share_smaller_than_a_slice_bounds_the_read() {
    let ids = ids(1);
    let mut schedule = newcomers(100, &ids);
    assert_eq!(read_turn(&mut schedule), [(ids[0], 100)]);
}

#[test]
fn an_interactive_client_is_read_before_bulk_senders() {
    let ids = ids(3);
    let mut schedule = schedule(&ids[..2], 100 * MILLI);
    join(&mut schedule, ids[2]);
    assert_eq!(schedule.grant().map(|grant| (grant.id, grant.is_bulk)), Some((ids[2], false)));
    assert_eq!(schedule.grant().map(|grant| (grant.id, grant.is_bulk)), Some((ids[0], true)));
}

#[test]
fn no_number_of_interactive_clients_stops_a_bulk_sender() {
    let ids = ids(41);
    let mut schedule = schedule(&ids[..1], 100 * MILLI);
    ids[1..].iter().for_each(|&id| join(&mut schedule, id));
    let read: Vec<ConnectionId> = (0..5).filter_map(|_| schedule.grant()).map(|grant| grant.id).collect();
    assert_eq!(read, [ids[1], ids[2], ids[3], ids[4], ids[0]]);
}

#[test]
fn a_turn_of_bulk_senders_reads_for_as_long_as_a_commit_takes() {
    let ids = ids(100);
    for (commit, slices) in [(Duration::ZERO, 16), (SLICE_TIME * 20, 20), (1000 * MILLI, 160)] {
        let mut schedule = schedule(&ids, commit);
        assert!(read_turn(&mut schedule).len().abs_diff(slices) <= 1, "{commit:?}");
    }
}

#[test]
fn a_turn_that_an_interactive_client_waits_for_is_short() {
    let ids = ids(101);
    let mut schedule = schedule(&ids[..100], SLICE_TIME * 40);
    join(&mut schedule, ids[100]);
    let first = schedule.grant().expect("the interactive client");
    schedule.took(first.id, 1000, true);
    assert!(read_turn(&mut schedule).len().abs_diff(20) <= 1);
    schedule.begin_turn();
    assert!(read_turn(&mut schedule).len().abs_diff(20) <= 1, "its next batch is expected");
    schedule.quiet = EXPECTED;
    schedule.begin_turn();
    assert!(read_turn(&mut schedule).len().abs_diff(40) <= 1, "it has gone");
}

#[test]
fn one_slow_commit_does_not_make_the_next_turn_long() {
    let ids = ids(100);
    let mut schedule = schedule(&ids, SLICE_TIME * 8);
    schedule.settled(SLICE_TIME * 80);
    assert!(read_turn(&mut schedule).len() <= 18);
}

#[test]
fn a_client_that_pipelines_becomes_a_bulk_sender_and_is_forgiven_later() {
    let ids = ids(1);
    let mut schedule = newcomers(SHARE, &ids);
    assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(false));
    schedule.took(ids[0], BULK_BYTES + 1, true);
    assert!(!schedule.is_awaited);
    schedule.list(ids[0]);
    assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(true));
    (0..BULK_TURNS).for_each(|_| schedule.begin_turn());
    schedule.list(ids[0]);
    assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(true));
    schedule.begin_turn();
    schedule.list(ids[0]);
    assert_eq!(schedule.grant().map(|grant| grant.is_bulk), Some(false));
}

#[test]
fn a_crowd_with_kept_input_is_bulk_senders_that_share_a_turn() {
    let ids = ids(201);
    let mut schedule = newcomers(SHARE, &ids[..200]);
    let mut applied = 0;
    for _ in 0..20 {
        schedule.begin_turn();
        let mut grants = Vec::new();
        while let Some(Grant { id, .. }) = schedule.grant() {
            schedule.took_kept(id, false);
            grants.push(id);
        }
        // Each has its part of 64 batches in a turn, and then waits for the next.
        grants.iter().for_each(|&id| schedule.list(id));
        applied += grants.len();
        assert!((1..=SHORTEST_TURN / MAX_PACKET_BYTES).contains(&grants.len()), "{}", grants.len());
    }
    assert!(applied >= 5 * 200, "each of them goes on: {applied}");
    join(&mut schedule, ids[200]);
    schedule.begin_turn();
    assert_eq!(schedule.grant().map(|grant| grant.id), Some(ids[200]), "an interactive client goes first");
}

#[test]
fn a_held_connection_is_read_once_the_commit_is_settled() {
    let ids = ids(1);
    let mut schedule = Schedule::new(SHARE);
    schedule.add(ids[0]);
    (0..3).for_each(|_| schedule.hold(ids[0]));
    assert_eq!(schedule.held, ids, "it is held once");
    assert!(!schedule.has_work());
    schedule.settled(MILLI);
    assert!(schedule.has_work());
    schedule.hold(ids[0]);
    assert_eq!(schedule.held, ids, "the next commit holds it again");
}

#[test]
fn an_interactive_client_is_expected_for_a_few_milliseconds() {
    let ids = ids(101);
    let mut schedule = schedule(&ids[..100], MILLI);
    join(&mut schedule, ids[100]);
    let first = schedule.grant().expect("the interactive client");
    schedule.took(first.id, 1000, true);
    let short = (0..20).take_while(|_| {
        schedule.begin_turn();
        read_turn(&mut schedule).len() < 12
    });
    // A turn is a commit of 1 ms and half as much of reading.
    assert!((2..=4).contains(&short.count()));
}

#[test]
fn waiting_interactive_clients_are_all_read_in_a_turn() {
    let ids = ids(10);
    let mut schedule = schedule(&[], Duration::ZERO);
    ids.iter().for_each(|&id| join(&mut schedule, id));
    for &id in &ids {
        assert_eq!(schedule.grant().map(|grant| grant.id), Some(id));
        schedule.took(id, 1000, true);
    }
    assert_eq!(schedule.grant(), None);
}

#[test]
fn a_turn_without_commits_ends_with_an_interactive_client() {
    let ids = ids(2);
    let mut schedule = schedule(&ids[..1], Duration::ZERO);
    join(&mut schedule, ids[1]);
    let first = schedule.grant().expect("the interactive client");
    schedule.took(first.id, 1000, true);
    assert_eq!(schedule.grant(), None, "its reply does not wait for a bulk sender");
    schedule.begin_turn();
    assert_eq!(schedule.grant().map(|grant| grant.id), Some(ids[0]), "the bulk sender goes first in the next turn");
}

#[test]
fn a_removed_connection_is_not_read() {
    let ids = ids(2);
    let mut schedule = newcomers(SHARE, &ids);
    schedule.remove(ids[0]);
    assert_eq!(schedule.grant().map(|grant| grant.id), Some(ids[1]));
}
