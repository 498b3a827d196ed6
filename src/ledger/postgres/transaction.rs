//! A commit as the database takes it: rows for a binary COPY, and new totals of the agencies in it.

use std::collections::HashMap;

use byteorder::{BigEndian, ByteOrder};

use crate::bet::{Bet, Day, load_bets};
use crate::ledger::{Advance, Total};

/// Everything that one turn of the server stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transaction {
    /// The bets, as a whole binary COPY of `loteria_bet`. Empty if there are none.
    pub copy: Vec<u8>,
    /// The totals of each agency in it, as they are once it is stored.
    pub totals: Vec<Total>,
}

/// The header of a binary COPY: its signature, no flags, no extension.
const COPY_HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Its trailer, in place of the number of fields of a row.
const COPY_TRAILER: [u8; 2] = [0xff, 0xff];
/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
const POSTGRES_EPOCH_DAYS: i64 = 10_957;
const SECONDS_A_DAY: i64 = 86_400;

impl Transaction {
    /// The transaction that stores the bets in `rows`, which are rows of `bets.csv`, and `advances`.
    ///
    /// # Panics
    /// If a row is no bet, or its agency not one of `advances`: the server has written both.
    pub fn new(rows: &[u8], advances: &[Advance]) -> Transaction {
        let places: HashMap<u32, usize> = (0..).zip(advances).map(|(place, to)| (to.total.agency, place)).collect();
        let mut positions: Vec<u64> = advances.iter().map(|advance| advance.stored).collect();
        let (mut bets, mut copy) = (load_bets(rows), Vec::new());
        // Bets come in batches of one agency.
        let (mut agency, mut place) = (0, 0);
        while let Some(bet) = bets.next_bet().expect("the server has written the row") {
            if bet.agency != agency {
                (agency, place) = (bet.agency, places[&bet.agency]);
            }
            if copy.is_empty() {
                copy.extend_from_slice(COPY_HEADER);
            }
            positions[place] += 1;
            write_tuple(&bet, positions[place], &mut copy);
        }
        if !copy.is_empty() {
            copy.extend_from_slice(&COPY_TRAILER);
        }
        let are_all_there = advances.iter().zip(&positions).all(|(to, &position)| to.total.tally.bets == position);
        debug_assert!(are_all_there, "an agency's tally counts every row of it");
        Transaction { copy, totals: advances.iter().map(|advance| advance.total).collect() }
    }
}

/// Bytes of a row without its names: the number of fields, seven lengths, five numbers.
const TUPLE_BYTES: usize = 2 + 7 * 4 + 4 + 8 + 4 + 4 + 2;

/// Appends a row of `loteria_bet`: each field behind its length.
fn write_tuple(bet: &Bet<'_>, position: u64, output: &mut Vec<u8>) {
    let (first, last) = (bet.first_name.as_bytes(), bet.last_name.as_bytes());
    output.reserve(TUPLE_BYTES + first.len() + last.len());
    let days = bet.birthdate.unix_seconds() / SECONDS_A_DAY - POSTGRES_EPOCH_DAYS;
    output.extend_from_slice(&7_i16.to_be_bytes());
    write_field(&(bet.agency as i32).to_be_bytes(), output);
    write_field(&(position as i64).to_be_bytes(), output);
    write_field(first, output);
    write_field(last, output);
    write_field(&(bet.document as i32).to_be_bytes(), output);
    write_field(&(days as i32).to_be_bytes(), output);
    write_field(&(bet.number as i16).to_be_bytes(), output);
}

fn write_field(bytes: &[u8], output: &mut Vec<u8>) {
    output.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
    output.extend_from_slice(bytes);
}

/// The date of a row, from its number of days in PostgreSQL. `None` if no birthdate is so.
pub fn day_of(postgres_days: i32) -> Option<Day> {
    Day::from_unix_seconds((i64::from(postgres_days) + POSTGRES_EPOCH_DAYS) * SECONDS_A_DAY)
}

/// A row of a binary COPY, without what identifies no bet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopiedBet {
    /// The agency.
    pub agency: u32,
    /// The position among the bets of its agency, from 1.
    pub position: u64,
    /// The document.
    pub document: u32,
    /// The number.
    pub number: u16,
}

/// The rows of a binary COPY that [`Transaction::new`] has written: what a database makes of it.
pub fn rows_of(copy: &[u8]) -> Vec<CopiedBet> {
    let mut rows = Vec::new();
    let mut rest = copy.get(COPY_HEADER.len()..).unwrap_or_default();
    while rest.len() > COPY_TRAILER.len() {
        let mut fields = [&rest[..0]; 7];
        rest = &rest[2..];
        for field in &mut fields {
            let length = BigEndian::read_i32(rest) as usize;
            (*field, rest) = rest[4..].split_at(length);
        }
        rows.push(CopiedBet {
            agency: BigEndian::read_u32(fields[0]),
            position: BigEndian::read_u64(fields[1]),
            document: BigEndian::read_u32(fields[4]),
            number: BigEndian::read_u16(fields[6]),
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bet::Tally;

    const ROWS: &str =
        "2,Ana,Paz,1,2000-01-01,7574\r\n1,Eva,\"Paz, hija\",2,1999-12-31,0\r\n2,Leo,Paz,3,2000-01-02,9999\r\n";

    fn advance(agency: u32, stored: u64, bets: u64) -> Advance {
        Advance { stored, total: Total { agency, tally: Tally { bets, checksum: 0 }, is_closed: false } }
    }

    #[test]
    fn positions_go_on_behind_the_stored_bets_of_each_agency() {
        let transaction = Transaction::new(ROWS.as_bytes(), &[advance(2, 7, 9), advance(1, 0, 1)]);
        let rows = rows_of(&transaction.copy);
        let fields = rows.iter().map(|bet| (bet.agency, bet.position, bet.document, bet.number)).collect::<Vec<_>>();
        assert_eq!(fields, [(2, 8, 1, 7574), (1, 1, 2, 0), (2, 9, 3, 9999)]);
    }

    #[test]
    fn a_closing_alone_copies_nothing() {
        let transaction = Transaction::new(b"", &[advance(1, 5, 5)]);
        assert!(transaction.copy.is_empty());
        assert_eq!(transaction.totals.len(), 1);
    }

    #[test]
    fn a_date_counts_from_the_year_2000() {
        assert_eq!(day_of(0).map(|day| day.to_string()).as_deref(), Some("2000-01-01"));
        assert_eq!(day_of(-36_524), Some(Day::OLDEST_BIRTHDATE));
    }
}
