//! A request over HTTP/1.1 or HTTPS to a program of this machine or network: one for each connection.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use loteria::tls::Connector;

use crate::Stream;

/// The longest time that connecting, and each read and write, may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest body that is read: the status of a hundred thousand agencies is a tenth of it.
const MAX_BODY_BYTES: u64 = 100 << 20;

/// A response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its head, line by line.
    pub head: Vec<String>,
    /// Its body.
    pub body: String,
}

/// Asks `address` for `path`.
///
/// # Errors
/// The system's, or the answer is not HTTP.
pub fn get(address: &str, path: &str) -> io::Result<Response> {
    request(address, "GET", path, "")
}

/// Asks `address` for `path` over HTTPS.
///
/// # Errors
/// The system's, one of TLS, or the answer is not HTTP.
pub fn get_secure(address: &str, path: &str, tls: &Connector) -> io::Result<Response> {
    exchange(address, "GET", path, "", Some(tls))
}

/// Sends a request with a body, if it is not empty, of JSON.
///
/// # Errors
/// The system's, or the answer is not HTTP.
pub fn request(address: &str, method: &str, path: &str, body: &str) -> io::Result<Response> {
    exchange(address, method, path, body, None)
}

fn exchange(address: &str, method: &str, path: &str, body: &str, tls: Option<&Connector>) -> io::Result<Response> {
    let unknown = || io::Error::new(io::ErrorKind::NotFound, "there is no such host");
    let socket = TcpStream::connect_timeout(&address.to_socket_addrs()?.next().ok_or_else(unknown)?, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let content = match body.len() {
        0 => String::new(),
        length => format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"),
    };
    let mut stream = Stream::new(socket, tls.map(|tls| tls.begin(0)).transpose()?);
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{content}\r\n{body}");
    stream.write_all(request.as_bytes())?;
    receive(BufReader::new(stream))
}

fn receive(mut reader: impl BufRead) -> io::Result<Response> {
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP/1.1");
    let mut head = Vec::new();
    for line in reader.by_ref().take(64 << 10).lines() {
        match line? {
            end if end.is_empty() => break,
            line => head.push(line),
        }
    }
    let status = head.first().and_then(|line| line.strip_prefix("HTTP/1.1 ")).and_then(|rest| rest.get(..3));
    let status = status.and_then(|status| status.parse().ok()).ok_or_else(no_http)?;
    let length = head.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>().ok()).flatten()
    });
    let mut body = String::new();
    reader.take(length.unwrap_or(MAX_BODY_BYTES).min(MAX_BODY_BYTES)).read_to_string(&mut body)?;
    if length.is_some_and(|length| length != body.len() as u64) {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer is cut"));
    }
    Ok(Response { status, head, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read_with_and_without_a_length() {
        let with = receive(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokmore".as_slice()).expect("a response");
        assert_eq!((with.status, with.body.as_str()), (200, "ok"));
        let without = receive(b"HTTP/1.1 503 No\r\n\r\nall of it".as_slice()).expect("a response");
        assert_eq!((without.status, without.body.as_str()), (503, "all of it"));
        assert!(receive(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok".as_slice()).is_err(), "cut");
        assert!(receive(b"SSH-2.0\r\n".as_slice()).is_err(), "not HTTP");
    }
}
