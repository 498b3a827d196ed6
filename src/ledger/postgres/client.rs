//! The steps in SQL, over `tokio-postgres` on one helper thread.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{io, thread};

use bytes::Bytes;
use futures_util::SinkExt;
use futures_util::future::join;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Builder;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::{DbError, Severity, SqlState};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Connection, Error, NoTls, SimpleQueryMessage, Socket, Statement};

use super::address::{Address, CONNECT_TIMEOUT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES, USER_TIMEOUT};
use super::database::{Committed, Database, Failure, Session};
use super::desk::Desk;
use super::schema::{self, LOCK, VERSION};
use super::transaction::Transaction;
use super::{PostgresLedger, worker};
use crate::bet::Tally;
use crate::event;
use crate::ledger::{Standing, Terms, Total};

/// Longest time for a step that stores nothing.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// Starts the helper thread, which tries to become the active server of a round with `terms`.
///
/// # Errors
/// The system's: it gives no thread, or no poll for it.
pub fn start(address: Address, terms: Terms) -> io::Result<PostgresLedger> {
    let desk = Desk::default();
    let ledger = PostgresLedger::new(desk.clone());
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    thread::Builder::new().name("database".to_owned()).spawn(move || {
        let mut database = Postgres { address, has_connected: false, has_warned: false };
        runtime.block_on(worker::work(&mut database, &desk, terms));
    })?;
    Ok(ledger)
}

/// The database.
struct Postgres {
    address: Address,
    /// True once a session was opened: the settings are right, and what fails later may pass.
    has_connected: bool,
    /// True once the operator was warned of settings that lose acknowledged bets.
    has_warned: bool,
}

/// An open connection. Dropping it closes the socket at once.
pub(super) struct Link {
    pub(super) client: Client,
    /// The last warning of the database.
    warning: Arc<Mutex<Option<String>>>,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

struct PostgresSession {
    link: Link,
    copy: Option<Statement>,
    timeout: Duration,
}

/// Opens a connection to the host of `address` that takes writes.
pub(super) async fn open(address: &Address) -> Result<Link, Error> {
    match &address.tls {
        Some(tls) => open_with(address, tls.clone()).await,
        None => open_with(address, NoTls).await,
    }
}

async fn open_with<T>(address: &Address, tls: T) -> Result<Link, Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = address.config.connect(tls).await?;
    let warning = Arc::default();
    let driver = tokio::spawn(drive(connection, Arc::clone(&warning)));
    Ok(Link { client, warning, driver })
}

/// Carries the bytes of a connection, and keeps its last warning. A warning is kept before the answer that it came with is
/// given to whoever waits for that.
async fn drive<S, T>(mut connection: Connection<S, T>, warning: Arc<Mutex<Option<String>>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notice(notice) = message
            && notice.parsed_severity() == Some(Severity::Warning)
        {
            *warning.lock().unwrap_or_else(PoisonError::into_inner) = Some(describe(&notice));
        }
    }
}

impl Database for Postgres {
    type Session = PostgresSession;

    async fn connect(&mut self) -> Result<PostgresSession, Failure> {
        let may_fail = self.has_connected;
        // Each host may take that long, and the answer to what it is as well.
        let hosts = self.address.config.get_hosts().len() as u32;
        let opened = within(2 * CONNECT_TIMEOUT * hosts, async { Ok(open(&self.address).await) }).await?;
        let link = opened.map_err(|error| match error.code() {
            // Authorization and the name of the database.
            Some(code) if !may_fail && (code.code().starts_with("28") || code.code().starts_with("3D")) => {
                Failure::Unusable(format!("{}; see STORAGE_URL and its password", describe_error(&error)))
            }
            _ => Failure::Lost(describe_error(&error)),
        })?;
        self.has_connected = true;
        let (idle, interval) = (KEEPALIVE_IDLE.as_secs(), KEEPALIVE_INTERVAL.as_secs());
        let settings = schema::session_settings(idle, interval, KEEPALIVE_PROBES, USER_TIMEOUT.as_millis());
        let session = PostgresSession { link, copy: None, timeout: self.address.timeout };
        session.step(session.link.client.batch_execute(&settings)).await?;
        if !std::mem::replace(&mut self.has_warned, true) {
            session.warn_of_settings().await?;
        }
        Ok(session)
    }

    async fn pause(&mut self, time: Duration) {
        sleep(time).await;
    }
}

impl Session for PostgresSession {
    async fn try_lock(&mut self) -> Result<bool, Failure> {
        let client = &self.link.client;
        let row = self.step(client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK])).await?;
        let has_lock: bool = row.get(0);
        if !has_lock {
            self.step(client.simple_query(&schema::end_silent_holder())).await?;
        }
        Ok(has_lock)
    }

    async fn begin_epoch(&mut self, terms: Terms) -> Result<Committed<u64>, Failure> {
        self.forget_warning();
        let value = within(self.timeout, self.try_to_begin_epoch(terms)).await?;
        Ok(Committed { value, warning: self.take_warning() })
    }

    async fn read(&mut self) -> Result<Standing, Failure> {
        within(self.timeout, read(&self.link.client)).await
    }

    async fn store(&mut self, epoch: u64, transaction: &Transaction) -> Result<Committed<()>, Failure> {
        self.forget_warning();
        match within(self.timeout, self.try_to_store(epoch, transaction)).await {
            Ok(()) => Ok(Committed { value: (), warning: self.take_warning() }),
            Err(Failure::Refused(why)) => {
                self.step(self.link.client.batch_execute("ROLLBACK")).await?;
                Err(Failure::Refused(why))
            }
            Err(failure) => Err(failure),
        }
    }

    async fn check(&mut self) -> Result<(), Failure> {
        self.step(self.link.client.simple_query("")).await.map(drop)
    }
}

impl PostgresSession {
    /// The answer to a step that stores nothing.
    async fn step<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
        within(STEP_TIMEOUT, async { Ok(answer.await?) }).await
    }

    fn forget_warning(&self) {
        self.take_warning();
    }

    fn take_warning(&self) -> Option<String> {
        self.link.warning.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn try_to_begin_epoch(&mut self, Terms { agencies, winning_number }: Terms) -> Result<u64, Failure> {
        let client = &self.link.client;
        let exists = client.query_one("SELECT to_regclass('loteria_round') IS NOT NULL", &[]).await?;
        if !exists.get::<_, bool>(0) {
            client.batch_execute(schema::CREATE).await?;
        }
        let found = client.query_opt("SELECT version FROM loteria_round", &[]).await?;
        if let Some(found) = found.map(|row| row.get::<_, i32>(0)).filter(|&found| found != VERSION) {
            return Err(Failure::Unusable(format!(
                "the tables of the database are of version {found}, and this server needs version {VERSION}; \
                 use the server that made them, or another database"
            )));
        }
        client.batch_execute(&schema::winners_index(winning_number)).await?;
        // The number of agencies and the winning number are fixed from the first closing on.
        let begun = client
            .simple_query(&format!(
                "BEGIN; \
                 INSERT INTO loteria_round (version, epoch, agencies, winning_number) \
                 VALUES ({VERSION}, 0, {agencies}, {winning_number}) ON CONFLICT DO NOTHING; \
                 UPDATE loteria_round SET agencies = {agencies}, winning_number = {winning_number} \
                 WHERE NOT EXISTS (SELECT FROM loteria_agency WHERE closed); \
                 UPDATE loteria_round SET epoch = epoch + 1 RETURNING epoch; \
                 DELETE FROM loteria_agency WHERE agency > {agencies} AND bets = 0 AND NOT closed; \
                 INSERT INTO loteria_agency SELECT agency, 0, 0, false FROM generate_series(1, {agencies}) agency \
                 ON CONFLICT DO NOTHING; \
                 COMMIT"
            ))
            .await?;
        self.copy = Some(client.prepare("COPY loteria_bet FROM STDIN BINARY").await?);
        number_in(&begun).ok_or_else(|| Failure::Lost("the table loteria_round is empty".to_owned()))
    }

    /// Two trips: the epoch is checked under a lock that keeps the next epoch from beginning, then everything is stored.
    async fn try_to_store(&self, epoch: u64, transaction: &Transaction) -> Result<(), Failure> {
        const CHECK: &str = "BEGIN; SELECT epoch FROM loteria_round FOR SHARE";
        let (client, commit) = (&self.link.client, commit_of(transaction));
        let Some(copy) = self.copy.as_ref().filter(|_| !transaction.copy.is_empty()) else {
            require(epoch, &client.simple_query(CHECK).await?)?;
            client.simple_query(&commit).await?;
            return Ok(());
        };
        // Both are sent before the first is answered.
        let (checked, sink) = join(client.simple_query(CHECK), client.copy_in::<_, Bytes>(copy)).await;
        require(epoch, &checked?)?;
        let mut sink = Box::pin(sink?);
        sink.send(Bytes::copy_from_slice(&transaction.copy)).await?;
        let (copied, committed) = join(sink.as_mut().finish(), client.simple_query(&commit)).await;
        // If the first fails, the second fails too, and its reason is the first.
        copied?;
        committed?;
        Ok(())
    }

    async fn warn_of_settings(&self) -> Result<(), Failure> {
        let settings = "SELECT current_setting('synchronous_standby_names'), current_setting('fsync')";
        let row = self.step(self.link.client.query_one(settings, &[])).await?;
        if row.get::<_, &str>(0).is_empty() {
            event!(Warn, "database", success, "synchronous_standby_names": "empty",
                "risk": "acknowledged bets are lost with the machine of the database");
        }
        if row.get::<_, &str>(1) != "on" {
            event!(Warn, "database", success, "fsync": row.get::<_, &str>(1),
                "risk": "acknowledged bets are lost with the power");
        }
        Ok(())
    }
}

/// The statements that end a transaction: new totals, the time of the draw, the commit.
fn commit_of(transaction: &Transaction) -> String {
    let mut sql = String::new();
    let row = |&Total { agency, tally: Tally { bets, checksum }, is_closed }: &Total| {
        format!("({agency},{bets},{checksum},{is_closed})")
    };
    let totals: Vec<String> = transaction.totals.iter().map(row).collect();
    if !totals.is_empty() {
        sql = format!(
            "UPDATE loteria_agency a SET bets = v.bets, checksum = v.checksum, closed = v.closed \
             FROM (VALUES {}) v (agency, bets, checksum, closed) WHERE a.agency = v.agency; ",
            totals.join(",")
        );
    }
    if transaction.totals.iter().any(|total| total.is_closed) {
        sql += "UPDATE loteria_round SET drawn_at = now() \
                WHERE drawn_at IS NULL AND NOT EXISTS (SELECT FROM loteria_agency WHERE NOT closed); ";
    }
    sql + "COMMIT"
}

pub(super) async fn read(client: &Client) -> Result<Standing, Failure> {
    let round = client.query_one("SELECT agencies, winning_number FROM loteria_round", &[]).await?;
    let winning_number: i32 = round.get(1);
    let totals = client.query("SELECT agency, bets, checksum, closed FROM loteria_agency ORDER BY agency", &[]).await?;
    let total = |row: &tokio_postgres::Row| Total {
        agency: row.get::<_, i32>(0) as u32,
        tally: Tally { bets: row.get::<_, i64>(1) as u64, checksum: row.get::<_, i64>(2) as u32 },
        is_closed: row.get(3),
    };
    // The number is part of the text, so that the planner sees that the partial index has all of these rows.
    let winners = client
        .query(
            &format!(
                "SELECT agency, document FROM loteria_bet WHERE number = {winning_number} ORDER BY agency, position"
            ),
            &[],
        )
        .await?;
    let winner = |row: &tokio_postgres::Row| (row.get::<_, i32>(0) as u32, row.get::<_, i32>(1) as u32);
    Ok(Standing {
        terms: Terms { agencies: round.get::<_, i32>(0) as u32, winning_number: winning_number as u32 },
        totals: totals.iter().map(total).collect(),
        winners: winners.iter().map(winner).collect(),
    })
}

/// The number in the only row of an answer.
fn number_in(answer: &[SimpleQueryMessage]) -> Option<u64> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

fn require(epoch: u64, answer: &[SimpleQueryMessage]) -> Result<(), Failure> {
    if number_in(answer) == Some(epoch) { Ok(()) } else { Err(Failure::Fenced) }
}

async fn within<T>(time: Duration, answer: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let late = || Failure::Lost(format!("the database did not answer within {time:?}"));
    timeout(time, answer).await.unwrap_or_else(|_| Err(late()))
}

impl From<Error> for Failure {
    /// An error with which the session goes on. Anything else leaves the outcome unknown.
    fn from(error: Error) -> Failure {
        let goes_on = |database: &DbError| {
            let is_error = database.parsed_severity() == Some(Severity::Error);
            let code = database.code();
            // Class 08 and 40003 come from a proxy that has lost the database. A database that takes no writes is not the
            // primary any more.
            let is_over =
                [SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN, SqlState::READ_ONLY_SQL_TRANSACTION].contains(code);
            is_error && !code.code().starts_with("08") && !is_over
        };
        match error.as_db_error() {
            // Class 42: a missing right, or tables of somebody else.
            Some(database) if database.code().code().starts_with("42") => Failure::Unusable(describe(database)),
            Some(database) if goes_on(database) => Failure::Refused(describe(database)),
            _ => Failure::Lost(describe_error(&error)),
        }
    }
}

fn describe(error: &DbError) -> String {
    format!("{} ({})", error.message(), error.code().code())
}

/// The event, without the library's words around it.
pub(super) fn describe_error(error: &Error) -> String {
    match (error.as_db_error(), std::error::Error::source(error)) {
        (Some(database), _) => describe(database),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}
