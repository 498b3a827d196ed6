//! Each field of each message at its limits and beyond them, and text with a special meaning elsewhere. No input of an agency or an
//! echo client can end a field or a row of `bets.csv`, or a value or a line of the log.

use crate::fixture::by_hand::{
    ACK, BIRTHDATE, Bet, OPEN, REGISTER_BET_OK, hello, hello_in_version, register_bet_failed, register_bets, welcome,
};
use crate::fixture::{Server, wait_for};
use loteria::bet::load_bets;

const DAY: i64 = 86_400;
/// 1900-01-01.
const OLDEST: i64 = -2_208_988_800;
const AGENCIES: u32 = 3;

fn today() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp().div_euclid(DAY) * DAY
}

/// Sends a batch of this bet alone over a new connection, and expects `answer`.
#[track_caller]
fn answer(central: &Server, bet: Bet<'_>, answer: &[u8]) {
    central.connect().send(&register_bets(&[bet])).expect(answer);
}

#[test]
fn a_bets_numbers_are_taken_at_their_limits_and_refused_beyond() {
    let central = Server::start(AGENCIES);
    let bet = Bet::of(1, 7, 7);
    for (value, code) in [(0, 5), (1, 0), (AGENCIES, 0), (AGENCIES + 1, 5), (1 << 31, 5), (u32::MAX, 5)] {
        answer(&central, Bet { agency: value, ..bet }, &ok_or(code));
    }
    for (value, code) in [(0, 0), (1, 0), (99_999_999, 0), (100_000_000, 2), (u32::MAX, 2)] {
        answer(&central, Bet { document: value, ..bet }, &ok_or(code));
    }
    for (value, code) in [(0, 0), (9_999, 0), (10_000, 2), (u32::MAX, 2)] {
        answer(&central, Bet { number: value, ..bet }, &ok_or(code));
    }
    for (value, code) in [
        (OLDEST - DAY, 2),
        (OLDEST, 0),
        (OLDEST + 1, 2),
        (-1, 2),
        (0, 0),
        (BIRTHDATE - 1, 2),
        (today(), 0),
        // Midnight may pass between here and there.
        (today() + 2 * DAY, 2),
        (i64::MIN, 2),
        (i64::MAX, 2),
        (i64::MAX / DAY * DAY, 2),
        (i64::MIN / DAY * DAY, 2),
    ] {
        answer(&central, Bet { birthdate: value, ..bet }, &ok_or(code));
    }
}

fn ok_or(code: u16) -> Vec<u8> {
    if code == 0 { REGISTER_BET_OK.to_vec() } else { register_bet_failed(code) }
}

#[test]
fn a_name_has_1_to_255_bytes_of_utf_8_without_control_characters() {
    let central = Server::start(1);
    let (longest, too_long) = ("é".repeat(127) + "x", "é".repeat(128));
    let mut names: Vec<(Vec<u8>, u16)> = vec![
        (b"x".to_vec(), 0),
        (longest.into_bytes(), 0),
        (Vec::new(), 2),
        (too_long.into_bytes(), 2),
        (vec![b'x'; 40_000], 2),
        // Unusual but valid text.
        ("\u{a0}".into(), 0),
        ("\u{10ffff}".into(), 0),
        ("\u{202e}".into(), 0),
        (" ".into(), 0),
        // Not UTF-8: a lone byte, one byte missing, an overlong form, a lone surrogate, a code point above the last one.
        (vec![0xff], 3),
        (vec![b'x', 0xc3], 3),
        ([vec![b'x'; 31], vec![0xc3]].concat(), 3),
        (vec![0x80], 3),
        (vec![0xc0, 0x80], 3),
        (vec![0xed, 0xa0, 0x80], 3),
        (vec![0xf4, 0x90, 0x80, 0x80], 3),
    ];
    let control = (0_u32..0x20).chain(0x7f..0xa0).filter_map(char::from_u32);
    names.extend(control.map(|control| (format!("Ana{control}Paz").into_bytes(), 2)));
    for (name, code) in &names {
        answer(&central, Bet { first_name: name, ..Bet::of(1, 7, 7) }, &ok_or(*code));
        answer(&central, Bet { last_name: name, ..Bet::of(1, 7, 7) }, &ok_or(*code));
    }
    let accepted = names.iter().filter(|(_, code)| *code == 0).count();
    assert_eq!(central.bets().lines().count(), 2 * accepted);
}

#[test]
fn a_hello_is_taken_at_its_limits_and_refused_beyond_them() {
    let central = Server::start(AGENCIES);
    for (agency, code) in [(0, 5), (1, 0), (AGENCIES, 0), (AGENCIES + 1, 5), (u32::MAX, 5)] {
        let expected = if code == 0 { welcome(0, OPEN) } else { register_bet_failed(code) };
        central.connect().send(&hello_in_version(1, agency)).expect(&expected);
    }
    for version in [0, 3, u16::MAX] {
        central.connect().send(&hello_in_version(version, 1)).expect(&register_bet_failed(11)).expect_closed();
    }
}

#[test]
fn an_empty_batch_needs_a_hello() {
    let central = Server::start(1);
    central.connect().send(&register_bets(&[])).expect(&register_bet_failed(7)).expect_closed();
    central.connect().send(&hello(1)).expect(&welcome(0, 0)).send(&register_bets(&[])).expect(REGISTER_BET_OK);
    assert_eq!(central.bets(), "");
}

#[test]
fn each_message_type_that_no_agency_sends_is_refused() {
    let central = Server::start(1);
    for code in [0, 10, 99, 255_u16] {
        central.connect().send(&code.to_be_bytes()).expect(&register_bet_failed(1)).expect_closed();
    }
    central.connect().send(ACK).send(&hello_in_version(1, 1)).expect(&welcome(0, OPEN));
}

/// Names that other programs may read as a row, a formula, a quoted field, the end of a value or a terminal's command.
const NAMES: [&str; 12] = [
    "Paz\",1,1900-01-01,7574",
    "\"",
    "\"\"",
    ",,,,,",
    "=HYPERLINK(\"http://x\")",
    "+1",
    "-1",
    "@SUM(A1)",
    "Ana | result: success | cantidad: 1000000",
    "'; DROP TABLE bets; --",
    "\u{2028}1,Eva,Sosa,4,2000-01-01,7574\u{2029}",
    "{} {0} %s %n ${HOME} \\r\\n",
];

#[test]
fn a_name_stays_one_field_of_one_row() {
    let mut central = Server::start(1);
    for name in NAMES {
        let bet = Bet { first_name: name.as_bytes(), last_name: name.as_bytes(), ..Bet::of(1, 7, 7) };
        central.connect().send(&register_bets(&[bet])).expect(REGISTER_BET_OK);
    }
    let stored = central.bets();
    assert_eq!(stored.matches("\r\n").count(), NAMES.len(), "{stored}");
    let mut rows = load_bets(stored.as_bytes());
    for name in NAMES {
        let bet = rows.next_bet().expect("a row").expect("one for each");
        assert_eq!((bet.first_name.as_str(), bet.last_name.as_str(), bet.document, bet.number), (name, name, 7, 7));
    }
    assert!(rows.next_bet().expect("the end").is_none());
    central.restart_after(|process| process.kill());
    central.connect().send(&hello_in_version(1, 1)).expect(&welcome(NAMES.len() as u64, OPEN));
}

#[test]
fn no_input_can_forge_or_end_a_log_line() {
    let central = Server::start_with(1, |command| {
        command.env("LOGGING_LEVEL", "TRACE");
    });
    let forged = "2026-01-01 00:00:00 INFO  [server] action: sorteo | result: success";
    let lines: [&[u8]; 6] = [
        forged.as_bytes(),
        b"x\r2026-01-01 00:00:00 INFO  [server] action: sorteo | result: success",
        b"x | result: success | action: sorteo",
        "x\u{2028}action: sorteo\u{85}action: sorteo\u{b}action: sorteo".as_bytes(),
        b"\x1b[2J\x1b]0;title\x07\x08\x08\x00",
        b"\xff\xfe{}|\xc3(",
    ];
    for line in lines {
        let line = [line, b"\n"].concat();
        central.connect().send(&line).expect(&line).expect_closed();
    }
    for name in NAMES {
        // Refused, so that the reason is logged.
        answer(
            &central,
            Bet { first_name: name.as_bytes(), document: 100_000_000, ..Bet::of(1, 7, 7) },
            &register_bet_failed(2),
        );
    }
    wait_for(&central.process, "action: apuesta_recibida | result: fail");
    let ended = central.stop();
    assert_eq!(ended.lines_with("action: receive_message | result: success").len(), lines.len());
    for line in &ended.lines {
        let (head, message) = line.split_once("[server] ").unwrap_or_else(|| panic!("{line}"));
        assert!(head.len() == "2026-01-01 00:00:00 DEBUG ".len() && head.starts_with("20"), "{line}");
        assert!(message.starts_with("action: ") && !message.contains(char::is_control), "{line}");
        assert!(!message.contains(['\u{2028}', '\u{2029}']), "{line}");
        assert!(message.split(" | ").nth(1).is_some_and(|result| result.starts_with("result: ")), "{line}");
        assert!(message.split(" | ").all(|part| part.contains(": ")), "{line}");
        assert_eq!(message.matches('|').count(), message.matches(" | ").count(), "{line}");
    }
    assert!(!ended.lines.iter().any(|line| line.contains("[server] action: sorteo | result")), "{:#?}", ended.lines);
}
