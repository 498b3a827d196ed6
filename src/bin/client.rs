//! An agency. Configured by the environment and `config.yaml`; `--help` lists the keys.

use std::process::ExitCode;

use loteria::client::conversation::{Conclusion, Failure};
use loteria::client::interrupt::Interrupt;
use loteria::client::source::SourceError;
use loteria::client::{ClientError, agency, echo};
use loteria::config::client::{ClientConfig, Mode, PROGRAM};
use loteria::config::{ConfigError, EX_CONFIG, MAX_CREDENTIAL_BYTES, show_duration};
use loteria::{event, logging, protocol};
use thiserror::Error;

const _: () = assert!(MAX_CREDENTIAL_BYTES <= protocol::MAX_CREDENTIAL_BYTES, "a Hello carries every credential");

/// An error that ends the client.
#[derive(Debug, Error)]
enum ExitError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("signals can't be listened for: {0}")]
    Signals(std::io::Error),
    #[error("{0}")]
    Client(#[from] ClientError),
}

fn main() -> ExitCode {
    if let Some(answer) = PROGRAM.answer_arguments() {
        return answer;
    }
    if let Err(error) = logging::start(PROGRAM.name) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let code = log_end(run());
    logging::flush();
    code
}

fn log_end(ended: Result<(), ExitError>) -> ExitCode {
    match ended {
        Ok(()) => {
            event!(Info, "exit", success);
            ExitCode::SUCCESS
        }
        Err(ExitError::Client(ClientError::Interrupted(interrupted))) => {
            event!(Info, "exit", success, "signal": interrupted.signal());
            ExitCode::SUCCESS
        }
        Err(error) => {
            event!(Error, "exit", fail, "error": error);
            match error {
                ExitError::Config(error) | ExitError::Client(ClientError::Tls(error)) => error.exit_code(),
                ExitError::Client(ClientError::Failed(Failure::Source(SourceError::Variable { .. }))) => {
                    ExitCode::from(EX_CONFIG)
                }
                ExitError::Signals(_) | ExitError::Client(_) => ExitCode::FAILURE,
            }
        }
    }
}

fn run() -> Result<(), ExitError> {
    let interrupt = Interrupt::on_signals().map_err(ExitError::Signals)?;
    let config = configure()?;
    match config.mode {
        Mode::Echo => echo::run(&config, &interrupt)?,
        Mode::Lottery => match agency::run(&config, &interrupt)? {
            Conclusion::Stored => {}
            Conclusion::Winners(documents) => {
                event!(Info, "consulta_ganadores", success, "cant_ganadores": documents.len());
                log_winners(config.id, &documents);
            }
        },
    }
    Ok(())
}

/// Documents on a line of the log: 20 of 8 digits stay below the 200 bytes of a value.
const DOCUMENTS_ON_A_LINE: usize = 20;

fn log_winners(agency: u32, documents: &[u32]) {
    for documents in documents.chunks(DOCUMENTS_ON_A_LINE) {
        let documents: Vec<String> = documents.iter().map(u32::to_string).collect();
        event!(Info, "ganadores", success, "client_id": agency, "documentos": documents.join(" "));
    }
}

fn configure() -> Result<ClientConfig, ConfigError> {
    let settings = PROGRAM.settings()?;
    logging::set_format(settings.log_format()?);
    let config = ClientConfig::from_settings(&settings)?;
    logging::set_level(config.log_level);
    event!(Info, "config", success, "client_id": config.id, "server_address": config.server_address,
        "loop_amount": config.loop_amount, "loop_period": show_duration(config.loop_period), "log_level": config.log_level,
        "mode": config.mode, "batch_max_amount": config.batch_max_amount,
        "batch_window": config.batch_window);
    settings.warn_about_unknown();
    Ok(config)
}
