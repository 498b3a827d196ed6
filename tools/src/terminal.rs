//! A terminal for a program that is to believe that somebody watches it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::process::{Command, ExitStatus};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Both ends of a terminal: the one that shows what is written to the other, and the other.
///
/// # Errors
/// The system's.
pub fn terminal(lines: u16, columns: u16) -> io::Result<(File, File)> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    tcsetwinsize(&controller, Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
    let name = ptsname(&controller, Vec::new())?.into_string().map_err(io::Error::other)?;
    Ok((controller.into(), OpenOptions::new().read(true).write(true).open(name)?))
}

/// Runs a program whose standard output and error are a terminal, and gives everything that it wrote.
///
/// # Errors
/// The system's.
pub fn run_on_terminal(mut command: Command, lines: u16, columns: u16) -> io::Result<(ExitStatus, String)> {
    let (mut controller, terminal) = terminal(lines, columns)?;
    let mut child = command.stdout(terminal.try_clone()?).stderr(terminal).spawn()?;
    // Its copies of the other end keep the terminal open.
    drop(command);
    let mut shown = Vec::new();
    // Reading a terminal whose other end is closed gives an error, and not an end.
    let _ = controller.read_to_end(&mut shown);
    Ok((child.wait()?, String::from_utf8_lossy(&shown).into_owned()))
}
