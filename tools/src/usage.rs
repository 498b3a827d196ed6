//! What a running program uses, as Linux's `/proc` says it.

use std::fs;
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Process;

/// What a program has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, its own and the system's for it, to a hundredth of a second.
    pub processor: Duration,
    /// KiB of memory that it has now.
    pub memory_kib: u64,
    /// KiB of memory that it had at most.
    pub peak_kib: u64,
    /// Descriptors that it has open.
    pub descriptors: usize,
}

impl Process {
    /// What it uses.
    ///
    /// # Errors
    /// It has ended, or the system has no `/proc`.
    pub fn usage(&self) -> io::Result<Usage> {
        let folder = format!("/proc/{}", self.pid());
        let status = fs::read_to_string(format!("{folder}/status"))?;
        let stat = fs::read_to_string(format!("{folder}/stat"))?;
        let descriptors = fs::read_dir(format!("{folder}/fd"))?.count();
        let usage = || {
            Some(Usage {
                processor: processor_time(&stat)?,
                memory_kib: kib(&status, "VmRSS:")?,
                peak_kib: kib(&status, "VmHWM:")?,
                descriptors,
            })
        };
        usage().ok_or_else(|| ErrorKind::InvalidData.into())
    }
}

fn kib(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Fields 14 and 15, utime and stime, in ticks: see proc(5). The second field may hold spaces, and ends with the last `)`.
fn processor_time(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()? + ticks()?;
    Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_works_uses_processor_time_and_one_that_sleeps_does_not() {
        let start = |script: &str| {
            Process::start(std::process::Command::new("bash").args(["-c", script]), |_| ()).expect("bash")
        };
        let (works, sleeps) = (start("while :; do :; done"), start("sleep 60"));
        while works.usage().expect("usage").processor < Duration::from_millis(200) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let usage = sleeps.usage().expect("usage");
        assert!(usage.processor < Duration::from_millis(200), "{usage:?}");
        assert!(usage.memory_kib > 0 && usage.memory_kib <= usage.peak_kib && usage.descriptors >= 3, "{usage:?}");
    }
}
