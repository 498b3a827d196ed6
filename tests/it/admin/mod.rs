//! The admin port: what it shows, to whom, and at whose cost.

mod hostile;
mod http;
#[cfg(feature = "tls")]
mod https;
mod metrics;
mod notify;
mod page;
mod status;
mod tool;
