//! `bets.csv` is, byte for byte, the file that the course's `store_bets` writes with Python's `csv.writer`.

use std::fs;
use std::process::Command;

use crate::fixture::by_hand::{self, REGISTER_BET_OK, register_bets};
use crate::fixture::{Server, start, succeeded};
use fastrand::Rng;
use loteria::bet::{Bet, Day, load_bets, store_bets};

/// First and last names that a writer of CSV may get wrong, and the row that Python 3.11 writes for them:
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
fn store_bets_writes_the_rows_of_python() {
    let mut stored = Vec::new();
    store_bets(&mut stored, WRITTEN_BY_PYTHON.iter().map(|(first, last, _)| bet(first, last))).expect("stored");
    assert_eq!(String::from_utf8(stored).expect("UTF-8"), written_by_python());
}

#[test]
fn the_running_server_writes_the_rows_of_python() {
    let server = Server::start(1);
    let on_the_wire = |(first, last, _): &(&'static str, &'static str, &str)| {
        let (first_name, last_name) = (first.as_bytes(), last.as_bytes());
        by_hand::Bet { first_name, last_name, birthdate: 921_628_800, ..by_hand::Bet::of(1, 30_904_465, 7574) }
    };
    let bets: Vec<_> = WRITTEN_BY_PYTHON.iter().map(on_the_wire).collect();
    let (batch, one_by_one) = bets.split_at(7);
    let mut agency = server.connect();
    agency.send(&register_bets(batch)).expect(REGISTER_BET_OK);
    for bet in one_by_one {
        agency.send(&register_bets(&[*bet])).expect(REGISTER_BET_OK);
    }
    assert_eq!(server.bets(), written_by_python());
}

#[test]
fn the_rows_of_python_are_read_back_and_survive_an_agency_and_a_server() {
    let written = written_by_python();
    let mut rows = load_bets(written.as_bytes());
    for (first, last, row) in WRITTEN_BY_PYTHON {
        assert_eq!(rows.next_bet().expect(row), Some(bet(first, last)));
    }
    assert_eq!(rows.next_bet().expect("the end"), None);

    let server = Server::start(1);
    // The agency's own file is the same without the first field.
    let own: String = written.lines().map(|row| row[2..].to_owned() + "\r\n").collect();
    succeeded(start(&mut server.agency_with_rows(1, &own)));
    assert_eq!(server.bets(), written);
}

/// A valid name of letters, of characters that a writer of CSV may get wrong, or of any.
fn any_name(random: &mut Rng) -> String {
    const SPECIAL: &[char] = &[',', '"', '\'', ';', '|', ' ', '\u{a0}', 'ñ', '\\'];
    let (kind, length) = (random.u8(..3), random.usize(1..=60));
    let mut character = || match kind {
        0 => random.alphabetic(),
        1 => SPECIAL[random.usize(..SPECIAL.len())],
        _ => std::iter::repeat_with(|| random.char(..)).find(|character| !character.is_control()).expect("one"),
    };
    // At most 60 characters of at most 4 bytes each.
    (0..length).map(|_| character()).collect()
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
fn python_writes_the_same_rows_for_thousands_of_random_bets() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    let mut fields = String::new();
    let mut ours = Vec::new();
    for _ in 0..5000 {
        let [first_name, last_name] = [(); 2].map(|()| any_name(&mut random));
        let (agency, document) = (random.u32(1..=100_000), random.u32(1..=99_999_999));
        let birthdate = Day::from_unix_seconds(random.i64(-25_567..19_000) * 86_400).expect("a day");
        let number = random.u32(..10_000);
        let bet = Bet { agency, document, birthdate, number, ..bet(&first_name, &last_name) };
        store_bets(&mut ours, [bet]).expect("stored");
        fields += &format!("{agency}\0{first_name}\0{last_name}\0{document}\0{birthdate}\0{number}\0");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (input, output) = (folder.path().join("fields"), folder.path().join("python.csv"));
    fs::write(&input, fields).expect("written");
    succeeded(start(Command::new("python3").args(["-c", PYTHON]).args([&input, &output])));
    let theirs = fs::read(&output).expect("read");
    assert_eq!(String::from_utf8(ours).expect("UTF-8"), String::from_utf8(theirs).expect("UTF-8"));
}
