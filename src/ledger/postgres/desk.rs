//! The desk between the loop and the worker: one order goes in, news come out.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use crate::ledger::{Advance, Change, Outcome};

/// A handle of the desk. Its clones share it.
#[derive(Clone, Debug, Default)]
pub struct Desk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    order: Option<Order>,
    news: VecDeque<News>,
    /// True once the loop has gone.
    is_closed: bool,
    /// Wakes the worker, which waits for an order.
    worker: Option<Waker>,
    /// Wakes the loop's poll.
    poll: Option<mio::Waker>,
}

/// A commit to store.
#[derive(Debug)]
pub(super) struct Order {
    /// The term in which the loop has staged it: the number of times that this server has become active.
    pub term: u64,
    /// Rows of `bets.csv`.
    pub rows: Vec<u8>,
    pub advances: Vec<Advance>,
}

/// Something that the loop is to know, in order.
#[derive(Clone, Debug)]
pub(super) enum News {
    Outcome(Outcome),
    Change(Change),
}

impl Desk {
    /// Hands an order to the worker. One of a term that has ended meanwhile takes its place: its outcome is known to be lost.
    pub(super) fn submit(&self, order: Order) {
        let mut state = self.lock();
        state.order = Some(order);
        if let Some(worker) = state.worker.take() {
            worker.wake();
        }
    }

    /// Waits for an order, at most until `pause` has ended. `None` then, and once the loop has gone.
    pub(super) async fn order_before(&self, pause: impl Future<Output = ()>) -> Option<Order> {
        let mut pause = pin!(pause);
        poll_fn(|context| {
            let mut state = self.lock();
            if state.order.is_some() || state.is_closed {
                return Poll::Ready(state.order.take());
            }
            state.worker = Some(context.waker().clone());
            drop(state);
            pause.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Tells the loop.
    pub(super) fn report(&self, news: News) {
        let mut state = self.lock();
        state.news.push_back(news);
        if let Some(poll) = &state.poll {
            // If it fails, the loop learns it when it wakes for another reason.
            let _ = poll.wake();
        }
    }

    /// Takes the next news, if it is an outcome.
    pub(super) fn take_outcome(&self) -> Option<Outcome> {
        let mut state = self.lock();
        let Some(News::Outcome(outcome)) = state.news.front().cloned() else { return None };
        state.news.pop_front();
        Some(outcome)
    }

    /// Takes the next news, if it is a change.
    pub(super) fn take_change(&self) -> Option<Change> {
        let mut state = self.lock();
        let Some(News::Change(change)) = state.news.front().cloned() else { return None };
        state.news.pop_front();
        Some(change)
    }

    /// Sets what wakes the loop, and wakes it: there may be news already.
    pub(super) fn wake_with(&self, poll: mio::Waker) {
        // See above.
        let _ = poll.wake();
        self.lock().poll = Some(poll);
    }

    /// The loop goes.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        if let Some(worker) = state.worker.take() {
            worker.wake();
        }
    }

    /// True once the loop has gone.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is one assignment, so a panic elsewhere leaves the state valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
