#!/usr/bin/env python3
"""An agency in Python, written from protocol.md alone: the standard library, one file, exact after crashes.

    python3 examples/agency.py --id 3 --server localhost:12345 .data/agency-3.csv

It says Hello, hears how many of its bets the server has, sends those after them in batches (a few of them ahead of their
replies), closes, and waits for its winners, for days if need be. Whatever breaks in between, it connects again and hears
anew where to go on. It gives up if the server answers nothing for as long as --patience says.
"""

import argparse
import collections
import csv
import datetime
import itertools
import random
import socket
import ssl
import struct
import sys
import time
import zlib

REGISTER_BETS, REGISTER_BET_OK, REGISTER_BET_FAILED, _ACK, ALL_BETS_SENT = 1, 2, 3, 4, 5
REQUEST_WINNERS, INFORM_WINNERS, HELLO, WELCOME, REFUSED = 6, 7, 8, 10, 11

PROTOCOL_VERSION = 2
OPEN, CLOSED, DRAWN = range(3)
MAX_PACKET_BYTES = 8192
BATCH_HEAD = struct.Struct(">HI")  # type, number of bets

# Codes after which the same may go better later. After code 10 it may once. Any other needs a person.
CODES = range(1, 14)
NOT_STORED, TAKEN_OVER, UNAVAILABLE = 9, 10, 12
TAKEOVERS_APART = 60  # seconds after coming back in which another code 10 is final

CONNECT_TIMEOUT = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5
# SO_LINGER 0: what the server did not get yet is dropped, and not delivered late.
RESET_ON_CLOSE, CLOSE = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)

EPOCH = datetime.date(1970, 1, 1)


class Refused(Exception):
    """The server refuses, and trying again would not help."""


class Passing(Exception):
    """The server can't take anything now; later it may."""


class TakenOver(Exception):
    """A newer connection speaks for this agency: another process, or one of ours that was accepted late."""


def encode_rows(agency, rows):
    """The bets of the rows of the agency's file, as they stand in a batch."""
    for row in rows:
        try:
            yield encode_bet(agency, row)
        except (ValueError, struct.error) as error:
            raise Refused(f"line {rows.line_num}: {error}") from error


def encode_bet(agency, row):
    first_name, last_name, document, birthdate, number = row
    first_name, last_name = first_name.encode(), last_name.encode()
    birthday = (datetime.date.fromisoformat(birthdate) - EPOCH).days * 86400
    bet = b"".join((
        struct.pack(">II", agency, len(first_name)), first_name,
        struct.pack(">I", len(last_name)), last_name,
        struct.pack(">IqI", int(document), birthday, int(number)),
    ))
    return struct.pack(">Q", len(bet)) + bet


def batches(bets):
    """RegisterBets messages of at most 8 kB."""
    packet, count = bytearray(BATCH_HEAD.size), 0
    for bet in bets:
        if len(packet) + len(bet) > MAX_PACKET_BYTES:
            BATCH_HEAD.pack_into(packet, 0, REGISTER_BETS, count)
            yield packet
            packet, count = bytearray(BATCH_HEAD.size), 0
        packet += bet
        count += 1
    if count:
        BATCH_HEAD.pack_into(packet, 0, REGISTER_BETS, count)
        yield packet


class Central:
    """A connection to the server."""

    def __init__(self, address, reply_timeout, tls=None, server_name=None):
        self.socket = socket.create_connection(address, CONNECT_TIMEOUT)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10)):
            if hasattr(socket, option):
                self.socket.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
        if tls:
            # A stream that ends without close_notify was cut: recv raises then, and does not give b"".
            self.socket.settimeout(reply_timeout)
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name, suppress_ragged_eofs=False)
        self.reply_timeout = reply_timeout
        self.received = bytearray()
        self.has_answered = False
        self.stored = 0  # bets that it said are stored

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def end_well(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, CLOSE)
        if isinstance(self.socket, ssl.SSLSocket):
            self.socket.settimeout(1)
            try:
                self.socket.unwrap()  # close_notify
            except OSError:
                pass  # Everything was read.

    def say(self, message_type, body=b""):
        self.send(struct.pack(">H", message_type) + body)

    def send(self, message):
        self.socket.settimeout(self.reply_timeout)
        try:
            self.socket.sendall(message)
        except OSError:
            while True:  # The server may have said why before it closed the connection.
                self.expect(REGISTER_BET_OK)

    def expect(self, message_type, form="", may_wait=False):
        """The fixed part of the body of the next message, which must be of this type, and when the rest is due. If it may
        wait, the time of the message counts from its first byte."""
        if may_wait and not self.received:
            self.receive(None)
        due = time.monotonic() + self.reply_timeout
        (got,) = self.read(">H", due)
        if got == REGISTER_BET_FAILED:
            self.refuse(*self.read(">H", due))
        if got == REFUSED:
            self.refuse(*self.read(">HI", due))
        if got != message_type:
            raise Refused(f"the server does not speak this protocol: message {got} instead of {message_type}")
        fields = self.read(">" + form, due)
        self.has_answered = True
        return fields, due

    def refuse(self, code, position=0):
        self.has_answered = True
        if code not in CODES:
            raise Refused(f"the server does not speak this protocol: error code {code}")
        kind = {NOT_STORED: Passing, UNAVAILABLE: Passing, TAKEN_OVER: TakenOver}.get(code, Refused)
        bet = f" bet {position} of a batch" if position else ""
        raise kind(f"the server refuses{bet}, code {code}")

    def read(self, form, due):
        size = struct.calcsize(form)
        while len(self.received) < size:
            self.receive(due)
        data = bytes(self.received[:size])
        del self.received[:size]
        return struct.unpack(form, data)

    def receive(self, due):
        left = None if due is None else due - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("the server does not reply in time")
        self.socket.settimeout(left)
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the connection")
        self.received += data


def converse(central, options, known):
    """One connection, from Hello to the documents of the winners. On those before, `known` bets were said to be stored."""
    credential = options.credential.encode()
    central.say(HELLO, struct.pack(">HIH", PROTOCOL_VERSION, options.id, len(credential)) + credential)
    (stored, state, checksum), _ = central.expect(WELCOME, "QBI")
    if state not in (OPEN, CLOSED, DRAWN):
        raise Refused(f"the server does not speak this protocol: state {state} of an agency")
    if stored < known:
        raise Refused(f"the server has {stored} bets of this agency, and {known} were stored before")
    central.stored = stored
    with open_bets(options.file) as file:
        rows = csv.reader(file)
        bets = encode_rows(options.id, rows)
        skip_stored(bets, stored, checksum, options.file)
        if state == OPEN:
            send_bets(central, bets, options.window)
            # Only now: bets of a batch refused after this could never be sent again.
            central.say(ALL_BETS_SENT)
        elif next(bets, None) is not None:
            raise Refused(f"the agency has closed with {stored} bets, and {options.file} holds more")
    central.say(REQUEST_WINNERS)
    (count,), due = central.expect(INFORM_WINNERS, "Q", may_wait=True)
    if count > central.stored:
        raise Refused(f"the server tells {count} winners of the {central.stored} bets of this agency")
    return central.read(f">{count}I", due)


def skip_stored(bets, stored, checksum, path):
    """Skips the stored bets, which must be the first ones of the file."""
    held, held_checksum = 0, 0
    for bet in itertools.islice(bets, stored):
        held, held_checksum = held + 1, zlib.crc32(bet, held_checksum)
    if held < stored:
        raise Refused(f"the server has {stored} bets of this agency, and {path} holds only {held}")
    if held_checksum != checksum:
        raise Refused(
            f"the server has {stored} bets with checksum {checksum:08x}, and those of {path} have {held_checksum:08x}:"
            " another file was sent before"
        )


def open_bets(path):
    try:
        return open(path, encoding="utf-8", newline="")
    except OSError as error:
        raise Refused(str(error)) from error


def send_bets(central, bets, window):
    """Sends every bet, at most `window` batches ahead of their replies, and waits for the last reply."""
    unanswered = collections.deque()
    for packet in batches(bets):
        if len(unanswered) == window:
            hear_stored(central, unanswered)
        central.send(packet)
        unanswered.append(BATCH_HEAD.unpack_from(packet)[1])
    while unanswered:
        hear_stored(central, unanswered)


def hear_stored(central, unanswered):
    central.expect(REGISTER_BET_OK)
    central.stored += unanswered.popleft()


def context(options):
    """TLS 1.3 with the authority and the certificate of the options; None without an authority."""
    if not options.ca:
        return None
    tls = ssl.create_default_context(cafile=options.ca)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    if options.certificate:
        tls.load_cert_chain(options.certificate, options.key)
    return tls


def run(options):
    """The agency's winners, over as many connections as it takes."""
    host, _, port = options.server.rpartition(":")
    tls, server_name = context(options), options.server_name or host
    stored, pause, failing_since, came_back = 0, FIRST_PAUSE, None, None
    while True:
        central = None
        try:
            with Central((host, int(port)), options.reply_timeout, tls, server_name) as central:
                winners = converse(central, options, stored)
                central.end_well()
                return winners
        except ssl.SSLCertVerificationError as error:
            raise Refused(str(error)) from error
        except (OSError, Passing, TakenOver) as error:
            if isinstance(error, ssl.SSLError) and "ALERT" in str(error):
                raise Refused(f"the server refuses: {error}") from error
            now = time.monotonic()
            if central and central.stored > stored:
                stored, pause = central.stored, FIRST_PAUSE
            if central and central.has_answered:
                failing_since = None
            if isinstance(error, TakenOver):
                if came_back and now < came_back + TAKEOVERS_APART:
                    raise Refused(f"{error}: another process acts as this agency") from error
                wait = random.uniform(2, 5)
                came_back = now + wait
            else:
                failing_since = failing_since or now
                left = failing_since + options.patience - now
                if left <= 0:
                    raise Refused(f"{error}; gave up after {options.patience} s") from error
                wait = min(random.uniform(pause / 2, pause), left)
                pause = min(2 * pause, LONGEST_PAUSE)
            print(f"{error}; trying again in {wait:.1f} s", file=sys.stderr)
            time.sleep(wait)


def main():
    parser = argparse.ArgumentParser(description="An agency of the Lotería Nacional.")
    parser.add_argument("file", help="its bets: first name, last name, document, birthdate, number; no header")
    parser.add_argument("--id", type=int, required=True, help="its number, from 1")
    parser.add_argument("--server", default="localhost:12345", help="host:port of the server")
    parser.add_argument("--credential", default="", help="what proves that it is that agency, if that is asked")
    parser.add_argument("--ca", help="file of the authority of the server's certificate: turns TLS on")
    parser.add_argument("--certificate", help="file of the agency's certificate, if the server asks for one")
    parser.add_argument("--key", help="file of its private key")
    parser.add_argument("--server-name", help="name in the server's certificate, if it is not the host of --server")
    parser.add_argument("--window", type=int, default=8, help="batches sent and not yet answered, at most")
    parser.add_argument("--patience", type=float, default=60, help="how long to go on without an answer, in seconds")
    parser.add_argument("--reply-timeout", type=float, default=30, help="longest wait for a reply but the winners, in seconds")
    try:
        winners = run(parser.parse_args())
    except (Refused, ValueError, OverflowError, struct.error, csv.Error) as error:
        sys.exit(f"agency.py: {error}")
    print(f"action: consulta_ganadores | result: success | cant_ganadores: {len(winners)}")


if __name__ == "__main__":
    main()
