//! A central that says where it listens, and then only what is wrong: the log of a benchmark would be most of its cost.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use loteria_tools::{Process, Programs, port_of};
use rustix::process::Signal;

/// A central in `folder`, configured further by `configure`, and its port.
pub fn start_server(folder: &Path, configure: impl FnOnce(&mut Command)) -> Result<(Process, u16), Box<dyn Error>> {
    let programs = Programs::beside_this()?;
    let mut command = programs.server(folder);
    configure(&mut command);
    let config = folder.join("config.ini");
    fs::write(&config, "[DEFAULT]\nLOGGING_LEVEL = INFO\n")?;
    let server = Process::start(&mut command, |_| ())?;
    let port = port_of(&server).ok_or("the central does not start")?;
    fs::write(&config, "[DEFAULT]\nLOGGING_LEVEL = ERROR\n")?;
    server.signal(Signal::HUP);
    Ok((server, port))
}
