//! Bytes on the wire are those of `protocol.md`.

use loteria::bet::Tally;
use loteria::protocol::{AgencyState, ErrorCode, Malformed, Message, MessageLimits};

use super::owned::{Owned, OwnedBet, Read, read};
use crate::fixture::repository;

fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16).expect("hex")).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "half a byte in {hex}");
    pairs.iter().map(|[high, low]| (high * 16 + low) as u8).collect()
}

fn the_bet(agency: u32, names: [&str; 2], document: u32, birthdate: &str, number: u32) -> OwnedBet {
    let birthdate = birthdate.parse().expect("a day");
    OwnedBet::Bet { agency, names: names.map(str::to_owned), document, birthdate, number }
}

/// Bytes written by hand from the tables of `protocol.md`, and the messages that they are.
fn reference() -> Vec<(&'static str, Owned)> {
    let lorca = the_bet(1, ["Santiago Lionel", "Lorca"], 30_904_465, "1999-03-17", 7574);
    let oldest = the_bet(0xffff_ffff, ["Ñ", "A"], 0, "1900-01-01", 0xffff_ffff);
    vec![
        (
            "0001 00000001 0000000000000030
             00000001 0000000f 53616e746961676f204c696f6e656c 00000005 4c6f726361 01d79091 0000000036eef080 00001d96",
            Owned::RegisterBets(vec![lorca.clone()]),
        ),
        (
            "0001 00000002
             000000000000001f ffffffff 00000002 c391 00000001 41 00000000 ffffffff7c558180 ffffffff
             0000000000000030
             00000001 0000000f 53616e746961676f204c696f6e656c 00000005 4c6f726361 01d79091 0000000036eef080 00001d96",
            Owned::RegisterBets(vec![oldest, lorca]),
        ),
        ("0002", Owned::RegisterBetOk),
        ("0003 0001", Owned::RegisterBetFailed(ErrorCode::UnknownType)),
        ("0003 0002", Owned::RegisterBetFailed(ErrorCode::InvalidBet)),
        ("0003 0003", Owned::RegisterBetFailed(ErrorCode::Malformed)),
        ("0003 0004", Owned::RegisterBetFailed(ErrorCode::OtherAgency)),
        ("0003 0005", Owned::RegisterBetFailed(ErrorCode::NoSuchAgency)),
        ("0003 0006", Owned::RegisterBetFailed(ErrorCode::Closed)),
        ("0003 0007", Owned::RegisterBetFailed(ErrorCode::NoAgency)),
        ("0003 0008", Owned::RegisterBetFailed(ErrorCode::Credential)),
        ("0003 0009", Owned::RegisterBetFailed(ErrorCode::NotStored)),
        ("0003 000a", Owned::RegisterBetFailed(ErrorCode::TakenOver)),
        ("0003 000b", Owned::RegisterBetFailed(ErrorCode::Version)),
        ("0003 000c", Owned::RegisterBetFailed(ErrorCode::Unavailable)),
        ("0004", Owned::Ack),
        ("0005", Owned::AllBetsSent),
        ("0006", Owned::RequestWinners),
        ("0007 0000000000000000", Owned::InformWinners(vec![])),
        ("0007 0000000000000002 01d79091 05f5e0ff", Owned::InformWinners(vec![30_904_465, 99_999_999])),
        ("0008 0001 00000005 0000", Owned::Hello { version: 1, agency: 5, credential: vec![] }),
        ("0008 0001 00000100 0003 00ff7c", Owned::Hello { version: 1, agency: 256, credential: vec![0, 255, b'|'] }),
        ("0009 0000000000000000 00", Owned::Welcome { stored: 0, state: AgencyState::Open }),
        ("0009 0000000000006938 01", Owned::Welcome { stored: 26_936, state: AgencyState::Closed }),
        ("0009 ffffffffffffffff 02", Owned::Welcome { stored: u64::MAX, state: AgencyState::Drawn }),
        ("0008 0002 00000005 0000", Owned::Hello { version: 2, agency: 5, credential: vec![] }),
        ("000a 0000000000000000 00 00000000", Owned::Welcome2 { stored: Tally::default(), state: AgencyState::Open }),
        (
            "000a 0000000000006938 01 cbf43926",
            Owned::Welcome2 { stored: Tally { bets: 26_936, checksum: 0xcbf4_3926 }, state: AgencyState::Closed },
        ),
        ("000b 0002 00000011", Owned::Refused { code: ErrorCode::InvalidBet, position: 17 }),
        ("000b 000c 00000000", Owned::Refused { code: ErrorCode::Unavailable, position: 0 }),
        ("0003 000d", Owned::RegisterBetFailed(ErrorCode::TlsRequired)),
    ]
}

#[test]
fn messages_are_the_bytes_written_by_hand() {
    for (hex, message) in reference() {
        let bytes = from_hex(hex);
        assert_eq!(message.bytes(), bytes, "{message:?}");
        let read = read(&bytes, &[bytes.len()], MessageLimits::default());
        assert_eq!(read, Read { messages: vec![message], malformed: None, left: 0 }, "{hex}");
    }
}

#[test]
fn invalid_bytes_are_refused_at_the_first_byte_that_decides() {
    let too_long = Malformed::MessageTooLong { limit: 65_536 };
    for (hex, malformed) in [
        ("0000", Malformed::UnknownType(0)),
        ("000c", Malformed::UnknownType(12)),
        ("ffff", Malformed::UnknownType(65_535)),
        ("0001 00000401", Malformed::TooManyBets { bets: 1025, limit: 1024 }),
        ("0001 00000001 000000000000001b", Malformed::Length),
        ("0001 00000001 000000000000fff3", too_long),
        ("0001 00000001 ffffffffffffffff", too_long),
        ("0007 0000000000004000", too_long),
        ("0007 ffffffffffffffff", too_long),
        ("0007 4000000000000000", too_long),
        ("0008 0001 00000001 0100", Malformed::Length),
        ("0003 0000", Malformed::UnknownCode(0)),
        ("0003 000e", Malformed::UnknownCode(14)),
        ("0009 0000000000000000 03", Malformed::UnknownState(3)),
        ("000b 000e 00000000", Malformed::UnknownCode(14)),
        ("000a 0000000000000000 03 00000000", Malformed::UnknownState(3)),
    ] {
        let bytes = from_hex(hex);
        let read_whole = read(&bytes, &[bytes.len()], MessageLimits::default());
        assert_eq!(read_whole, Read { messages: vec![], malformed: Some(malformed), left: 0 }, "{hex}");
        let but_the_last = &bytes[..bytes.len() - 1];
        assert_eq!(read(but_the_last, &[1], MessageLimits::default()).malformed, None, "{hex} but its last byte");
    }
}

#[test]
fn a_bet_whose_lengths_do_not_fit_is_refused() {
    for (hex, fault) in [
        ("0000001e 00000001 00000001 41 00000001 42 00000001 0000000000000000 00000001", None),
        ("0000001d 00000001 00000001 41 00000000 00000001 0000000000000000 00000001", Some("last name is empty")),
        // A byte more than the fields, a byte less, and names that reach beyond the bet.
        ("0000001e 00000001 00000001 41 00000000 00000001 0000000000000000 00000001 00", Some("a length")),
        ("0000001c 00000001 00000001 41 00000000 00000001 0000000000000000 000000", Some("a length")),
        ("0000001d 00000001 00000002 41 00000000 00000001 0000000000000000 00000001", Some("a length")),
        ("0000001d 00000001 ffffffff 41 00000000 00000001 0000000000000000 00000001", Some("a length")),
        ("0000001d 00000001 00000001 41 ffffffff 00000001 0000000000000000 00000001", Some("a length")),
        ("0000001d 00000001 00000001 ff 00000000 00000001 0000000000000000 00000001", Some("not UTF-8")),
        ("0000001d 00000001 00000001 41 00000000 00000001 0000000000000001 00000001", Some("birthdate")),
        ("0000001d 00000001 00000001 41 00000000 00000001 7fffffffffffffff 00000001", Some("birthdate")),
        ("0000001d 00000001 00000001 41 00000000 00000001 8000000000000000 00000001", Some("birthdate")),
    ] {
        let bytes = from_hex(&format!("0001 00000001 00000000{hex}"));
        let Ok(Message::RegisterBets(mut bets)) = Message::decode(&bytes) else { panic!("{hex}") };
        match (bets.next(), fault) {
            (Some(Ok(_)), None) => {}
            (Some(Err(found)), Some(fault)) if found.to_string().contains(fault) => {}
            (found, _) => panic!("{hex}: {found:?} instead of {fault:?}"),
        }
    }
}

/// The examples of a document: the bytes in its `hex` fences, each with the name from its first comment.
fn examples(document: &str) -> Vec<(String, Vec<u8>)> {
    document
        .split("```hex\n")
        .skip(1)
        .map(|fenced| {
            let (example, _) = fenced.split_once("```").expect("a fence has an end");
            let (title, lines) = example.split_once('\n').expect("a title and bytes");
            let (name, _) =
                title.strip_prefix("# ").and_then(|title| title.split_once(':')).expect("# Name: what it is");
            let hex = lines.lines().map(|line| line.split('#').next().unwrap_or_default());
            (name.to_owned(), from_hex(&hex.collect::<String>()))
        })
        .collect()
}

#[test]
fn every_message_has_an_example_in_protocol_md_that_is_correct() {
    let document = std::fs::read_to_string(repository().join("protocol.md")).expect("protocol.md");
    let examples = examples(&document);
    for (name, bytes) in &examples {
        // `read` checks that the message encodes to the same bytes.
        let read = read(bytes, &[bytes.len()], MessageLimits::default());
        let [message] = &read.messages[..] else { panic!("{name}: {read:?}") };
        assert_eq!((message.name(), read.left), (name.as_str(), 0), "{read:?}");
        if let Owned::RegisterBets(bets) = message {
            assert!(bets.iter().all(|bet| matches!(bet, OwnedBet::Bet { .. })), "{name}: {bets:?}");
        }
    }
    for (_, message) in reference() {
        assert!(examples.iter().any(|(name, _)| name == message.name()), "no example of {}", message.name());
    }
}
