//! Ctrl-C and SIGTERM as a flag that long work looks at, so that it ends by the same way as any failure and leaves
//! no half-written files behind.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Somebody asked the program to stop.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; the agency files are as they were")]
pub struct Interrupted;

/// Whether a signal has come.
pub struct Interrupt {
    came: Arc<AtomicBool>,
}

impl Interrupt {
    /// From here on SIGINT and SIGTERM set the flag instead of ending the process.
    pub fn catch() -> io::Result<Self> {
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&came))?;
        }
        Ok(Self { came })
    }

    /// Costs one load, cheap enough for every bet.
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.came.load(Ordering::Relaxed) {
            return Err(Interrupted);
        }
        Ok(())
    }
}
