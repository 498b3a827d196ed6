//! Misfortunes of a shared round, one at a time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::round::Round;
use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};

impl Round {
    pub fn misfortune(&mut self) {
        let member = self.random.usize(0..self.members.len());
        match self.random.usize(0..11) {
            0 | 1 => {
                count(Happening::MemberKilled);
                self.members[member].kill();
            }
            2 | 3 => {
                count(Happening::MemberFrozen);
                let seconds = self.random.pick(&[1, 5, 30]);
                tell(|| format!("server {member}: frozen for {seconds} s"));
                self.members[member].frozen_until = Some(self.clock.now().instant + Duration::from_secs(seconds));
            }
            4 => self.kill_client(),
            5 => {
                let is_cut = self.hosts.borrow().current.borrow_mut().cut_wait_short();
                if is_cut {
                    count(Happening::WaitCutShort);
                }
                if is_cut && self.random.bool() {
                    // The server may have acknowledged it by then.
                    self.is_to_fail_over = true;
                }
            }
            6 => {
                count(Happening::LockLost);
                tell(|| "database: the lock is lost".to_owned());
                self.hosts.borrow().current.borrow_mut().lose_lock();
            }
            7 | 8 => self.trouble_session(),
            _ => self.fail_over(),
        }
    }

    fn trouble_session(&mut self) {
        let hosts = self.hosts.borrow();
        let mut primary = hosts.current.borrow_mut();
        let sessions = primary.sessions();
        if sessions.is_empty() {
            return;
        }
        let session = self.random.pick(&sessions);
        if self.random.bool() {
            count(Happening::SessionCut);
            tell(|| format!("database: the connection of session {session} is cut"));
            primary.cut(session);
        } else {
            count(Happening::SessionEnded);
            tell(|| format!("database: session {session} is ended"));
            primary.end(session);
        }
    }

    /// The standby becomes the primary; later the old one notices it and ends.
    pub fn fail_over(&mut self) {
        let hosts = &mut *self.hosts.borrow_mut();
        if let Some(old) = hosts.old.take() {
            tell(|| "database: the old primary ends".to_owned());
            old.borrow_mut().is_dead = true;
            return;
        }
        count(Happening::FailedOver);
        tell(|| "database: fails over".to_owned());
        let promoted = hosts.current.borrow_mut().fail_over();
        hosts.old = Some(std::mem::replace(&mut hosts.current, Rc::new(RefCell::new(promoted))));
    }
}
