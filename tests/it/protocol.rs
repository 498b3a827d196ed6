//! The wire: messages survive their bytes, however those are cut; no bytes do harm; and what is on the wire is what
//! `protocol.md` says, byte for byte.

use loteria::bet::{Bet, Day};
use loteria::buffer::Buffer;
use loteria::protocol::{AgencyState, Batch, ErrorCode, Malformed, Message, MessageLimits, Scanner};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A message that owns its parts.
#[derive(Clone, Debug, PartialEq)]
enum Owned {
    RegisterBets(Vec<OwnedBet>),
    RegisterBetOk,
    RegisterBetFailed(ErrorCode),
    Ack,
    AllBetsSent,
    RequestWinners,
    InformWinners(Vec<u32>),
    Hello { version: u16, agency: u32, credential: Vec<u8> },
    Welcome { stored: u64, state: AgencyState },
}

/// A bet that owns its names, or that it was none.
#[derive(Clone, Debug, PartialEq)]
enum OwnedBet {
    Bet { agency: u32, names: [String; 2], document: u32, birthdate: Day, number: u32 },
    Fault(String),
}

impl Owned {
    fn encode(&self, output: &mut Buffer) {
        match self {
            Owned::RegisterBets(bets) => {
                let mut batch = Batch::begin(output);
                for bet in bets {
                    let OwnedBet::Bet { agency, names: [first_name, last_name], document, birthdate, number } = bet
                    else {
                        panic!("a fault has no bytes")
                    };
                    let (agency, document, birthdate, number) = (*agency, *document, *birthdate, *number);
                    let [first_name, last_name] =
                        [first_name, last_name].map(|name| name.as_str().try_into().expect("a name"));
                    batch.push(&Bet { agency, first_name, last_name, document, birthdate, number }).expect("room");
                }
                assert_eq!(batch.finish() as usize, bets.len());
            }
            Owned::RegisterBetOk => Message::RegisterBetOk.encode(output),
            Owned::RegisterBetFailed(code) => Message::RegisterBetFailed(*code).encode(output),
            Owned::Ack => Message::Ack.encode(output),
            Owned::AllBetsSent => Message::AllBetsSent.encode(output),
            Owned::RequestWinners => Message::RequestWinners.encode(output),
            Owned::InformWinners(documents) => {
                Message::encode_winners_head(documents.len(), output);
                Message::encode_documents(documents, output);
            }
            Owned::Hello { version, agency, credential } => {
                Message::Hello { version: *version, agency: *agency, credential }.encode(output);
            }
            Owned::Welcome { stored, state } => Message::Welcome { stored: *stored, state: *state }.encode(output),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Buffer::new();
        self.encode(&mut bytes);
        bytes.into()
    }

    fn name(&self) -> &'static str {
        match self {
            Owned::RegisterBets(_) => "RegisterBets",
            Owned::RegisterBetOk => "RegisterBetOk",
            Owned::RegisterBetFailed(_) => "RegisterBetFailed",
            Owned::Ack => "Ack",
            Owned::AllBetsSent => "AllBetsSent",
            Owned::RequestWinners => "RequestWinners",
            Owned::InformWinners(_) => "InformWinners",
            Owned::Hello { .. } => "Hello",
            Owned::Welcome { .. } => "Welcome",
        }
    }
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Owned {
        match message {
            Message::RegisterBets(bets) => Owned::RegisterBets(
                bets.map(|bet| match bet {
                    Ok(Bet { agency, first_name, last_name, document, birthdate, number }) => {
                        let names = [first_name, last_name].map(|name| name.as_str().to_owned());
                        OwnedBet::Bet { agency, names, document, birthdate, number }
                    }
                    Err(fault) => OwnedBet::Fault(fault.to_string()),
                })
                .collect(),
            ),
            Message::RegisterBetOk => Owned::RegisterBetOk,
            Message::RegisterBetFailed(code) => Owned::RegisterBetFailed(code),
            Message::Ack => Owned::Ack,
            Message::AllBetsSent => Owned::AllBetsSent,
            Message::RequestWinners => Owned::RequestWinners,
            Message::InformWinners(documents) => Owned::InformWinners(documents.iter().collect()),
            Message::Hello { version, agency, credential } => {
                Owned::Hello { version, agency, credential: credential.to_vec() }
            }
            Message::Welcome { stored, state } => Owned::Welcome { stored, state },
        }
    }
}

/// What came of reading a stream: its messages, why it could not be followed further, and how many bytes were left.
#[derive(Debug, PartialEq)]
struct Read {
    messages: Vec<Owned>,
    malformed: Option<Malformed>,
    left: usize,
}

/// Reads `stream` in pieces of these sizes, over and over; every frame that is found must be within `limits`, and encode
/// to the bytes that it was decoded from.
fn read(stream: &[u8], pieces: &[usize], limits: MessageLimits) -> Read {
    let mut read = Read { messages: Vec::new(), malformed: None, left: 0 };
    let mut scanner = Scanner::new(limits);
    let (mut start, mut arrived) = (0, 0);
    for piece in pieces.iter().cycle() {
        arrived = stream.len().min(arrived + piece);
        loop {
            match scanner.scan(&stream[start..arrived]) {
                Ok(Some(length)) => {
                    assert!((2..=limits.message_bytes).contains(&length), "{length}");
                    let frame = &stream[start..start + length];
                    start += length;
                    match Message::decode(frame) {
                        Ok(message) => read.messages.push(check_frame(frame, message, limits)),
                        Err(malformed) => read.malformed = Some(malformed),
                    }
                }
                Ok(None) => break,
                Err(malformed) => read.malformed = Some(malformed),
            }
            if read.malformed.is_some() {
                return read;
            }
        }
        if arrived == stream.len() {
            break;
        }
    }
    read.left = stream.len() - start;
    read
}

fn check_frame(frame: &[u8], message: Message<'_>, limits: MessageLimits) -> Owned {
    let mut encoded = Buffer::new();
    message.encode(&mut encoded);
    assert_eq!(*encoded, *frame, "encode is the inverse of decode");
    let owned = Owned::from(message);
    if let Owned::RegisterBets(bets) = &owned {
        assert!(bets.len() <= limits.batch_bets as usize, "{}", bets.len());
    }
    owned
}

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
        1 => (any::<u64>(), select(states)).prop_map(|(stored, state)| Owned::Welcome { stored, state }),
    ]
}

fn stream(messages: &[Owned]) -> Vec<u8> {
    let mut bytes = Buffer::new();
    messages.iter().for_each(|message| message.encode(&mut bytes));
    bytes.into()
}

/// A RegisterBets without bets: a limit on messages that allows not even that is none that can be configured.
const SMALLEST_BATCH_BYTES: usize = 6;

fn limits() -> impl Strategy<Value = MessageLimits> {
    prop_oneof![
        Just(MessageLimits::default()),
        (SMALLEST_BATCH_BYTES..200, 0_u32..5)
            .prop_map(|(message_bytes, batch_bets)| MessageLimits { message_bytes, batch_bets }),
    ]
}

/// Bytes that get further than most: valid messages, of which some bytes are changed, added or taken away.
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
    fn a_message_is_not_one_before_its_last_byte(message in message(), missing in any::<Index>()) {
        let bytes = message.bytes();
        let there = missing.index(bytes.len());
        let read = read(&bytes[..there], &[there.max(1)], MessageLimits::default());
        prop_assert_eq!(read, Read { messages: vec![], malformed: None, left: there });
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
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
    fn nearly_valid_bytes_do_no_harm_and_are_understood_the_same_however_they_are_cut(
        bytes in nearly_valid(),
        pieces in vec(1_usize..100, 1..20),
        limits in limits(),
    ) {
        prop_assert_eq!(read(&bytes, &pieces, limits), read(&bytes, &[bytes.len().max(1)], limits));
    }
}

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

/// Bytes as they were worked out by hand from the table of the protocol, and what they say.
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
    ]
}

#[test]
fn messages_are_the_bytes_that_were_worked_out_by_hand() {
    for (hex, message) in reference() {
        let bytes = from_hex(hex);
        assert_eq!(message.bytes(), bytes, "{message:?}");
        let read = read(&bytes, &[bytes.len()], MessageLimits::default());
        assert_eq!(read, Read { messages: vec![message], malformed: None, left: 0 }, "{hex}");
    }
}

#[test]
fn bytes_that_are_no_message_are_refused_as_soon_as_that_is_certain() {
    let too_long = Malformed::MessageTooLong { limit: 65_536 };
    for (hex, malformed) in [
        ("0000", Malformed::UnknownType(0)),
        ("000a", Malformed::UnknownType(10)),
        ("ffff", Malformed::UnknownType(65_535)),
        ("0001 00000401", Malformed::TooManyBets { bets: 1025, limit: 1024 }),
        ("0001 00000001 000000000000001b", Malformed::Length),
        ("0001 00000001 000000000000fff3", too_long),
        ("0001 00000001 ffffffffffffffff", too_long),
        ("0007 0000000000004000", too_long),
        ("0007 ffffffffffffffff", too_long),
        ("0007 4000000000000000", too_long),
        ("0008 0001 00000001 0100", Malformed::Length),
        ("0003 0000", Malformed::Value),
        ("0003 000d", Malformed::Value),
        ("0009 0000000000000000 03", Malformed::Value),
    ] {
        let bytes = from_hex(hex);
        let read_whole = read(&bytes, &[bytes.len()], MessageLimits::default());
        assert_eq!(read_whole, Read { messages: vec![], malformed: Some(malformed), left: 0 }, "{hex}");
        let but_the_last = &bytes[..bytes.len() - 1];
        assert_eq!(read(but_the_last, &[1], MessageLimits::default()).malformed, None, "{hex} but its last byte");
    }
}

#[test]
fn a_bet_whose_lengths_do_not_fit_it_is_no_bet() {
    for (hex, fault) in [
        ("0000001e 00000001 00000001 41 00000001 42 00000001 0000000000000000 00000001", None),
        ("0000001d 00000001 00000001 41 00000000 00000001 0000000000000000 00000001", Some("last name is empty")),
        // A byte more than the fields take, then a byte less, then names that reach beyond the bet.
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

/// The examples of a document: what stands in its fences of `hex`, without the comments, behind the name that the first
/// comment gives it.
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
fn every_example_of_the_document_is_the_message_that_it_is_said_to_be_and_every_message_has_one() {
    let document = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/protocol.md")).expect("protocol.md");
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
