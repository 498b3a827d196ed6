//! The language between the shell and the core: what happens to a connection, and what it needs next.

/// Something that happened to a connection.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// These bytes arrived.
    Received(&'a [u8]),
    /// It has its turn to go on with input that the core kept: see [`Wants::Turn`].
    Turn,
    /// The peer ended its side. It is read behind all input, so it comes only to a connection that [wants](Wants::Input) input.
    Ended,
    /// Its transport takes so many bytes of memory.
    Transport(usize),
    /// It has proved that it comes from this agency.
    Identified(u32),
    /// It began with this byte, in plain, where that is not allowed.
    Insecure(u8),
    /// The peer's side was cut off. Whole messages count, and nothing that the end of input would complete.
    Cut,
    /// Nothing more can be understood of it, nor said to it.
    Failed,
    /// The socket took so many bytes of [`Central::unsent`](super::Central::unsent).
    Sent(usize),
    /// The time has come that [`Central::deadline`](super::Central::deadline) named, or a later one.
    Expired,
    /// The connection is gone, and with it whatever it was owed. Its id is not used again.
    Lost,
}

/// The next need of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Input from its socket.
    Input,
    /// A turn: the core kept input of it that can be applied now.
    Turn,
    /// The outcome of the commit in flight. Its socket is not read until then.
    Settlement,
    /// Its replies to be taken by the peer. Its socket is not read until then.
    Room,
    /// The draw: its peer has ended its side behind its request.
    Draw,
    /// To be closed: its last reply is sent.
    Close,
}
