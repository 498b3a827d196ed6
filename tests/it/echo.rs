//! Exercises 1 to 4: lines that come back.

use std::net::TcpListener;
use std::time::Instant;

use crate::fixture::{Central, Wire, programs, run, start, wait_for};
use loteria_tools::field;

#[test]
fn an_echo_client_gets_every_message_back_and_says_so() {
    let central = Central::start(5);
    let ended =
        run(central.agency(3).env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "4").env("CLI_LOOP_PERIOD", "10ms"));
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

    let ended = central.stop();
    for message in 1..=4 {
        let line =
            format!("action: receive_message | result: success | ip: 127.0.0.1 | msg: [CLIENT 3] Message N°{message}");
        assert_eq!(ended.lines_with(&line).len(), 1, "{:#?}", ended.lines);
    }
    assert_eq!(ended.lines_with("action: accept_connections | result: success | ip: 127.0.0.1").len(), 4);
    assert_eq!(ended.lines_with("action: close_connection | result: success | ip: 127.0.0.1").len(), 4);
}

#[test]
fn an_echo_client_pauses_between_messages_and_not_behind_the_last() {
    let central = Central::start(5);
    let began = Instant::now();
    let mut client = central.agency(1);
    let ended = run(client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "3").env("CLI_LOOP_PERIOD", "200ms"));
    let took = began.elapsed().as_millis();
    assert!(ended.status.success());
    assert!(took >= 400, "two pauses take longer than {took} ms");
    let began = Instant::now();
    let mut client = central.agency(1);
    assert!(
        run(client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "1").env("CLI_LOOP_PERIOD", "1h")).status.success()
    );
    assert!(began.elapsed().as_secs() < 60);
}

#[test]
fn an_echo_client_opens_a_connection_for_each_message() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut client = programs().client(&std::env::temp_dir(), 7, port);
    let client = start(client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "2").env("CLI_LOOP_PERIOD", "1ms"));
    for message in 1..=2 {
        let mut connection = Wire::accept(&listener);
        connection.expect(format!("[CLIENT 7] Message N°{message}\n").as_bytes());
        connection.send(b"a ver").send(b" si vuelve\r\n").expect_closed();
    }
    let ended = client.wait().expect("it ended");
    assert_eq!(ended.lines_with("client_id: 7 | msg: a ver si vuelve").len(), 2, "{:#?}", ended.lines);
}

#[test]
fn an_echo_client_asks_again_when_the_line_does_not_come_back() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let mut client = programs().client(&std::env::temp_dir(), 7, port);
    let client = start(client.env("CLI_MODE", "echo").env("CLI_LOOP_AMOUNT", "1"));
    for answer in ["", "half a li", "a line\n"] {
        let mut connection = Wire::accept(&listener);
        connection.expect("[CLIENT 7] Message N°1\n".as_bytes()).send(answer.as_bytes());
    }
    let ended = client.wait().expect("it ended");
    assert_eq!(ended.status.code(), Some(0), "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("receive_message | result: in_progress").len(), 2, "{:#?}", ended.lines);
    assert_eq!(ended.lines_with("receive_message | result: success").len(), 1, "{:#?}", ended.lines);
}

#[test]
fn a_line_comes_back_unaltered_however_it_was_cut_and_the_connection_is_closed() {
    let central = Central::start(5);
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
            let mut client = central.connect();
            line.chunks(piece).for_each(|piece| {
                client.send(piece);
            });
            client.expect(line).expect_closed();
        }
    }
}

#[test]
fn a_line_without_an_end_comes_back_when_its_sender_has_no_more() {
    let central = Central::start(5);
    for line in ["hola", "h", "hola\r"] {
        central.connect().send(line.as_bytes()).end().expect(line.as_bytes()).expect_closed();
    }
    central.connect().end().expect_closed();
}

#[test]
fn only_the_first_line_comes_back() {
    let central = Central::start(5);
    central.connect().send(b"uno\ndos\n").expect(b"uno\n").expect_closed();
    central.connect().send(b"uno\ndos").end().expect(b"uno\n").expect_closed();
}

#[test]
fn a_line_that_is_too_long_is_refused_before_it_ends() {
    let central = Central::start_with(5, |command| {
        command.env("MAX_ECHO_LINE_BYTES", "10");
    });
    central.connect().send(b"0123456789\n").expect(b"0123456789\n").expect_closed();
    central.connect().send(b"0123456789a").expect_closed();
    central.connect().send(b"0123456789").send(b"a\n").expect_closed();
    wait_for(
        &central.process,
        "action: receive_message | result: fail | ip: 127.0.0.1 | error: a line of more than 10 bytes",
    );
}

#[test]
fn what_an_echo_client_says_can_not_end_a_value_or_a_line_of_the_log() {
    let central = Central::start(5);
    let hostile = "a | result: fail | x: \u{1b}[2Jb\r\u{85}c\u{2028}d\u{7}\n";
    central.connect().send(hostile.as_bytes()).expect(hostile.as_bytes()).expect_closed();
    let line = wait_for(&central.process, "action: receive_message");
    assert_eq!(field(&line, "msg"), Some("a / result: fail / x:  [2Jb  c d "), "{line:?}");
    assert_eq!(field(&line, "result"), Some("success"));
}

#[test]
fn echo_sessions_and_agencies_are_served_side_by_side() {
    let central = Central::start(1);
    let mut slow = central.connect();
    slow.send(b"despa");
    let agency = run(&mut central.agency_with_rows(1, "Ana,Paz,1,2000-01-01,7574\n"));
    assert!(agency.status.success(), "{:#?}", agency.lines);
    slow.send(b"cio\n").expect(b"despacio\n").expect_closed();
}
