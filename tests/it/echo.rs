//! Exercises 1 to 4: the server sends each line back.

use std::fs;
use std::time::{Duration, Instant};

use crate::fixture::{FakeServer, ROW, Server, client, lasting_port, run, start, succeeded, wait_for, wait_for_nth};
use loteria_tools::field;

#[test]
fn an_echo_client_gets_every_message_back_and_says_so() {
    let server = Server::start(5);
    let ended =
        run(server.agency(3).env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "4").env("CLI_LOOP_PERIOD", "10ms"));
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    let said = ended.lines.join("\n");
    let mut rest = said.as_str();
    for message in 1..=4 {
        let line = format!(
            "[client] action: receive_message | result: success | client_id: 3 | msg: [CLIENT 3] Message N°{message}\n"
        );
        rest = rest.split_once(line.as_str()).unwrap_or_else(|| panic!("{line}, in order, of {said}")).1;
    }
    assert!(rest.contains("[client] action: loop_finished | result: success | client_id: 3\n"), "{said}");

    let ended = server.stop();
    for message in 1..=4 {
        let line =
            format!("action: receive_message | result: success | ip: 127.0.0.1 | msg: [CLIENT 3] Message N°{message}");
        assert_eq!(ended.lines_with(&line).len(), 1, "{:#?}", ended.lines);
    }
    assert_eq!(ended.lines_with("action: accept_connections | result: success | ip: 127.0.0.1").len(), 4);
    assert_eq!(ended.lines_with("action: close_connection | result: success | ip: 127.0.0.1").len(), 4);
}

#[test]
fn an_echo_client_pauses_between_messages_and_not_after_the_last() {
    let server = Server::start(5);
    for (amount, period, least) in [("3", "200ms", 400), ("1", "1h", 0)] {
        let began = Instant::now();
        let mut client = server.agency(1);
        client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", amount).env("CLI_LOOP_PERIOD", period);
        succeeded(start(&mut client));
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(least), "{took:?}");
        assert!(took < Duration::from_secs(60), "{took:?}");
    }
}

#[test]
fn an_echo_client_stops_once_its_lapse_has_passed_and_says_so() {
    let server = Server::start(5);
    let asked = |port: u16, period: &str, lapse: &str| {
        let mut client = client(server.folder.path(), 3, port);
        client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "1000000").env("CLI_LOOP_PERIOD", period);
        let (began, ended) = (Instant::now(), succeeded(start(client.env("CLI_LOOP_LAPSE", lapse))));
        let took = began.elapsed();
        assert!(Duration::from_millis(300) <= took && took < Duration::from_secs(30), "{took:?}");
        let last: Vec<&str> = ended.lines[ended.lines.len() - 3..].iter().map(|line| &line[26..]).collect();
        assert_eq!(
            last,
            [
                "[client] action: timeout_detected | result: success | client_id: 3",
                "[client] action: loop_finished | result: success | client_id: 3",
                "[client] action: exit | result: success",
            ]
        );
        ended.lines_with("action: receive_message | result: success").len()
    };
    assert!(asked(server.port, "10ms", "300ms") >= 1, "as many as fit");
    assert_eq!(asked(server.port, "1h", "300ms"), 1, "a pause ends with it");
    assert_eq!(asked(lasting_port(), "10ms", "300ms"), 0, "and so do the attempts to reach a server");
}

#[test]
fn an_echo_client_opens_a_connection_for_each_message() {
    let server = FakeServer::start();
    let mut client = server.client(7);
    let client = start(client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "2").env("CLI_LOOP_PERIOD", "1ms"));
    for message in 1..=2 {
        let mut wire = server.accept();
        wire.expect(format!("[CLIENT 7] Message N°{message}\n").as_bytes());
        wire.send(b"a ver").send(b" si vuelve\r\n").expect_closed();
    }
    let ended = succeeded(client);
    assert_eq!(ended.lines_with("client_id: 7 | msg: a ver si vuelve").len(), 2, "{:#?}", ended.lines);
}

#[test]
fn an_echo_client_asks_again_when_the_line_does_not_come_back() {
    let server = FakeServer::start();
    let client = start(server.client(7).env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "1"));
    for answer in ["", "half a li", "a line\n"] {
        server.accept().expect("[CLIENT 7] Message N°1\n".as_bytes()).send(answer.as_bytes());
    }
    let ended = succeeded(client);
    assert_eq!(ended.lines_with("receive_message | result: in_progress").len(), 2, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("receive_message | result: success").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn a_line_comes_back_unaltered_however_it_is_cut() {
    let server = Server::start(5);
    let long = [vec![b'x'; 8192], b"\n".to_vec()].concat();
    let lines: [&[u8]; 7] = [
        b"hola\n",
        b"hola mundo\r\n",
        b"\n",
        b"\xff\xfe\x80 no es UTF-8\n",
        b"un \x00 nulo\n",
        "año ñandú 🎰\n".as_bytes(),
        &long,
    ];
    for line in lines {
        for piece in [1.max(line.len() / 40), line.len()] {
            let mut client = server.connect();
            line.chunks(piece).for_each(|piece| {
                client.send(piece);
            });
            client.expect(line).expect_closed();
        }
    }
}

#[test]
fn a_line_without_an_end_comes_back_after_a_half_close() {
    let server = Server::start(5);
    for line in ["hola", "h", "hola\r"] {
        server.connect().send(line.as_bytes()).end().expect(line.as_bytes()).expect_closed();
    }
    server.connect().ready().end().expect_closed();
}

#[test]
fn only_the_first_line_comes_back() {
    let server = Server::start(5);
    server.connect().send(b"uno\ndos\n").expect(b"uno\n").expect_closed();
    server.connect().send(b"uno\ndos").end().expect(b"uno\n").expect_closed();
}

#[test]
fn a_line_that_is_too_long_is_refused_before_it_ends() {
    let server = Server::start_with(5, |command| {
        command.env("MAX_ECHO_LINE_BYTES", "10");
    });
    server.connect().send(b"0123456789\n").expect(b"0123456789\n").expect_closed();
    server.connect().send(b"0123456789a").expect_closed();
    server.connect().send(b"0123456789").send(b"a\n").expect_closed();
    wait_for(
        &server.process,
        "action: receive_message | result: fail | ip: 127.0.0.1 | error: a line of more than 10 bytes",
    );
}

#[test]
fn an_echo_line_can_not_end_a_value_or_a_line_of_the_log() {
    let server = Server::start(5);
    let hostile = "a | result: fail | x: \u{1b}[2Jb\r\u{85}c\u{2028}d\u{7}\n";
    server.connect().send(hostile.as_bytes()).expect(hostile.as_bytes()).expect_closed();
    let line = wait_for(&server.process, "action: receive_message");
    assert_eq!(field(&line, "msg"), Some("a / result: fail / x:  [2Jb  c d "), "{line:?}");
    assert_eq!(field(&line, "result"), Some("success"));
}

/// A server that asks for credentials, with this value of ECHO.
fn with_credentials(echo: Option<&str>) -> Server {
    Server::start_with(1, |command| {
        let folder = command.get_current_dir().expect("a folder").to_owned();
        fs::write(folder.join("secrets"), "1 = palabra-larga\n").expect("written");
        command.env("AGENCIES_FILE", "secrets").envs(echo.map(|echo| ("ECHO", echo)));
    })
}

#[test]
fn lines_are_not_echoed_where_credentials_are_asked_for() {
    let server = with_credentials(None);
    for line in ["hola\n", "h"] {
        server.connect().send(line.as_bytes()).expect_closed();
    }
    let line = wait_for_nth(&server.process, "a line to echo, and ECHO is off", 2);
    assert!(line.contains("WARN ") && line.contains("receive_message | result: fail | ip: 127.0.0.1"), "{line}");
}

#[test]
fn the_key_echo_decides_with_and_without_credentials() {
    with_credentials(Some("on")).connect().send(b"hola\n").expect(b"hola\n").expect_closed();
    let server = Server::start_with(1, |command| _ = command.env("ECHO", "off"));
    server.connect().send(b"hola\n").expect_closed();
    succeeded(start(&mut server.agency_with_rows(1, ROW)));
}

#[test]
fn echo_sessions_and_agencies_are_served_side_by_side() {
    let server = Server::start(1);
    let mut slow = server.connect();
    slow.send(b"despa");
    succeeded(start(&mut server.agency_with_rows(1, ROW)));
    slow.send(b"cio\n").expect(b"despacio\n").expect_closed();
}
