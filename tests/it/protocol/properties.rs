//! Properties of any messages and any bytes, however they are cut.

use loteria::bet::{Day, Tally};
use loteria::buffer::Buffer;
use loteria::protocol::{AgencyState, ErrorCode, MessageLimits};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::owned::{Owned, OwnedBet, Read, read};

fn bet() -> impl Strategy<Value = OwnedBet> {
    let day = (0_i64..=2_932_896).prop_map(|days| Day::from_unix_seconds(days * 86_400).expect("a day"));
    let name = "\\PC{1,12}|[a-zñ]{1,80}|[\"',;|]{1,4}";
    (any::<u32>(), [name, name], any::<u32>(), day, any::<u32>()).prop_map(
        |(agency, names, document, birthdate, number)| OwnedBet::Bet { agency, names, document, birthdate, number },
    )
}

fn message() -> impl Strategy<Value = Owned> {
    let states = [AgencyState::Open, AgencyState::Closed, AgencyState::Drawn].to_vec();
    let hello = (any::<u16>(), any::<u32>(), vec(any::<u8>(), 0..=255));
    prop_oneof![
        3 => vec(bet(), 1..8).prop_map(Owned::RegisterBets),
        1 => Just(Owned::RegisterBetOk),
        1 => select(ErrorCode::ALL.to_vec()).prop_map(Owned::RegisterBetFailed),
        1 => Just(Owned::Ack),
        1 => Just(Owned::AllBetsSent),
        1 => Just(Owned::RequestWinners),
        1 => vec(any::<u32>(), 0..20).prop_map(Owned::InformWinners),
        1 => hello.prop_map(|(version, agency, credential)| Owned::Hello { version, agency, credential }),
        1 => (any::<u64>(), select(states.clone())).prop_map(|(stored, state)| Owned::Welcome { stored, state }),
        1 => (any::<u64>(), any::<u32>(), select(states)).prop_map(|(bets, checksum, state)| {
            Owned::Welcome2 { stored: Tally { bets, checksum }, state }
        }),
        1 => (select(ErrorCode::ALL.to_vec()), any::<u32>())
            .prop_map(|(code, position)| Owned::Refused { code, position }),
    ]
}

fn stream(messages: &[Owned]) -> Vec<u8> {
    let mut bytes = Buffer::new();
    messages.iter().for_each(|message| message.encode(&mut bytes));
    bytes.into()
}

/// A RegisterBets without bets. The configuration allows no lower limit on messages.
const SMALLEST_BATCH_BYTES: usize = 6;

fn limits() -> impl Strategy<Value = MessageLimits> {
    prop_oneof![
        Just(MessageLimits::default()),
        (SMALLEST_BATCH_BYTES..200, 0_u32..5)
            .prop_map(|(message_bytes, batch_bets)| MessageLimits { message_bytes, batch_bets }),
    ]
}

/// Valid messages of which some bytes are changed, added or removed.
fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<Index>(), 0..3, prop_oneof![any::<u8>(), 0..12_u8, Just(255)]);
    (vec(message(), 1..4), vec(change, 0..6)).prop_map(|(messages, changes)| {
        let mut bytes = stream(&messages);
        for (place, how, byte) in changes {
            let place = place.index(bytes.len() + 1);
            match how {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => bytes[place] = byte,
                _ => drop(bytes.drain(place..bytes.len().min(place + 1))),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_messages_cut_into_any_pieces_are_the_same_messages(
        messages in vec(message(), 0..12),
        pieces in vec(1_usize..200, 1..20),
    ) {
        let read = read(&stream(&messages), &pieces, MessageLimits::default());
        prop_assert_eq!(read, Read { messages, malformed: None, left: 0 });
    }

    #[test]
    fn messages_that_arrive_byte_by_byte_are_the_same_messages(messages in vec(message(), 0..4)) {
        let read = read(&stream(&messages), &[1], MessageLimits::default());
        prop_assert_eq!(read, Read { messages, malformed: None, left: 0 });
    }

    #[test]
    fn a_message_is_not_complete_before_its_last_byte(message in message(), missing in any::<Index>()) {
        let bytes = message.bytes();
        let there = missing.index(bytes.len());
        let read = read(&bytes[..there], &[there.max(1)], MessageLimits::default());
        prop_assert_eq!(read, Read { messages: vec![], malformed: None, left: there });
    }

    #[test]
    fn arbitrary_bytes_mean_the_same_however_they_are_cut(
        message_type in 0_u8..12,
        bytes in vec(prop_oneof![any::<u8>(), 0..3_u8], 0..400),
        pieces in vec(1_usize..100, 1..20),
        limits in limits(),
    ) {
        let bytes = [&[0, message_type], bytes.as_slice()].concat();
        prop_assert_eq!(read(&bytes, &pieces, limits), read(&bytes, &[bytes.len()], limits));
        read(&bytes[1..], &pieces, limits);
    }

    #[test]
    fn nearly_valid_bytes_mean_the_same_however_they_are_cut(
        bytes in nearly_valid(),
        pieces in vec(1_usize..100, 1..20),
        limits in limits(),
    ) {
        prop_assert_eq!(read(&bytes, &pieces, limits), read(&bytes, &[bytes.len().max(1)], limits));
    }
}
