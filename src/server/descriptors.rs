//! The number of connections that the system allows the server: each is a descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::event;

/// Descriptors that are no connection's: standard streams, the poll, the listener, the pipe of the signals, two files and
/// the lock of a configuration that is read again; the connection that is told that there is no room; and some more,
/// because running out is worse than having a few to spare.
const OTHERS: u64 = 24;

/// Raises the soft limit on descriptors as far as `connections` need and the system allows, and says how many connections
/// there may be: fewer, with a line in the log, if it does not allow as many. `admin` more are for the admin port.
pub fn allow_connections(connections: usize, admin: usize) -> usize {
    let others = OTHERS + admin as u64;
    let needed = connections as u64 + others;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    // No limit is None.
    let raised = maximum.map_or(needed, |maximum| maximum.min(needed));
    let allowed = match current {
        Some(current) if current < raised => {
            let limit = Rlimit { current: Some(raised), maximum };
            if setrlimit(Resource::Nofile, limit).is_ok() { raised } else { current }
        }
        _ => current.unwrap_or(needed),
    };
    let possible = usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).max(1);
    if possible < connections {
        event!(Warn, "limit_connections", success, "max_connections": possible, "configured": connections,
            "reason": format_args!("the system allows {allowed} descriptors and {needed} are needed, see ulimit -n"));
    }
    connections.min(possible)
}
