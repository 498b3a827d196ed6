//! TLS over a stream that an attacker cuts, changes or makes up: what is decrypted is always a beginning of what was
//! encrypted, and behind an error nothing is.

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use loteria::config::tls::{TlsClient, TlsServer};
use loteria::tls::{Acceptor, Channel, Connector, FIRST_BYTE};
use loteria_tools::certificates::{Authority, Certified, Keys, SERVER_NAMES, Subject};

use super::script::Script;

static SIDES: LazyLock<(Acceptor, Connector)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new(Keys::P256).expect("random numbers");
    let subject = Subject { name: "server", names: &SERVER_NAMES, is_server: true, days: 1 };
    let Certified { certificate, key } = authority.issue(subject).expect("valid names");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    let (ca, certificate) = (write("ca.pem", &authority.own().certificate), write("server.pem", &certificate));
    let (key, handshake_timeout) = (write("server.key", &key), Duration::from_secs(1));
    let server = TlsServer { certificate, key, client_ca: Some(ca.clone()), required: false, handshake_timeout };
    let client = TlsClient { ca, identity: None, server_names: vec!["server".to_owned()] };
    (Acceptor::new(server).expect("valid files"), Connector::new(&client).expect("valid files"))
});

/// The first bytes say what is changed and where the stream is cut, the rest is said over it, or is the stream itself.
pub fn transport(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut server = SIDES.0.begin().expect("random numbers");
    match script.below(3) {
        0 => make_up(&mut server, &mut script),
        1 => talk(&mut server, None, &mut script),
        _ => {
            let changed = (usize::from(script.byte()) * 256 + usize::from(script.byte())) % 2048;
            talk(&mut server, Some((changed, 1 << script.below(8))), &mut script);
        }
    }
}

/// A peer without the keys is never heard.
fn make_up(server: &mut Channel, script: &mut Script<'_>) {
    let mut plain = Vec::new();
    let mut has_failed = server.receive(&[FIRST_BYTE], &mut plain).is_err();
    while !script.is_over() {
        let length = script.below(256);
        let received = server.receive(script.bytes(length), &mut plain);
        assert!(!has_failed || length == 0 || script.is_over() || received.is_err(), "an error is forgotten");
        has_failed |= received.is_err();
        assert!(plain.is_empty() && server.is_handshaking() && !server.is_ended_by_peer());
    }
    let mut answer = Vec::new();
    server.end();
    assert!(server.flush(&mut answer).expect("a Vec takes everything"));
}

/// A client with the keys says what is left of the script, and somebody may change a bit on the way.
fn talk(server: &mut Channel, changed: Option<(usize, u8)>, script: &mut Script<'_>) {
    let mut client = SIDES.1.begin(0).expect("random numbers");
    let (mut heard, mut answer, mut position) = (Vec::new(), Vec::new(), 0);
    let pieces: Vec<usize> = (0..1 + script.below(16)).map(|_| 1 + script.below(256)).collect();
    let said = script.rest();
    let (mut is_said, mut pieces) = (false, pieces.iter().cycle());
    let mut has_failed = false;
    loop {
        let mut stream = Vec::new();
        if !client.is_handshaking() && !std::mem::replace(&mut is_said, true) {
            let mut left = said;
            while !left.is_empty() {
                left = &left[client.send(left, &mut stream).expect("a Vec takes everything")..];
            }
            client.end();
        }
        client.flush(&mut stream).expect("a Vec takes everything");
        if let Some((at, bit)) = changed
            && let Some(byte) = at.checked_sub(position).and_then(|at| stream.get_mut(at))
        {
            *byte ^= bit;
        }
        position += stream.len();
        let mut rest = &stream[..];
        while !rest.is_empty() && !has_failed {
            let (piece, behind) = rest.split_at(rest.len().min(*pieces.next().expect("it begins again")));
            has_failed = server.receive(piece, &mut heard).is_err();
            assert!(said.starts_with(&heard), "{heard:02x?} is heard of {said:02x?}");
            rest = behind;
        }
        let mut reply = Vec::new();
        server.flush(&mut reply).expect("a Vec takes everything");
        let has_failed = has_failed || client.receive(&reply, &mut answer).is_err();
        assert!(answer.is_empty(), "the server says nothing");
        if has_failed || (stream.is_empty() && reply.is_empty()) {
            break;
        }
    }
    if changed.is_none_or(|(at, _)| at >= position) {
        assert!(heard == said && server.is_ended_by_peer(), "{heard:02x?} is all that is heard of {said:02x?}");
    }
}
