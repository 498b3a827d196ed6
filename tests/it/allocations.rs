//! No allocation per bet: the number of allocations for a batch does not depend on the number of its bets.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use allocation_counter::measure;
use loteria::bet::{Bet, Day};
use loteria::buffer::Buffer;
use loteria::central::{Central, ConnectionId, Event, Limits, Now, Restore};
use loteria::client::conversation::{Conversation, Manner};
use loteria::client::source::BetFile;
use loteria::config::Credential;
use loteria::ledger::Ledger;
use loteria::ledger::file::{self, DiskFile, FileLedger, SyncPolicy};
use loteria::lottery::Lottery;
use loteria::protocol::{Batch, MAX_PACKET_BYTES};
use slotmap::SlotMap;

/// RegisterBets with so many bets, none of which wins: a winner's document is kept.
fn batch(bets: u32) -> Vec<u8> {
    let mut bytes = Buffer::new();
    let mut batch = Batch::begin(&mut bytes);
    for document in 1..=bets {
        let last_name = if document % 2 == 0 { "Paz" } else { "Paz, \"el\"" };
        let [first_name, last_name] = ["Íñigo", last_name].map(|name| name.try_into().expect("a name"));
        let bet = Bet { agency: 1, first_name, last_name, document, birthdate: Day::OLDEST_BIRTHDATE, number: 7 };
        batch.push(&bet).expect("it fits into a packet");
    }
    assert_eq!(batch.finish(), bets);
    bytes.into()
}

/// A turn that takes `bytes` and stores them.
fn turn(central: &mut Central, ledger: &mut FileLedger<DiskFile>, id: ConnectionId, bytes: &[u8]) {
    let now = Now::read();
    central.on(id, Event::Received(bytes), now);
    ledger.begin(central.seal(now).expect("bets are staged"));
    let outcome = ledger.poll().expect("a file settles at once");
    central.settle(outcome, now).expect("stored");
    central.take_dirty();
    assert_eq!(central.unsent(id), [0, 2]);
    central.on(id, Event::Sent(2), now);
}

#[test]
fn the_server_allocates_no_more_for_a_hundred_bets_than_for_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = file::open(&folder.path().join("bets.csv")).expect("opened");
    let mut restore = Restore::new(Lottery::new(1));
    let (mut ledger, _) = FileLedger::recover(files, SyncPolicy::Never, &mut restore).expect("empty files");
    let mut central = Central::new(Limits::default(), None, restore.finish());
    let id = SlotMap::new().insert(());
    central.connect(id, IpAddr::V4(Ipv4Addr::LOCALHOST), Now::read());
    let (one, hundred) = (batch(1), batch(100));
    turn(&mut central, &mut ledger, id, &hundred);
    let [of_one, of_hundred] =
        [&one, &hundred].map(|bytes| measure(|| turn(&mut central, &mut ledger, id, bytes)).count_total);
    assert_eq!(of_one, of_hundred);
    assert_eq!(central.lottery().total_stored(), 201);
}

#[test]
fn an_agency_allocates_nothing_for_its_batches_but_for_the_first() {
    const WINDOW: usize = 32;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("agency-1.csv");
    let row = |document| {
        let last_name = if document % 2 == 0 { "Paz" } else { "\"Paz, \"\"el\"\"\"" };
        format!("Íñigo,{last_name},{document},1999-03-17,7\r\n")
    };
    fs::write(&file, (1..=20_000).map(row).collect::<String>()).expect("written");
    let manner = Manner {
        agency: 1,
        batch_max_amount: 100,
        batch_max_bytes: MAX_PACKET_BYTES,
        batch_window: WINDOW,
        handshake: true,
        credential: Credential::default(),
    };
    let mut conversation = Conversation::new(manner, BetFile::open(&file, 1).expect("opened"));
    let mut output = Buffer::new();
    let welcome = [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let all_stored = [0, 2].repeat(WINDOW);
    conversation.speak(&mut output).expect("Hello");
    let mut go_on = |heard: &[u8]| {
        conversation.hear(heard).expect("understood");
        let mut sent = 0;
        loop {
            output.clear();
            conversation.speak(&mut output).expect("batches");
            if output.is_empty() {
                break;
            }
            sent += output.len();
        }
        assert!(sent > 100 * 30 * WINDOW);
    };
    go_on(&welcome);
    go_on(&all_stored);
    let allocated = measure(|| (0..4).for_each(|_| go_on(&all_stored)));
    assert_eq!(allocated.count_total, 0);
    assert_eq!(conversation.stored(), 100 * 5 * WINDOW as u64);
}
