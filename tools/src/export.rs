//! `loteria export`: `bets.csv` from the database of a round.

use std::error::Error;
use std::path::PathBuf;

use clap::Args;
use loteria::config::DatabaseConfig;
use loteria::config::server::{PROGRAM, ServerConfig};

/// Write bets.csv from the database of a round in PostgreSQL
///
/// The bets are in the course's format, agency by agency.
///
/// The database is configured as for the server: STORAGE_URL, PGPASSWORD or STORAGE_PASSWORD_FILE, and STORAGE_CA_FILE, from
/// the environment or config.ini.
#[derive(Args)]
#[command(after_help = "\
Examples:
  loteria export --into bets.csv
  loteria export | grep -c '^3,'        counts the bets of agency 3")]
pub struct Options {
    /// File to write, which must not exist; standard output if it is not given
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
}

pub fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let config = ServerConfig::from_settings(&PROGRAM.settings()?)?;
    let database = config.database.ok_or("STORAGE_URL is not set, it must name the database to export")?;
    let exported = export(&database, options)?;
    eprintln!("{exported} bets exported");
    Ok(())
}

#[cfg(feature = "postgres")]
fn export(database: &DatabaseConfig, options: &Options) -> Result<u64, Box<dyn Error>> {
    use loteria::ledger::postgres::{Address, export};
    use std::fs::File;
    use std::io::{self, BufWriter};

    let address = Address::new(database)?;
    let Some(path) = &options.into else { return Ok(export(&address, &mut io::stdout().lock())?) };
    let file = File::create_new(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut output = BufWriter::new(file);
    let exported = export(&address, &mut output)?;
    output.get_ref().sync_all()?;
    Ok(exported)
}

/// The configuration refuses a database where the tool was built without it.
#[cfg(not(feature = "postgres"))]
fn export(_: &DatabaseConfig, _: &Options) -> Result<u64, Box<dyn Error>> {
    Err("this program was built without the feature postgres".into())
}
