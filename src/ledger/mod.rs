//! What makes bets durable.

pub mod file;
