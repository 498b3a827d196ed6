//! One snapshot of the tables, for the tools, which write nothing.

use std::io;
use std::pin::pin;

use futures_util::TryStreamExt;
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::Row;

use super::address::Address;
use super::client::{Link, describe_error, open};
use super::schema::VERSION;
use super::transaction::day_of;
use crate::bet::{Bet, InvalidName, Name};

/// Reason why the tables can't be read.
#[derive(Debug, Error)]
pub enum RowsError {
    /// The database.
    #[error("the database can't be read: {0}")]
    Database(String),
    /// The runtime of the connection.
    #[error("the connection can't be set up: {0}")]
    Runtime(#[from] io::Error),
    /// There is no round in it.
    #[error("the database holds no round; STORAGE_URL must name that of a server")]
    NoRound,
    /// Tables of another version.
    #[error("the tables of the database are of version {0}, and this program reads version {VERSION}")]
    Version(i32),
    /// A number that no server has stored.
    #[error("the database holds {value} as {column}, which no server has stored")]
    Value {
        /// The column.
        column: &'static str,
        /// The number.
        value: i64,
    },
    /// A row that no server has stored.
    #[error("the database holds a row that no server has stored: bet {position} of agency {agency}: {reason}")]
    Row {
        /// The agency of the row.
        agency: i32,
        /// Its position.
        position: i64,
        /// The reason.
        reason: String,
    },
}

impl From<tokio_postgres::Error> for RowsError {
    fn from(error: tokio_postgres::Error) -> RowsError {
        RowsError::Database(describe_error(&error))
    }
}

pub(super) fn runtime() -> Result<Runtime, RowsError> {
    Ok(Builder::new_current_thread().enable_io().enable_time().build()?)
}

/// A connection in a transaction that sees one snapshot and can't write.
pub(super) async fn open_snapshot(address: &Address) -> Result<Link, RowsError> {
    let link = open(address).await?;
    link.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let exists = link.client.query_one("SELECT to_regclass('loteria_round') IS NOT NULL", &[]).await?;
    if !exists.get::<_, bool>(0) {
        return Err(RowsError::NoRound);
    }
    match link.client.query_opt("SELECT version FROM loteria_round", &[]).await?.map(|row| row.get(0)) {
        Some(VERSION) => Ok(link),
        Some(other) => Err(RowsError::Version(other)),
        None => Err(RowsError::NoRound),
    }
}

/// Gives every bet to `on_bet`: agency by agency, each in the order of its bets. Returns their number.
///
/// # Errors
/// [`RowsError`], also if a position is missing or there twice, and those of `on_bet`.
pub(super) async fn read_bets<E: From<RowsError>>(
    link: &Link,
    mut on_bet: impl FnMut(&Bet<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    const BETS: &str = "SELECT agency, position, first_name, last_name, document, birthdate - date '2000-01-01', number \
                        FROM loteria_bet ORDER BY agency, position";
    let rows = link.client.query_raw::<_, i32, _>(BETS, []).await.map_err(RowsError::from)?;
    let mut rows = pin!(rows);
    let (mut read, mut last) = (0, (0, 0));
    while let Some(row) = rows.try_next().await.map_err(RowsError::from)? {
        let (agency, position): (i32, i64) = (row.get(0), row.get(1));
        let failed = |reason: String| RowsError::Row { agency, position, reason };
        let expected = if agency == last.0 { last.1 + 1 } else { 1 };
        if position != expected {
            return Err(failed(format!("bet {expected} was expected")).into());
        }
        last = (agency, position);
        on_bet(&bet_of(&row).map_err(failed)?)?;
        read += 1;
    }
    Ok(read)
}

fn bet_of(row: &Row) -> Result<Bet<'_>, String> {
    let name = |column| Name::try_from(row.get::<_, &str>(column)).map_err(|error: InvalidName| error.to_string());
    let number = |value: i32| u32::try_from(value).map_err(|_| format!("{value} is negative"));
    Ok(Bet {
        agency: number(row.get(0))?,
        first_name: name(2)?,
        last_name: name(3)?,
        document: number(row.get(4))?,
        birthdate: day_of(row.get(5)).ok_or("birthdate is no date of a year from 0 to 9999")?,
        number: number(row.get::<_, i16>(6).into())?,
    })
}
