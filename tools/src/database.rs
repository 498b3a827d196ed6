//! The round in a database, for the commands that read one.

use std::error::Error;

use loteria::bet::Tally;
use loteria::config::DatabaseConfig;
use loteria::ledger::Total;
use loteria::ledger::postgres::{Address, Inspection, inspect};
use loteria::lottery::Lottery;
use loteria_tools::check::Comparison;
use thiserror::Error;

use crate::round::{Reader, Round};

/// A contradiction between the tables.
#[derive(Debug, Error)]
enum Unfit {
    #[error("loteria_agency does not have the agencies 1 to {0} of loteria_round, each once{END}")]
    Agencies(u32),
    #[error("loteria_agency counts {counted} of agency {agency}, and loteria_bet holds {stored}{END}")]
    Total { agency: u32, counted: Tally, stored: Tally },
    #[error("every agency has closed, and loteria_round has no time of the draw{END}")]
    NoDraw,
    #[error("loteria_round has the time of the draw, and agency {0} has not closed{END}")]
    Open(u32),
}

const END: &str = "; restore the database from a backup";

/// The round in the database, if its tables fit together, and what they say beside its bets.
pub fn read(config: &DatabaseConfig, comparison: Comparison) -> Result<(Round, String), Box<dyn Error>> {
    let mut reader = Reader::of_any_terms(comparison);
    let inspection = inspect(&Address::new(config)?, &mut reader)?;
    let mut round = reader.finish();
    close(&inspection, &mut round.lottery)?;
    Ok((round, describe(&inspection)))
}

/// Closes the agencies of `lottery` that have closed. It has their bets already, and they must be those of the totals.
fn close(inspection: &Inspection, lottery: &mut Lottery) -> Result<(), Box<dyn Error>> {
    let Inspection { totals, drawn_at, .. } = inspection;
    if !totals.iter().map(|total| total.agency).eq(1..=lottery.agencies()) {
        return Err(Unfit::Agencies(lottery.agencies()).into());
    }
    for &Total { agency, tally: counted, is_closed } in totals {
        let stored = lottery.stored(agency);
        if stored != counted {
            return Err(Unfit::Total { agency, counted, stored }.into());
        }
        if is_closed {
            lottery.restore_closing(agency, stored.bets)?;
        }
    }
    match (drawn_at, lottery.open_agencies().next()) {
        (Some(_), Some(agency)) => Err(Unfit::Open(agency).into()),
        (None, None) => Err(Unfit::NoDraw.into()),
        _ => Ok(()),
    }
}

fn describe(inspection: &Inspection) -> String {
    let Inspection { epoch, terms, totals, drawn_at, bets } = inspection;
    let drawn = match drawn_at {
        Some(time) => format!("drawn at {time}, number {}", terms.winning_number),
        None => "not drawn".to_owned(),
    };
    let closed = totals.iter().filter(|total| total.is_closed).count();
    format!(
        "loteria_round: epoch {epoch}, {drawn}\n\
         loteria_agency: {closed} of {} agencies have closed; totals and checksums are those of the bets\n\
         loteria_bet: {bets} bets, every position once\n",
        terms.agencies
    )
}
