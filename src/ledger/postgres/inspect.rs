//! The tables of a round, read and neither locked nor changed. Its servers may be running.

use thiserror::Error;
use tokio_postgres::Row;

use super::address::Address;
use super::client::Link;
use super::rows::{RowsError, open_snapshot, read_bets, runtime};
use crate::bet::Tally;
use crate::ledger::{Recovered, Replay, Terms, Total};

/// The contents of the tables beside the bets.
#[derive(Debug)]
pub struct Inspection {
    /// The epoch of the last server that was active.
    pub epoch: i64,
    /// The terms of the round. Until an agency closes, a server may still change them.
    pub terms: Terms,
    /// The totals of each agency, in order.
    pub totals: Vec<Total>,
    /// The time of the draw, if it is written.
    pub drawn_at: Option<String>,
    /// The number of bets.
    pub bets: u64,
}

/// Reason why a round could not be inspected.
#[derive(Debug, Error)]
pub enum InspectError<R: std::error::Error + 'static> {
    /// The tables.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// The round takes no such step.
    #[error(transparent)]
    Refused(R),
}

/// Reads the tables in one snapshot. `round` is given the terms and every bet, agency by agency. The caller then
/// compares the totals with them, and closes the agencies that have closed.
///
/// # Errors
/// [`InspectError`].
pub fn inspect<R: Replay>(address: &Address, round: &mut R) -> Result<Inspection, InspectError<R::Refusal>> {
    runtime()?.block_on(read(address, round))
}

async fn read<R: Replay>(address: &Address, round: &mut R) -> Result<Inspection, InspectError<R::Refusal>> {
    let link = open_snapshot(address).await?;
    let mut inspection = read_totals(&link).await?;
    round.replay(Recovered::Terms(inspection.terms)).map_err(InspectError::Refused)?;
    inspection.bets = read_bets(&link, |bet| round.replay(Recovered::Bet(bet)).map_err(InspectError::Refused)).await?;
    Ok(inspection)
}

async fn read_totals(link: &Link) -> Result<Inspection, RowsError> {
    const ROUND: &str = "SELECT epoch, agencies, winning_number, \
                         to_char(drawn_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM loteria_round";
    const TOTALS: &str = "SELECT agency, bets, checksum, closed FROM loteria_agency ORDER BY agency";
    let round = link.client.query_one(ROUND, &[]).await?;
    let terms = Terms {
        agencies: unsigned(round.get::<_, i32>(1), "agencies")?,
        winning_number: unsigned(round.get::<_, i32>(2), "winning_number")?,
    };
    let totals = link.client.query(TOTALS, &[]).await?;
    let total = |row: &Row| {
        let tally = Tally {
            bets: unsigned(row.get::<_, i64>(1), "bets")?,
            checksum: unsigned(row.get::<_, i64>(2), "checksum")?,
        };
        Ok(Total { agency: unsigned(row.get::<_, i32>(0), "agency")?, tally, is_closed: row.get(3) })
    };
    let totals = totals.iter().map(total).collect::<Result<_, RowsError>>()?;
    Ok(Inspection { epoch: round.get(0), terms, totals, drawn_at: round.get(3), bets: 0 })
}

/// The number in `column`. A database has signed ones only.
fn unsigned<S: Copy + Into<i64>, U: TryFrom<S>>(value: S, column: &'static str) -> Result<U, RowsError> {
    U::try_from(value).map_err(|_| RowsError::Value { column, value: value.into() })
}
