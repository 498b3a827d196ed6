//! Agencies that send each batch when it is due, answered or not, so that a pause of the server shows in every batch that it
//! delays.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use loteria::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Failure;
use crate::stream::{Agency, Crew, OK_BYTES, check_replies, for_each_agency, span};

/// Percentiles of the latency, from the moment when a batch is due to its reply.
pub const PERCENTILES: [f64; 4] = [50.0, 90.0, 99.0, 99.9];
/// Percentile of the time for which a batch that is due is not sent yet. It is the load generator's part of the latency.
const LATE_PERCENTILE: f64 = 99.0;

/// A batch that was answered.
struct Answered {
    due: Instant,
    sent: Instant,
    answered: Instant,
}

/// Gives the seconds of [`PERCENTILES`], then those of [`LATE_PERCENTILE`], then the bets a second that were stored.
pub fn paced(crew: &Crew<'_>, bets_a_second: f64) -> Result<Vec<f64>, Failure> {
    // The kernel may end a sleep 50 µs late, which would be most of a short latency. Threads inherit the setting; without it,
    // the column of lateness shows the difference.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1");
    let (agencies, of_each) = (f64::from(crew.agencies), bets_a_second / f64::from(crew.agencies));
    let batches = for_each_agency(crew, move |mut agency, number, barrier| {
        agency.log_in(number)?;
        barrier.wait();
        // Staggered, so that the agencies' batches are not all due at the same moment.
        let first_batch = agency.batches.get(0).1 as f64;
        let stagger = Duration::from_secs_f64(first_batch / of_each * f64::from(number) / agencies);
        let bets = agency.bets;
        Ok((bets, send_paced(agency, Instant::now() + stagger, of_each)?))
    })?;
    let bets: u64 = batches.iter().map(|(bets, _)| bets).sum();
    let batches: Vec<Answered> = batches.into_iter().flat_map(|(_, batches)| batches).collect();
    let seconds = span(batches.iter().map(|batch| batch.due), batches.iter().map(|batch| batch.answered))?;
    let latencies = sorted(batches.iter().map(|batch| batch.answered - batch.due));
    let lateness = sorted(batches.iter().map(|batch| batch.sent - batch.due));
    let percentile =
        |sorted: &[f64], percent: f64| sorted[((sorted.len() - 1) as f64 * percent / 100.0).round() as usize];
    let late = percentile(&lateness, LATE_PERCENTILE);
    Ok(PERCENTILES
        .iter()
        .map(|&percent| percentile(&latencies, percent))
        .chain([late, bets as f64 / seconds])
        .collect())
}

fn sorted(durations: impl Iterator<Item = Duration>) -> Vec<f64> {
    let mut seconds: Vec<f64> = durations.map(|duration| duration.as_secs_f64()).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    seconds
}

/// Sends the batches of an agency, the first one at `start`. A batch that is due in the past is sent at once.
fn send_paced(mut agency: Agency, start: Instant, bets_a_second: f64) -> Result<Vec<Answered>, Failure> {
    let mut batches: Vec<Answered> = Vec::new();
    let (mut answered, mut half, mut bets_before) = (0, 0, 0);
    let (mut output, mut replies) = (Buffer::new(), [0; 4096]);
    while agency.bets > 0 || answered < batches.len() {
        let now = Instant::now();
        let due_at = |bets_before: u64| start + Duration::from_secs_f64(bets_before as f64 / bets_a_second);
        output.clear();
        while agency.bets > 0 && due_at(bets_before) <= now {
            let (bytes, bets) = agency.batches.get(batches.len());
            output.extend_from_slice(bytes);
            batches.push(Answered { due: due_at(bets_before), sent: now, answered: now });
            agency.bets = agency.bets.saturating_sub(bets);
            bets_before += bets;
        }
        agency.stream.write_all(&output)?;
        let wait = due_at(bets_before).saturating_duration_since(Instant::now());
        let timeout = if agency.bets > 0 { Some(Timespec::try_from(wait)?) } else { None };
        if poll(&mut [PollFd::new(&*agency.stream, PollFlags::IN)], timeout.as_ref())? == 0 {
            continue;
        }
        let read = agency.stream.read(&mut replies)?;
        let now = Instant::now();
        check_replies(&replies[..read], half)?;
        let complete = (read + half) / OK_BYTES;
        half = (read + half) % OK_BYTES;
        let before = answered;
        answered += complete;
        batches
            .get_mut(before..answered)
            .ok_or("more replies than batches")?
            .iter_mut()
            .for_each(|batch| batch.answered = now);
    }
    Ok(batches)
}
