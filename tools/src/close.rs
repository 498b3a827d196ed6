//! `loteria close`: the end of an agency that will never come back, so that the others get their draw.

use std::error::Error;

use loteria::ledger::file::{self, FileLedger, Reason, inspect};
use loteria::ledger::{Closing, Terms};
use loteria::lottery::{Lottery, Standing};
use thiserror::Error;

use crate::round::{BetsFile, Reader, server_config};

/// Close an agency that will never come back
///
/// The draw waits for every agency. This closes one with the bets that are stored of it, which --bets confirms. The server must
/// be stopped, and started again afterwards: it draws then if the agency was the last. The reason and the time are kept in the
/// file of the closings. As long as no agency has closed, NUM_AGENCIES and WINNING_NUMBER must be set as for the server.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria verify                                 says how many bets are stored of agency 2
  loteria close --agency 2 --bets 310 --reason 'flooded, confirmed by telephone'")]
pub struct Options {
    #[command(flatten)]
    bets_file: BetsFile,
    /// Number of the agency
    #[arg(long, value_name = "N")]
    agency: u32,
    /// Number of bets that are stored of it; `loteria verify` shows them
    #[arg(long, value_name = "M")]
    bets: u64,
    /// Reason, in one line
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
}

#[derive(Debug, Error)]
enum CloseError {
    #[error("agency {0} is not one of the {1} of the round")]
    NoSuchAgency(u32, u32),
    #[error("agency {0} has closed already")]
    Closed(u32),
    #[error("agency {agency} has {stored} bets stored, and not {confirmed}; nothing is changed")]
    OtherBets { agency: u32, stored: u64, confirmed: u64 },
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let &Options { ref bets_file, agency, ref reason, .. } = options;
    let (path, config) = (bets_file.path()?, server_config()?);
    let reader = || Reader::new(Lottery::new(config.num_agencies).with_winning_number(config.winning_number));
    // Recovery creates missing files, and draws a round that has closed: nothing of that is for an agency that can't be closed.
    let mut seen = reader();
    inspect(&path, &mut seen)?;
    options.check(&seen.finish().lottery)?;

    let mut locked = reader();
    let (mut ledger, _) = FileLedger::recover(file::open(&path)?, file::SyncPolicy::Always, &mut locked)?;
    let mut lottery = locked.finish().lottery;
    options.check(&lottery)?;
    let terms = Terms { agencies: lottery.agencies(), winning_number: lottery.winning_number() };
    let bets = lottery.stored(agency).bets;
    ledger.close_by_hand(Closing { agency, bets, terms }, reason)?;
    lottery.stage_closing(agency);
    let next = if lottery.commit() {
        "it was the last: the next start of the server draws".to_owned()
    } else {
        let open: Vec<String> = lottery.open_agencies().map(|agency| agency.to_string()).collect();
        format!("the draw still waits for {}", open.join(" "))
    };
    crate::print(format!("agency {agency} is closed with {bets} bets; {next}\n").as_bytes());
    Ok(())
}

impl Options {
    /// Checks that the agency is open and has the bets that were confirmed.
    fn check(&self, lottery: &Lottery) -> Result<(), CloseError> {
        let &Options { agency, bets: confirmed, .. } = self;
        lottery.find(agency).map_err(|_| CloseError::NoSuchAgency(agency, lottery.agencies()))?;
        if lottery.standing(agency) != Standing::Open {
            return Err(CloseError::Closed(agency));
        }
        match lottery.stored(agency).bets {
            stored if stored == confirmed => Ok(()),
            stored => Err(CloseError::OtherBets { agency, stored, confirmed }),
        }
    }
}
