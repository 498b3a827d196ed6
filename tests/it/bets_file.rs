//! `bets.csv` is, byte for byte, what the course's `store_bets` writes with Python's `csv.writer`.

use std::fs;
use std::process::{Command, Stdio};

use crate::fixture::by_hand::{self, REGISTER_BET_OK, register_bets};
use crate::fixture::{Central, run};
use loteria::bet::{Bet, Day, load_bets, store_bets};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

/// First and last names that a writer of CSV may get wrong, the last in the row that Python 3.11 wrote for both:
/// `csv.writer(file, quoting=csv.QUOTE_MINIMAL).writerow([1, first, last, 30904465, '1999-03-17', 7574])`.
const WRITTEN_BY_PYTHON: [(&str, &str, &str); 22] = [
    ("Ana", "Paz", "1,Ana,Paz,30904465,1999-03-17,7574\r\n"),
    ("María José", "Ñandú", "1,María José,Ñandú,30904465,1999-03-17,7574\r\n"),
    ("Juan,Carlos", "Paz", "1,\"Juan,Carlos\",Paz,30904465,1999-03-17,7574\r\n"),
    (",", ",,", "1,\",\",\",,\",30904465,1999-03-17,7574\r\n"),
    ("El \"Loco\"", "Paz", "1,\"El \"\"Loco\"\"\",Paz,30904465,1999-03-17,7574\r\n"),
    ("\"", "\"\"", "1,\"\"\"\",\"\"\"\"\"\",30904465,1999-03-17,7574\r\n"),
    ("\",\"", "a\",b", "1,\"\"\",\"\"\",\"a\"\",b\",30904465,1999-03-17,7574\r\n"),
    (" Ana", "Paz ", "1, Ana,Paz ,30904465,1999-03-17,7574\r\n"),
    (" ", "  ", "1, ,  ,30904465,1999-03-17,7574\r\n"),
    ("O'Higgins", "'", "1,O'Higgins,',30904465,1999-03-17,7574\r\n"),
    ("a;b", ";", "1,a;b,;,30904465,1999-03-17,7574\r\n"),
    ("#Ana", "#", "1,#Ana,#,30904465,1999-03-17,7574\r\n"),
    ("a\\b", "\\", "1,a\\b,\\,30904465,1999-03-17,7574\r\n"),
    ("a\\\"b", "\\,", "1,\"a\\\"\"b\",\"\\,\",30904465,1999-03-17,7574\r\n"),
    ("\u{a0}Ana\u{a0}", "\u{a0}", "1,\u{a0}Ana\u{a0},\u{a0},30904465,1999-03-17,7574\r\n"),
    ("\u{feff}Ana", "\u{feff}", "1,\u{feff}Ana,\u{feff},30904465,1999-03-17,7574\r\n"),
    ("a\u{2028}b", "\u{2029}", "1,a\u{2028}b,\u{2029},30904465,1999-03-17,7574\r\n"),
    ("李小龍", "🎰🇦🇷", "1,李小龍,🎰🇦🇷,30904465,1999-03-17,7574\r\n"),
    ("e\u{301}", "ﷺ", "1,e\u{301},ﷺ,30904465,1999-03-17,7574\r\n"),
    ("1", "-1.5", "1,1,-1.5,30904465,1999-03-17,7574\r\n"),
    ("=1+1", "@x", "1,=1+1,@x,30904465,1999-03-17,7574\r\n"),
    ("a|b", "None", "1,a|b,None,30904465,1999-03-17,7574\r\n"),
];

fn written_by_python() -> String {
    WRITTEN_BY_PYTHON.iter().map(|(.., row)| *row).collect()
}

fn bet<'a>(first_name: &'a str, last_name: &'a str) -> Bet<'a> {
    let birthdate = "1999-03-17".parse().expect("a day");
    Bet {
        agency: 1,
        first_name: first_name.try_into().expect("a name"),
        last_name: last_name.try_into().expect("a name"),
        document: 30_904_465,
        birthdate,
        number: 7574,
    }
}

#[test]
fn store_bets_writes_what_python_wrote() {
    let mut stored = Vec::new();
    store_bets(&mut stored, WRITTEN_BY_PYTHON.iter().map(|(first, last, _)| bet(first, last))).expect("stored");
    assert_eq!(String::from_utf8(stored).expect("UTF-8"), written_by_python());
}

#[test]
fn the_running_server_writes_what_python_wrote() {
    let central = Central::start(1);
    let on_the_wire = |(first, last, _): &(&'static str, &'static str, &str)| {
        let (first_name, last_name) = (first.as_bytes(), last.as_bytes());
        by_hand::Bet { first_name, last_name, birthdate: 921_628_800, ..by_hand::Bet::of(1, 30_904_465, 7574) }
    };
    let bets: Vec<_> = WRITTEN_BY_PYTHON.iter().map(on_the_wire).collect();
    let (batch, one_by_one) = bets.split_at(7);
    let mut agency = central.connect();
    agency.send(&register_bets(batch)).expect(REGISTER_BET_OK);
    for bet in one_by_one {
        agency.send(&register_bets(&[*bet])).expect(REGISTER_BET_OK);
    }
    assert_eq!(central.bets(), written_by_python());
}

#[test]
fn what_python_wrote_is_read_back_and_survives_the_way_from_a_file_of_an_agency() {
    let written = written_by_python();
    let mut rows = load_bets(written.as_bytes());
    for (first, last, row) in WRITTEN_BY_PYTHON {
        assert_eq!(rows.next_bet().expect(row), Some(bet(first, last)));
    }
    assert_eq!(rows.next_bet().expect("the end"), None);

    let central = Central::start(1);
    // The agency's own file is the same without the first field.
    let own: String = written.lines().map(|row| row[2..].to_owned() + "\r\n").collect();
    let ended = run(&mut central.agency_with_rows(1, &own));
    assert!(ended.status.success(), "{:#?}", ended.lines);
    assert_eq!(central.bets(), written);
}

fn any_bet() -> impl Strategy<Value = (u32, [String; 2], u32, Day, u32)> {
    let name = prop_oneof!["[a-zA-Z ]{1,20}", "[,\"';| \u{a0}ñ\\\\]{1,12}", "\\PC{1,60}"]
        .prop_filter("a valid name", |name| name.len() <= 255 && !name.chars().any(char::is_control));
    let day = (-25_567_i64..19_000).prop_map(|days| Day::from_unix_seconds(days * 86_400).expect("a day"));
    (1..=100_000_u32, [name.clone(), name], 1..=99_999_999_u32, day, 0..=9999_u32)
}

/// Writes rows of the fields that are in its first argument, each ended by a NUL, to its second.
const PYTHON: &str = "
import csv, sys
with open(sys.argv[1], newline='', encoding='utf-8') as rows, open(sys.argv[2], 'w', newline='', encoding='utf-8') as out:
    fields = rows.read().split('\\0')[:-1]
    writer = csv.writer(out, quoting=csv.QUOTE_MINIMAL)
    for at in range(0, len(fields), 6):
        writer.writerow([*fields[at:at + 6]])
";

#[test]
fn python_writes_the_same_for_thousands_of_bets() {
    let has_python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !has_python.is_ok_and(|status| status.success()) {
        println!("there is no python3 to compare with");
        return;
    }
    let mut random = TestRunner::default();
    let bets: Vec<_> = (0..5000).map(|_| any_bet().new_tree(&mut random).expect("a bet").current()).collect();
    let mut fields = String::new();
    let mut ours = Vec::new();
    for (agency, [first_name, last_name], document, birthdate, number) in &bets {
        let (agency, document, birthdate, number) = (*agency, *document, *birthdate, *number);
        let bet = Bet { agency, document, birthdate, number, ..bet(first_name, last_name) };
        store_bets(&mut ours, [bet]).expect("stored");
        fields += &format!("{agency}\0{first_name}\0{last_name}\0{document}\0{birthdate}\0{number}\0");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("fields"), folder.path().join("python.csv"));
    fs::write(&input, fields).expect("written");
    let python = run(Command::new("python3").args(["-c", PYTHON]).args([&input, &output]));
    assert!(python.status.success(), "{:#?}", python.lines);
    let theirs = fs::read(&output).expect("what Python wrote");
    assert_eq!(String::from_utf8(ours).expect("UTF-8"), String::from_utf8(theirs).expect("UTF-8"));
}
