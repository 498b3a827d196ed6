//! `bets.csv` from the database.

use std::io::{self, Write};
use std::pin::pin;

use futures_util::TryStreamExt;
use thiserror::Error;
use tokio::runtime::Builder;
use tokio_postgres::Row;

use super::address::Address;
use super::client::{describe_error, open};
use super::transaction::day_of;
use crate::bet::{Bet, InvalidName, Name, write_row};
use crate::buffer::Buffer;

/// Rows that are written at once.
const ROWS_BYTES: usize = 1 << 16;

/// Reason why the bets could not be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The database.
    #[error("the database can't be read: {0}")]
    Database(String),
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
    /// The output.
    #[error("the bets can't be written: {0}")]
    Output(#[from] io::Error),
}

impl From<tokio_postgres::Error> for ExportError {
    fn from(error: tokio_postgres::Error) -> ExportError {
        ExportError::Database(describe_error(&error))
    }
}

/// Writes every bet to `output`, in the format of `bets.csv`: agency by agency, each in the order of its bets. Returns their
/// number.
///
/// # Errors
/// [`ExportError`], also if a position is missing or there twice.
pub fn export(address: &Address, output: &mut impl Write) -> Result<u64, ExportError> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(write_all(address, output))
}

async fn write_all(address: &Address, output: &mut impl Write) -> Result<u64, ExportError> {
    const BETS: &str = "SELECT agency, position, first_name, last_name, document, birthdate - date '2000-01-01', number \
                        FROM loteria_bet ORDER BY agency, position";
    let link = open(address).await?;
    let rows = link.client.query_raw::<_, i32, _>(BETS, []).await?;
    let mut rows = pin!(rows);
    let (mut buffer, mut written, mut last) = (Buffer::new(), 0, (0, 0));
    while let Some(row) = rows.try_next().await? {
        let (agency, position): (i32, i64) = (row.get(0), row.get(1));
        let failed = |reason: String| ExportError::Row { agency, position, reason };
        let expected = if agency == last.0 { last.1 + 1 } else { 1 };
        if position != expected {
            return Err(failed(format!("bet {expected} was expected")));
        }
        last = (agency, position);
        let bet = bet_of(&row).map_err(failed)?;
        write_row(&bet, &mut buffer);
        written += 1;
        if buffer.len() >= ROWS_BYTES {
            output.write_all(&buffer)?;
            buffer.clear();
        }
    }
    output.write_all(&buffer)?;
    output.flush()?;
    Ok(written)
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
