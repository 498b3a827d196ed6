#!/usr/bin/env python3
"""An agency in Python, written from protocol.md alone: the standard library, one file, exact after crashes.

    python3 examples/agency.py --id 3 --server localhost:12345 .data/agency-3.csv

It says Hello, hears how many of its bets the server has, sends those after them in batches (a few of them ahead of their
replies), closes, and waits for its winners. Whatever breaks in between, it connects again and hears anew where to go on.
"""

import argparse
import csv
import datetime
import itertools
import random
import socket
import struct
import sys
import time

REGISTER_BETS, REGISTER_BET_OK, REGISTER_BET_FAILED, _ACK, ALL_BETS_SENT = 1, 2, 3, 4, 5
REQUEST_WINNERS, INFORM_WINNERS, HELLO, WELCOME = 6, 7, 8, 9

PROTOCOL_VERSION = 1
OPEN = 0
MAX_PACKET_BYTES = 8192
BATCH_HEAD = struct.Struct(">HI")  # type, number of bets

# Codes after which the same may go better later; any other needs a person.
NOT_STORED, UNAVAILABLE = 9, 12

EPOCH = datetime.date(1970, 1, 1)


class Refused(Exception):
    """The central refuses, and trying again would not help."""


class Passing(Exception):
    """The central can't take anything now; later it may."""


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

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.reader = self.socket.makefile("rb")
        self.stored = 0  # bets that its Welcome said are stored

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.reader.close()
        self.socket.close()

    def say(self, message_type, body=b""):
        self.send(struct.pack(">H", message_type) + body)

    def send(self, message):
        self.socket.sendall(message)

    def expect(self, message_type, form=""):
        """The fixed part of the body of the next message, which must be of this type."""
        (got,) = self.read(">H")
        if got == REGISTER_BET_FAILED:
            (code,) = self.read(">H")
            if code in (NOT_STORED, UNAVAILABLE):
                raise Passing(f"code {code}")
            raise Refused(f"the server refuses, code {code}")
        if got != message_type:
            raise Refused(f"message {got} instead of {message_type}")
        return self.read(">" + form)

    def read(self, form):
        size = struct.calcsize(form)
        data = self.reader.read(size)
        if len(data) < size:
            raise ConnectionError("the server closed the connection")
        return struct.unpack(form, data)


def converse(central, options):
    """One connection, from Hello to the documents of the winners."""
    credential = options.credential.encode()
    central.say(HELLO, struct.pack(">HIH", PROTOCOL_VERSION, options.id, len(credential)) + credential)
    stored, state = central.expect(WELCOME, "QB")
    central.stored = stored
    with open_bets(options.file) as file:
        rows = csv.reader(file)
        held = sum(1 for _ in itertools.islice(rows, stored))
        if held < stored:
            raise Refused(f"the server has {stored} bets of this agency, and {options.file} holds only {held}")
        if state == OPEN:
            send_bets(central, encode_rows(options.id, rows), options.window)
            # Only now: bets of a batch refused after this could never be sent again.
            central.say(ALL_BETS_SENT)
        elif next(rows, None) is not None:
            raise Refused(f"the agency has closed with {stored} bets, and {options.file} holds more")
    central.say(REQUEST_WINNERS)
    (count,) = central.expect(INFORM_WINNERS, "Q")
    return central.read(f">{count}I")


def open_bets(path):
    try:
        return open(path, encoding="utf-8", newline="")
    except OSError as error:
        raise Refused(str(error)) from error


def send_bets(central, bets, window):
    """Sends every bet, at most `window` batches ahead of their replies, and waits for the last reply."""
    unanswered = 0
    for packet in batches(bets):
        if unanswered == window:
            central.expect(REGISTER_BET_OK)
            unanswered -= 1
        central.send(packet)
        unanswered += 1
    for _ in range(unanswered):
        central.expect(REGISTER_BET_OK)


def pauses(patience):
    """Growing pauses, never quite the same, that together last about `patience` seconds."""
    pause, left = 0.1, patience
    while left > 0:
        left -= pause
        yield random.uniform(pause / 2, pause)
        pause = min(2 * pause, 5)


def run(options):
    """The agency's winners, over as many connections as it takes."""
    host, _, port = options.server.rpartition(":")
    failures, stored = pauses(options.patience), 0
    while True:
        central = None
        try:
            with Central((host, int(port))) as central:
                return converse(central, options)
        except (OSError, Passing) as error:
            if central and central.stored > stored:
                failures, stored = pauses(options.patience), central.stored
            pause = next(failures, None)
            if pause is None:
                raise Refused(f"{error}; gave up after {options.patience} s") from error
            print(f"{error}; trying again in {pause:.1f} s", file=sys.stderr)
            time.sleep(pause)


def main():
    parser = argparse.ArgumentParser(description="An agency of the Lotería Nacional.")
    parser.add_argument("file", help="its bets: first name, last name, document, birthdate, number; no header")
    parser.add_argument("--id", type=int, required=True, help="its number, from 1")
    parser.add_argument("--server", default="localhost:12345", help="host:port of the server")
    parser.add_argument("--credential", default="", help="what proves that it is that agency, if that is asked")
    parser.add_argument("--window", type=int, default=8, help="batches sent and not yet answered, at most")
    parser.add_argument("--patience", type=float, default=60, help="how long to go on trying, in seconds")
    try:
        winners = run(parser.parse_args())
    except (Refused, ValueError) as error:
        sys.exit(f"agency.py: {error}")
    print(f"action: consulta_ganadores | result: success | cant_ganadores: {len(winners)}")


if __name__ == "__main__":
    main()
