//! Which session is due next, found without looking at the others.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::central::SessionId;

/// At most one deadline for each session.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    in_order: BTreeSet<(Instant, SessionId)>,
    /// The deadline of each session, by its id.
    of: Vec<Option<Instant>>,
}

impl Deadlines {
    /// Sets, moves or (with `None`) removes the deadline of `id`.
    pub fn set(&mut self, id: SessionId, deadline: Option<Instant>) {
        if self.of.len() <= id.0 {
            self.of.resize(id.0 + 1, None);
        }
        let current = &mut self.of[id.0];
        if *current == deadline {
            return;
        }
        if let Some(at) = current.take() {
            self.in_order.remove(&(at, id));
        }
        if let Some(at) = deadline {
            self.in_order.insert((at, id));
        }
        *current = deadline;
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<Instant> {
        self.in_order.first().map(|&(at, _)| at)
    }

    /// Removes and gives a session whose deadline is not after `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<SessionId> {
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

    use super::*;

    #[test]
    fn sessions_come_due_in_the_order_of_their_last_deadlines() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut deadlines = Deadlines::default();
        deadlines.set(SessionId(7), Some(at(3)));
        deadlines.set(SessionId(1), Some(at(2)));
        deadlines.set(SessionId(4), Some(at(1)));
        deadlines.set(SessionId(4), Some(at(5)));
        deadlines.set(SessionId(1), None);
        assert_eq!(deadlines.next(), Some(at(3)));
        assert_eq!(deadlines.take_due(at(2)), None);
        assert_eq!(deadlines.take_due(at(5)), Some(SessionId(7)));
        assert_eq!(deadlines.take_due(at(5)), Some(SessionId(4)));
        assert_eq!(deadlines.take_due(at(5)), None);
        assert_eq!(deadlines.next(), None);
    }
}
