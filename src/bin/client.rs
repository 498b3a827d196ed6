//! An agency. Configured by the environment and `config.yaml`; `--help` lists what it can be told.

use std::process::ExitCode;

use loteria::client::conversation::Conclusion;
use loteria::client::interrupt::Interrupt;
use loteria::client::{ClientError, agency, echo};
use loteria::config::client::{self as config, ClientConfig, Mode};
use loteria::config::{ConfigError, show_duration};
use loteria::{event, logging};
use thiserror::Error;

/// Why the client ends without having done its work.
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
    logging::start("client");
    let keys = [("config.yaml", config::KEYS.as_slice()), ("one bet instead of a file", &config::BET_KEYS)];
    if let Some(answer) = loteria::config::answer_arguments("client", &keys) {
        return answer;
    }
    match run() {
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
            ExitCode::FAILURE
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
                let documents: Vec<String> = documents.iter().map(u32::to_string).collect();
                event!(Debug, "ganadores", success, "client_id": config.id, "documentos": documents.join(" "));
            }
        },
    }
    Ok(())
}

fn configure() -> Result<ClientConfig, ExitError> {
    let environment = loteria::config::environment(config::KEYS.iter().chain(&config::BET_KEYS))?;
    let settings = config::settings(environment)?;
    let config = ClientConfig::from_settings(&settings)?;
    logging::set_level(config.log_level.clone());
    event!(Info, "config", success, "client_id": config.id, "server_address": config.server_address,
        "loop_amount": config.loop_amount, "loop_period": show_duration(config.loop_period), "log_level": config.log_level,
        "mode": config.mode, "batch_max_amount": config.batch_max_amount,
        "batch_window": config.batch_window);
    loteria::config::warn_about_unknown(&settings, &config::KEYS);
    Ok(config)
}
