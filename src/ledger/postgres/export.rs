//! `bets.csv` from the database.

use std::io::{self, Write};

use thiserror::Error;

use super::address::Address;
use super::rows::{RowsError, open_snapshot, read_bets, runtime};
use crate::bet::write_row;
use crate::buffer::Buffer;

/// Rows that are written at once.
const ROWS_BYTES: usize = 1 << 16;

/// Reason why the bets could not be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The tables.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The output.
    #[error("the bets can't be written: {0}")]
    Output(#[from] io::Error),
}

/// Writes every bet to `output`, in the format of `bets.csv`: agency by agency, each in the order of its bets. Returns their
/// number.
///
/// # Errors
/// [`ExportError`], also if a position is missing or there twice.
pub fn export(address: &Address, output: &mut impl Write) -> Result<u64, ExportError> {
    runtime()?.block_on(write_all(address, output))
}

async fn write_all(address: &Address, output: &mut impl Write) -> Result<u64, ExportError> {
    let link = open_snapshot(address).await?;
    let mut buffer = Buffer::new();
    let written = read_bets(&link, |bet| {
        write_row(bet, &mut buffer);
        if buffer.len() >= ROWS_BYTES {
            output.write_all(&buffer)?;
            buffer.clear();
        }
        Ok::<(), ExportError>(())
    });
    let written = written.await?;
    output.write_all(&buffer)?;
    output.flush()?;
    Ok(written)
}
