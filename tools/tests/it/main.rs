//! `loteria` from outside.

mod data;
mod demo;
