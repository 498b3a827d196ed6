//! The worker: it becomes the active server, stores one transaction after the other, and gives up at the first doubt.
//!
//! 1. It opens a session and tries to get the lock, once a second, until it has it.
//! 2. It begins the next epoch. The commit waits for the last transaction of the server before, and the epoch keeps every
//!    later one out.
//! 3. Only then it reads. All that it reads was written before its own commit, which the synchronous standbys have: nothing
//!    that a failover could take back is told to anybody.
//! 4. It stores what the loop orders, and checks the epoch in each transaction.
//! 5. At a lost connection, an answer that does not come, a warning or another epoch it drops the session and begins again
//!    at 1. It sends no transaction twice: the agencies say Hello and go on at the stored number of bets.

use std::time::Duration;

use super::database::{Committed, Database, Failure, Session};
use super::desk::{Desk, News, Order};
use super::transaction::Transaction;
use crate::ledger::{Change, Outcome, Standing, Terms};
use crate::planted::{Fault, planted};

/// Pause between two attempts to connect or to get the lock.
const RETRY: Duration = Duration::from_secs(1);
/// Pause between two checks of a session that stores nothing.
const CHECK: Duration = Duration::from_secs(1);

/// The end of an attempt to be the active server.
enum End {
    /// The loop has gone.
    Closed,
    /// It has failed, and the next may not.
    Lost(String),
    /// No other will do better.
    Unusable(String),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> End {
        match failure {
            Failure::Refused(why) | Failure::Lost(why) => End::Lost(why),
            Failure::Fenced => End::Lost("another server has taken over the round".to_owned()),
            Failure::Unusable(why) => End::Unusable(why),
        }
    }
}

/// The worker's view of the part that this server plays.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Unknown,
    Standby,
    Active,
    Lost(String),
}

struct Worker<'w, D> {
    database: &'w mut D,
    desk: &'w Desk,
    terms: Terms,
    part: Part,
    term: u64,
}

/// Serves `desk` until the loop goes.
pub async fn work<D: Database>(database: &mut D, desk: &Desk, terms: Terms) {
    let mut worker = Worker { database, desk, terms, part: Part::Unknown, term: 0 };
    loop {
        match worker.attempt().await {
            Ok(never) => match never {},
            Err(End::Closed) => return,
            Err(End::Unusable(why)) => return desk.report(News::Change(Change::Unusable(why))),
            Err(End::Lost(why)) => worker.lose(why),
        }
        worker.database.pause(RETRY).await;
    }
}

impl<D: Database> Worker<'_, D> {
    /// One attempt to be the active server, to its end.
    async fn attempt(&mut self) -> Result<std::convert::Infallible, End> {
        let mut session = self.database.connect().await?;
        self.wait_for_lock(&mut session).await?;
        let (epoch, standing) = self.take_over(&mut session).await?;
        self.part = Part::Active;
        self.term += 1;
        self.desk.report(News::Change(Change::Active(standing)));
        loop {
            let pause = self.database.pause(CHECK);
            match self.desk.order_before(pause).await {
                Some(order) if order.term != self.term => {}
                Some(order) => self.store(&mut session, epoch, &order).await?,
                None if self.desk.is_closed() => return Err(End::Closed),
                None => session.check().await?,
            }
        }
    }

    async fn wait_for_lock(&mut self, session: &mut D::Session) -> Result<(), End> {
        while !session.try_lock().await? {
            if self.part != Part::Standby {
                self.part = Part::Standby;
                self.desk.report(News::Change(Change::Standby));
            }
            if self.desk.is_closed() {
                return Err(End::Closed);
            }
            self.database.pause(RETRY).await;
        }
        Ok(())
    }

    async fn take_over(&mut self, session: &mut D::Session) -> Result<(u64, Standing), End> {
        if planted(Fault::ReadBeforeEpoch) {
            let standing = session.read().await?;
            return Ok((certain(session.begin_epoch(self.terms).await?)?, standing));
        }
        let epoch = certain(session.begin_epoch(self.terms).await?)?;
        Ok((epoch, session.read().await?))
    }

    async fn store(&mut self, session: &mut D::Session, epoch: u64, order: &Order) -> Result<(), End> {
        let transaction = Transaction::new(&order.rows, &order.advances);
        let outcome = match session.store(epoch, &transaction).await {
            Ok(committed) => {
                certain(committed)?;
                Outcome::Stored
            }
            Err(Failure::Refused(why)) => Outcome::NotStored(why),
            Err(Failure::Lost(_)) if planted(Fault::StoredAgain) => {
                *session = self.database.connect().await?;
                certain(session.store(epoch, &transaction).await?)?;
                Outcome::Stored
            }
            Err(failure) => return Err(failure.into()),
        };
        self.desk.report(News::Outcome(outcome));
        Ok(())
    }

    /// Tells the loop that this server is not active, once for each reason.
    fn lose(&mut self, why: String) {
        let lost = Part::Lost(why.clone());
        if self.part != lost {
            self.part = lost;
            self.desk.report(News::Change(Change::Lost(why)));
        }
    }
}

/// The value of a commit that the synchronous standbys have: one that came without a warning.
fn certain<T>(Committed { value, warning }: Committed<T>) -> Result<T, End> {
    match warning {
        Some(warning) if !planted(Fault::WarningIsSuccess) => Err(End::Lost(warning)),
        _ => Ok(value),
    }
}
