#!/usr/bin/env python3
"""A server for tests of the conformance kit, written from protocol.md: the standard library, a thread for each connection.

    server.py --port 12345 --agencies 60 --journal FILE [--credential TEXT] [--faults NAME,NAME]

Each fault makes it wrong in one way, see FAULTS.
"""

import argparse
import select
import socket
import struct
import threading
import time
import unicodedata
import zlib

FAULTS = (
    "checksum", "partial", "behind-refused", "volatile", "draws-early", "winners-once", "two-speakers", "ghost", "resets",
    "deaf", "half-closed", "words", "ack", "versions", "future", "empty", "closes-once", "silence", "half-a-message",
    "swapped", "types", "one-piece", "small", "disorder", "lengths", "welcome", "strict", "any-agency", "open-door",
    "any-credential", "remembers", "never-closes", "wants-bets", "silent-7", "tells-once", "hangs", "talks",
)
WINNING_NUMBER = 7574
FIRST_DAY, DAY = -25567 * 86400, 86400
PATIENCE = 2  # seconds
STAYS_OPEN = (2, 4, 6)


class Over(Exception):
    """The connection is over."""


class Round:
    def __init__(self, options):
        self.agencies, self.faults, self.credential = options.agencies, options.faults, options.credential
        self.lock = threading.RLock()
        self.bets = {agency: [] for agency in range(1, self.agencies + 1)}
        self.closed, self.parked, self.speakers = set(), [], {}
        self.journal = open(options.journal, "a+b", buffering=0)
        self.recover()

    def recover(self):
        self.journal.seek(0)
        data, at = self.journal.read(), 0
        while len(data) - at >= 9:
            agency, kind, length = struct.unpack_from(">IBI", data, at)
            if len(data) - at - 9 < length:
                break
            record, at = data[at + 9 : at + 9 + length], at + 9 + length
            if kind:
                self.closed.add(agency)
            while record:
                (size,) = struct.unpack_from(">Q", record)
                self.bets[agency].append(record[: 8 + size])
                record = record[8 + size :]
        self.journal.truncate(at)

    def store(self, agency, bets):
        if "volatile" not in self.faults:
            data = b"".join(bets)
            self.journal.write(struct.pack(">IBI", agency, 0, len(data)) + data)
        self.bets[agency] += bets

    def close(self, agency):
        if agency not in self.closed:
            self.journal.write(struct.pack(">IBI", agency, 1, 0))
            self.closed.add(agency)
            if self.is_drawn():
                for connection in self.parked:
                    connection.inform()

    def is_drawn(self):
        return len(self.closed) == self.agencies

    def state(self, agency):
        return 2 if self.is_drawn() else int(agency in self.closed)


class Connection(threading.Thread):
    def __init__(self, round_, peer, serial):
        super().__init__(daemon=True)
        self.round, self.socket, self.serial = round_, peer, serial
        self.faults, self.accepted_at = round_.faults, time.monotonic()
        self.agency, self.version, self.said_hello, self.broken = None, 1, False, None
        self.is_parked = self.is_over = self.is_told = False
        self.held, self.has_held = b"", False
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self):
        try:
            if self.receive(1, None) != b"\0":
                if "talks" in self.faults:
                    self.refuse(1)
                raise Over
            first = b"\0"
            while True:
                self.message(first)
                first = self.receive(1, None)
        except (Over, OSError):
            self.linger()

    def linger(self):
        if "resets" not in self.faults:
            try:
                self.socket.shutdown(socket.SHUT_WR)
                self.socket.settimeout(1)
                while self.socket.recv(65536):
                    pass
            except OSError:
                pass
        self.socket.close()

    def receive(self, count, began):
        data = b""
        while len(data) < count:
            due = None
            if began and "half-a-message" not in self.faults:
                due = began + PATIENCE
            elif not self.agency and "silence" not in self.faults:
                due = self.accepted_at + PATIENCE
            self.socket.settimeout(None if due is None else max(due - time.monotonic(), 0.001))
            more = self.socket.recv(count - len(data))
            if not more:
                self.end_of_input()
            data += more
        return data

    def end_of_input(self):
        if self.held:
            self.send(b"")
        while self.is_parked and not self.round.is_drawn() and "half-closed" not in self.faults:
            time.sleep(0.005)
        while "hangs" in self.faults and not self.round.is_drawn():
            time.sleep(0.005)
        with self.round.lock:  # The draw is told under it.
            raise Over

    def message(self, first):
        began = time.monotonic()
        read = lambda form: struct.unpack(form, self.receive(struct.calcsize(form), began))
        (kind,) = struct.unpack(">H", first + self.receive(1, began))
        body = None
        is_stranger = self.round.credential and not self.said_hello and "open-door" not in self.faults
        if is_stranger and kind not in (4, 8):
            self.refuse(8)
        if kind == 1:
            body = self.read_batch(read)
        elif kind == 8:
            (version,) = read(">H")
            if version not in (1, 2) and "versions" not in self.faults:
                self.refuse(11)
            if "one-piece" in self.faults and len(self.socket.recv(6, socket.MSG_PEEK)) < 6:
                raise Over
            agency, length = read(">IH")
            if length > 255:
                self.refuse(3)
            body = version, agency, read(f">{length}s")[0]
        elif kind not in (4, 5, 6) and not (kind == 12 and "types" in self.faults):
            self.refuse(1)
        with self.round.lock:
            if self.is_over:
                raise Over
            if self.is_parked and "deaf" in self.faults and kind == 8:
                return
            self.apply(kind, body)

    def read_batch(self, read):
        (count,) = read(">I")
        if count > (100 if "small" in self.faults else 1024):
            self.refuse(3)
        bets = []
        for _ in range(count):
            (length,) = read(">Q")
            if not 28 <= length <= 65536:
                self.refuse(1 if "lengths" in self.faults else 3)
            bets.append(struct.pack(">Q", length) + read(f">{length}s")[0])
        return bets

    def apply(self, kind, body):
        if kind == 1:
            self.register(body)
        elif kind == 4 and "ack" in self.faults:
            self.send(struct.pack(">H", 2))
        elif kind == 5:
            self.all_bets_sent()
        elif kind == 6:
            self.request_winners()
        elif kind == 8:
            self.hello(*body)

    def send(self, data):
        if "disorder" in self.faults and data == b"\0\2" and not self.has_held and self.has_more():
            self.held, self.has_held = data, True
            return
        data, self.held = data + self.held, b""
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    def has_more(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def refuse(self, code, position=0):
        if self.version == 2 and "words" not in self.faults:
            self.send(struct.pack(">HHI", 11, code, position))
        else:
            self.send(struct.pack(">HH", 3, code))
        if code not in STAYS_OPEN:
            raise Over

    def hello(self, version, agency, credential):
        self.version = version
        expected = (self.round.credential or "").replace("{id}", str(agency)).encode()
        if self.round.credential and "any-credential" not in self.faults:
            if credential != expected or agency not in self.round.bets:
                self.refuse(8)
        if agency not in self.round.bets:
            self.refuse(7 if "any-agency" in self.faults else 5)
        if self.agency not in (None, agency):
            self.refuse(4)
            if "strict" in self.faults:
                raise Over
            return
        self.claim(agency)
        self.said_hello, self.broken = True, None
        bets = self.round.bets[agency]
        fields = struct.pack(">QB", len(bets), self.round.state(agency))
        if version == 1 and "welcome" not in self.faults:
            self.send(struct.pack(">H", 9) + fields)
        else:
            checksum = 0 if "checksum" in self.faults else zlib.crc32(b"".join(bets))
            self.send(struct.pack(">H", 10) + fields + struct.pack(">I", checksum))

    def claim(self, agency):
        older = self.round.speakers.get(agency)
        if older and older.serial > self.serial and "ghost" not in self.faults:
            self.refuse(10)
        if older and older is not self and not self.faults & {"ghost", "two-speakers"}:
            older.is_over = True
            try:
                older.refuse(10)
            except Over:
                pass
            try:
                older.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        self.round.speakers[agency] = self
        self.agency = agency

    def register(self, bets):
        if self.broken and "behind-refused" not in self.faults:
            return self.refuse(self.broken)
        code, position, agency = self.check(bets)
        if code and "partial" in self.faults and position > 1:
            self.round.store(agency, bets[: position - 1])
        if code:
            if self.said_hello or "remembers" in self.faults:
                self.broken = code
            if code == 6:
                self.claim(agency)
            return self.refuse(code, position)
        self.claim(agency)
        self.round.store(agency, bets[::-1] if "swapped" in self.faults else bets)
        self.send(struct.pack(">H", 2))

    def check(self, bets):
        """A code, the position of a bet, and the agency."""
        faults = [decode(bet, self.faults) for bet in bets]
        agency = self.agency or (faults[0][1] if faults else None)
        if faults and faults[0][0] == 3 or faults and faults[0][0] == 2 and faults[0][2]:
            return faults[0][0], 1, agency
        if agency is None:
            if "empty" in self.faults:
                return 0, 0, 1
            return 7, 0, None
        if agency not in self.round.bets:
            return (7 if "any-agency" in self.faults else 5), 0, None
        speaker = self.round.speakers.get(agency)
        if speaker and speaker.serial > self.serial and not self.faults & {"ghost", "two-speakers"}:
            return 10, 0, agency
        if agency in self.round.closed and "never-closes" not in self.faults:
            return 6, 0, agency
        for position, (code, named, is_early) in enumerate(faults, 1):
            if code == 3 or code == 2 and is_early:
                return code, position, agency
            if named != agency:
                return 4, position, agency
            if code:
                return code, position, agency
        return 0, 0, agency

    def all_bets_sent(self):
        if not self.agency and "silent-7" in self.faults:
            return
        if not self.agency:
            self.refuse(7)
        if self.broken and "behind-refused" not in self.faults:
            return self.refuse(self.broken)
        if self.agency in self.round.closed and "closes-once" in self.faults:
            return self.refuse(6)
        if "wants-bets" in self.faults and not self.round.bets[self.agency]:
            return self.refuse(6)
        self.round.close(self.agency)

    def request_winners(self):
        if not self.agency:
            self.refuse(7)
        if self.round.is_drawn() or "draws-early" in self.faults:
            return self.inform()
        if not self.is_parked:
            self.is_parked = True
            self.round.parked.append(self)

    def inform(self):
        if self.is_told and "tells-once" in self.faults:
            return
        self.is_told = True
        winners = [bet[-16:-12] for bet in self.round.bets[self.agency] if bet[-4:] == struct.pack(">I", WINNING_NUMBER)]
        if "winners-once" in self.faults:
            winners = list(dict.fromkeys(winners))
        self.send(struct.pack(">HQ", 7, len(winners)) + b"".join(winners))
        self.is_parked = False


def decode(bet, faults):
    """The code of a bet by itself, its agency, and whether its names or its day are the reason."""
    try:
        agency, first = struct.unpack_from(">II", bet, 8)
        (last,) = struct.unpack_from(">I", bet, 16 + first)
        names = bet[16 : 16 + first], bet[20 + first : 20 + first + last]
        document, birthdate, number = struct.unpack_from(">IqI", bet, 20 + first + last)
        if len(bet) != 36 + first + last:
            return 3, None, True
        texts = [name.decode() for name in names]
    except (struct.error, UnicodeDecodeError):
        return 3, None, True
    is_name = lambda text: 1 <= len(text.encode()) <= 255 and all(unicodedata.category(c) != "Cc" for c in text)
    if not all(map(is_name, texts)) or birthdate % DAY:
        return 2, agency, True
    is_late = birthdate > time.time() and "future" not in faults
    is_valid = document <= 99_999_999 and FIRST_DAY <= birthdate and not is_late and number <= 9999
    return (0 if is_valid else 2), agency, False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--agencies", type=int, required=True)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--credential", help="of each agency, with its number in place of {id}")
    parser.add_argument("--faults", default="", help="names, separated by commas")
    options = parser.parse_args()
    options.faults = set(filter(None, options.faults.split(",")))
    if not options.faults <= set(FAULTS):
        parser.error(f"the faults are {FAULTS}")
    round_ = Round(options)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", options.port))
    listener.listen(100)
    serial = 0
    while True:
        peer, _ = listener.accept()
        serial += 1
        Connection(round_, peer, serial).start()


if __name__ == "__main__":
    main()
