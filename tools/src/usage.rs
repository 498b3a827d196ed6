//! Resources that a running program uses, from Linux's `/proc`.

use std::fs;
use std::io::{self, ErrorKind};
use std::time::Duration;

/// Resources that a program has used so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user space and in the kernel, to a hundredth of a second.
    pub processor: Duration,
    /// Resident memory in KiB.
    pub memory_kib: u64,
    /// Peak of the resident memory in KiB.
    pub peak_kib: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Usage {
    /// Resources that the process `pid` has used.
    ///
    /// # Errors
    /// The process has ended, or the system has no `/proc`.
    pub fn of(pid: u32) -> io::Result<Usage> {
        let folder = format!("/proc/{pid}");
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

/// The sum of fields 14 and 15, utime and stime, which count ticks: see proc_pid_stat(5). The second field may hold spaces, and
/// ends with the last `)`.
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
    fn a_busy_program_uses_processor_time_and_a_sleeping_one_does_not() {
        let start = |script: &str| {
            crate::Process::start(std::process::Command::new("bash").args(["-c", script]), |_| ()).expect("bash")
        };
        let (busy, sleeping) = (start("while :; do :; done"), start("sleep 60"));
        while busy.usage().expect("usage").processor < Duration::from_millis(200) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let usage = sleeping.usage().expect("usage");
        assert!(usage.processor < Duration::from_millis(200), "{usage:?}");
        assert!(usage.memory_kib > 0 && usage.memory_kib <= usage.peak_kib && usage.descriptors >= 3, "{usage:?}");
    }
}
