//! A request over HTTP/1.1: bytes to what is asked for. Pure.

use httparse::{EMPTY_HEADER, Status};

/// The longest request: line and headers.
pub(super) const MAX_REQUEST_BYTES: usize = 8192;
/// The most headers of a request. A browser sends about 20.
const MAX_HEADERS: usize = 64;

/// A resource of the admin port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// `/`: the page.
    Page,
    /// `/status.json`: the [`Snapshot`](super::Snapshot).
    Status,
    /// `/metrics`: the same for Prometheus.
    Metrics,
    /// `/healthz`: one line, for a health check.
    Health,
    /// `/events`: the same as `/status.json` once a second, without end.
    Events,
}

/// A request that is answered with its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub resource: Resource,
    /// True if only the head of the response is asked for.
    pub is_head: bool,
}

/// Reason why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not HTTP/1.
    Malformed,
    /// It asks for another path.
    NotFound,
    /// It asks for more than to read.
    NotAllowed,
    /// It is longer than [`MAX_REQUEST_BYTES`] or has more than [`MAX_HEADERS`].
    TooLong,
    /// It is over HTTP, and the server requires TLS.
    Insecure,
}

/// Reads the request at the front of `bytes`. `None` until it is whole. Whatever follows it is ignored: each connection
/// carries one request.
pub(super) fn parse(bytes: &[u8]) -> Option<Result<Request, Refusal>> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) if bytes.len() < MAX_REQUEST_BYTES => return None,
        Ok(Status::Partial) | Err(httparse::Error::TooManyHeaders) => return Some(Err(Refusal::TooLong)),
        Err(_) => return Some(Err(Refusal::Malformed)),
    }
    let is_head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Some(Err(Refusal::NotAllowed)),
    };
    let path = request.path.and_then(|target| target.split('?').next());
    let resource = match path {
        Some("/") => Resource::Page,
        Some("/status.json") => Resource::Status,
        Some("/metrics") => Resource::Metrics,
        Some("/healthz") => Resource::Health,
        Some("/events") => Resource::Events,
        _ => return Some(Err(Refusal::NotFound)),
    };
    Some(Ok(Request { resource, is_head }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn get(path: &str) -> Option<Result<Request, Refusal>> {
        parse(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    }

    #[test]
    fn every_resource_is_found_with_and_without_a_query() {
        let resources = [
            ("/", Resource::Page),
            ("/status.json", Resource::Status),
            ("/metrics", Resource::Metrics),
            ("/healthz", Resource::Health),
            ("/events", Resource::Events),
        ];
        for (path, resource) in resources {
            let found = Some(Ok(Request { resource, is_head: false }));
            assert_eq!(get(path), found, "{path}");
            assert_eq!(get(&format!("{path}?lang=en")), found, "{path}");
        }
        assert_eq!(
            parse(b"HEAD / HTTP/1.0\r\n\r\nmore"),
            Some(Ok(Request { resource: Resource::Page, is_head: true }))
        );
    }

    #[test]
    fn a_request_is_waited_for_until_it_is_whole_or_too_long() {
        let whole = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None, "{end}");
        }
        let long = [b"GET / HTTP/1.1\r\nA: ".to_vec(), vec![b'a'; MAX_REQUEST_BYTES]].concat();
        assert_eq!(parse(&long[..MAX_REQUEST_BYTES - 1]), None);
        assert_eq!(parse(&long[..MAX_REQUEST_BYTES]), Some(Err(Refusal::TooLong)));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: a\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(parse(many.as_bytes()), Some(Err(Refusal::TooLong)));
    }

    #[test]
    fn everything_else_is_refused() {
        assert_eq!(get("/status"), Some(Err(Refusal::NotFound)));
        assert_eq!(get("/../etc/passwd"), Some(Err(Refusal::NotFound)));
        assert_eq!(parse(b"POST / HTTP/1.1\r\n\r\n"), Some(Err(Refusal::NotAllowed)));
        assert_eq!(parse(b"\x16\x03\x01\x02\x00"), Some(Err(Refusal::Malformed)));
        assert_eq!(parse(b"\0\x08\0\x01"), Some(Err(Refusal::Malformed)));
    }

    proptest! {
        #[test]
        fn more_bytes_never_change_an_answer(bytes in "(GET|HEAD|PUT)? ?/?[ -~\r\n]{0,200}", end in 0..200_usize) {
            let part = &bytes.as_bytes()[..end.min(bytes.len())];
            if let Some(answer) = parse(part) {
                prop_assert_eq!(parse(bytes.as_bytes()), Some(answer));
            }
        }
    }
}
