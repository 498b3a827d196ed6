//! The connection that is due next, found without looking at the others.

use std::collections::BTreeSet;
use std::time::Instant;

use slotmap::SecondaryMap;

use crate::central::ConnectionId;

/// At most one deadline for each connection.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: BTreeSet<(Instant, ConnectionId)>,
    of: SecondaryMap<ConnectionId, Instant>,
}

impl Deadlines {
    /// Sets, moves or (with `None`) removes the deadline of `id`.
    pub fn set(&mut self, id: ConnectionId, deadline: Option<Instant>) {
        let current = self.of.get(id).copied();
        if current == deadline {
            return;
        }
        if let Some(at) = current {
            self.in_order.remove(&(at, id));
            self.of.remove(id);
        }
        if let Some(at) = deadline {
            self.in_order.insert((at, id));
            self.of.insert(id, at);
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.in_order.first().map(|&(at, _)| at)
    }

    /// Removes and gives a connection whose deadline is not after `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<ConnectionId> {
        let &(at, id) = self.in_order.first()?;
        (at <= now).then(|| {
            self.set(id, None);
            id
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use slotmap::SlotMap;

    use super::*;

    #[test]
    fn connections_come_due_in_the_order_of_their_last_deadlines() {
        let mut ids = SlotMap::new();
        let [a, b, c] = [(); 3].map(|()| ids.insert(()));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.set(a, Some(at(3)));
        deadlines.set(b, Some(at(2)));
        deadlines.set(c, Some(at(1)));
        deadlines.set(c, Some(at(5)));
        deadlines.set(b, None);
        assert_eq!(deadlines.next(), Some(at(3)));
        assert_eq!(deadlines.take_due(at(2)), None);
        assert_eq!(deadlines.take_due(at(5)), Some(a));
        assert_eq!(deadlines.take_due(at(5)), Some(c));
        assert_eq!(deadlines.take_due(at(5)), None);
        assert_eq!(deadlines.next(), None);
    }
}
