//! The bytes of a response. Pure.

use std::rc::Rc;

/// The content type of a line for people.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
/// The content type of `/status.json`.
pub(super) const JSON: &str = "application/json";
/// The content type of `/events`.
pub(super) const EVENTS: &str = "text/event-stream";
/// The content type of the page.
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// The page: one document that loads nothing else.
pub(super) static PAGE: &str = concat!(
    "<!doctype html>\n<html lang=\"es\">\n<head>\n",
    include_str!("page/head.html"),
    "<style>\n",
    include_str!("page/page.css"),
    "</style>\n</head>\n",
    include_str!("page/body.html"),
    "<script>\n",
    include_str!("page/text.js"),
    include_str!("page/draw.js"),
    include_str!("page/page.js"),
    "</script>\n</html>\n",
);

/// The body of a response.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// A part of the program.
    Fixed(&'static [u8]),
    /// A rendering that other connections may send too.
    Shared(Rc<Vec<u8>>),
}

impl Body {
    /// No body.
    pub const NONE: Body = Body::Fixed(&[]);

    pub fn bytes(&self) -> &[u8] {
        match self {
            Body::Fixed(bytes) => bytes,
            Body::Shared(bytes) => bytes,
        }
    }
}

/// The head of a response with a body of `length` bytes, or without an end. The page runs its own script and no other,
/// and no other page may show it in a frame.
pub(super) fn head(status: &str, content_type: &str, length: Option<usize>) -> Vec<u8> {
    let length = length.map_or_else(String::new, |length| format!("Content-Length: {length}\r\n"));
    format!(
        "HTTP/1.1 {status}\r\n\
         Content-Type: {content_type}\r\n\
         {length}\
         Cache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
         connect-src 'self'; img-src data:; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes()
}
