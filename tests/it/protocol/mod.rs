//! The wire: messages survive their bytes however those are cut, no bytes do harm, and the bytes are those of `protocol.md`.

mod owned;
mod properties;
mod reference;
