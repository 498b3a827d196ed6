//! A server that logs at ERROR: the log would be most of the cost that a benchmark measures.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use loteria_tools::{Process, Programs, port_of};
use rustix::process::Signal;

/// A server in `folder`, configured further by `configure`, and its port. It starts at INFO, which tells the port.
pub fn start_server(folder: &Path, configure: impl FnOnce(&mut Command)) -> Result<(Process, u16), Box<dyn Error>> {
    let programs = Programs::beside_this()?;
    let mut command = programs.server(folder);
    configure(&mut command);
    let config = folder.join("config.ini");
    fs::write(&config, "[DEFAULT]\nLOGGING_LEVEL = INFO\n")?;
    let server = Process::start(&mut command, |_| ())?;
    let port = port_of(&server).ok_or("the server does not start")?;
    fs::write(&config, "[DEFAULT]\nLOGGING_LEVEL = ERROR\n")?;
    server.signal(Signal::HUP);
    Ok((server, port))
}
