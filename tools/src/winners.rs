//! `loteria winners`: the winners of a round that was drawn, from its files or its database.

use std::error::Error;
use std::io::{self, Write};

use clap::ValueEnum;
use loteria_tools::check::Comparison;
use thiserror::Error;

use crate::round::{BetsFile, Place, Round, Winner, read_database};

/// Print the winners of a round that was drawn
///
/// Reads the files of the server, or the database in STORAGE_URL if --file is not given; servers may be running. Nothing is
/// printed before the draw.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  loteria winners
  loteria winners --agency 3 --format csv > winners-3.csv")]
pub struct Options {
    #[command(flatten)]
    bets: BetsFile,
    /// Print only those of this agency
    #[arg(long, value_name = "N")]
    agency: Option<u32>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// Columns for a person
    Table,
    /// Rows agency,document,first_name,last_name under a header
    Csv,
    /// An array of objects with the same keys
    Json,
}

#[derive(Debug, Error)]
enum WinnersError {
    #[error("the round is not drawn: {0} of its agencies have closed{1}")]
    NotDrawn(usize, String),
    #[error("agency {0} is not one of the {1} of the round")]
    NoSuchAgency(u32, u32),
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let round = match options.bets.place()? {
        Place::Files(path) => Round::read(&path, Comparison::default())?.0,
        Place::Database(config) => read_database(&config, Comparison::default())?.0,
    };
    if !round.lottery.is_drawn() {
        let open: Vec<String> = round.lottery.open_agencies().map(|agency| agency.to_string()).collect();
        let missing =
            if round.has_terms { format!(", and the draw waits for {}", open.join(" ")) } else { String::new() };
        let closed = round.lottery.agencies() as usize - open.len();
        return Err(WinnersError::NotDrawn(closed, missing).into());
    }
    if let Some(agency) = options.agency.filter(|&agency| round.lottery.find(agency).is_err()) {
        return Err(WinnersError::NoSuchAgency(agency, round.lottery.agencies()).into());
    }
    let mut winners = round.winners;
    winners.retain(|winner| options.agency.is_none_or(|agency| agency == winner.agency));
    // Within an agency they stay in the order of its bets.
    winners.sort_by_key(|winner| winner.agency);
    let mut out = Vec::new();
    match options.format {
        Format::Table => write_table(&mut out, &winners)?,
        Format::Csv => write_csv(&mut out, &winners)?,
        Format::Json => write_json(&mut out, &winners)?,
    }
    crate::print(&out);
    Ok(())
}

fn write_table(out: &mut impl Write, winners: &[Winner]) -> io::Result<()> {
    writeln!(out, "agency  document  name")?;
    for Winner { agency, document, first_name, last_name } in winners {
        writeln!(out, "{agency:>6}  {document:>8}  {first_name} {last_name}")?;
    }
    let plural = if winners.len() == 1 { "" } else { "s" };
    writeln!(out, "{} winner{plural}", winners.len())
}

fn write_csv(out: &mut impl Write, winners: &[Winner]) -> io::Result<()> {
    let mut rows = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    rows.write_record(["agency", "document", "first_name", "last_name"])?;
    for Winner { agency, document, first_name, last_name } in winners {
        rows.write_record([&agency.to_string(), &document.to_string(), first_name, last_name])?;
    }
    rows.flush()
}

fn write_json(out: &mut impl Write, winners: &[Winner]) -> io::Result<()> {
    // A name has no control characters, so these two are all that JSON escapes.
    let escaped = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"");
    write!(out, "[")?;
    for (position, Winner { agency, document, first_name, last_name }) in winners.iter().enumerate() {
        let comma = if position > 0 { "," } else { "" };
        let (first, last) = (escaped(first_name), escaped(last_name));
        write!(out, "{comma}\n  {{\"agency\": {agency}, \"document\": {document}, ")?;
        write!(out, "\"first_name\": \"{first}\", \"last_name\": \"{last}\"}}")?;
    }
    writeln!(out, "\n]")
}
