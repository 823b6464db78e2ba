#!/usr/bin/env python3
"""A second implementation of the reconciliation, from Docs/SyncProtocol.md alone.

Reads commands from standard input, one JSON object a line, and answers each with one:
  {"items": [[height, "hex id"], ...], "salt": "hex"}   takes a set; answers {}
  {"open": true}                                        answers {"message": "hex"}
  {"answer": "hex"}                                     answers {"reply": "hex" or null, "needs": ["hex short id", ...]}
An error is answered with {"error": "..."}.
"""
import bisect
import hashlib
import json
import sys

END = (1 << 63, b"")
MAXIMUM_RANGES = 4096
MAXIMUM_BYTES = 60000


class Malformed(Exception):
    pass


# Canonical CBOR: unsigned integers, byte strings, arrays.


def head(major, argument):
    if argument < 24:
        return bytes([major << 5 | argument])
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes([major << 5 | low]) + argument.to_bytes(size, "big")
    raise ValueError(argument)


def encode(item):
    if isinstance(item, int):
        return head(0, item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    return head(4, len(item)) + b"".join(encode(part) for part in item)


def decode(data, at=0, depth=0):
    if at >= len(data) or depth > 4:
        raise Malformed("ends early or nests too deep")
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low < 24:
        argument = low
    elif low < 28:
        size = 1 << low - 24
        argument = int.from_bytes(data[at : at + size], "big")
        if len(data) < at + size or argument < (24, 256, 1 << 16, 1 << 32)[low - 24]:
            raise Malformed("not the shortest head")
        at += size
    else:
        raise Malformed("not definite")
    if major == 0:
        return argument, at
    if argument > len(data) - at:
        raise Malformed("a length beyond the end")
    if major == 2:
        return data[at : at + argument], at + argument
    if major != 4:
        raise Malformed("an unexpected type")
    items = []
    for _ in range(argument):
        item, at = decode(data, at, depth + 1)
        items.append(item)
    return items, at


# Messages: lists of (upper bound, kind, content).


def pack(ranges):
    items, height = [], 0
    for upper, kind, content in ranges:
        if upper == END:
            distance = 0
        else:
            distance, height = upper[0] - height + 1, upper[0]
        item = [distance, upper[1], kind]
        if kind == 1:
            item += content
        elif kind != 0:
            item.append(b"".join(content))
        items.append(item)
    return encode(items)


def short_ids(data):
    if not isinstance(data, bytes) or len(data) % 8:
        raise Malformed("not short ids")
    return [data[i : i + 8] for i in range(0, len(data), 8)]


def unpack(data):
    items, at = decode(data)
    if at != len(data) or not isinstance(items, list) or len(items) > MAXIMUM_RANGES:
        raise Malformed("not a message")
    ranges, last = [], (0, b"")
    for item in items:
        if not isinstance(item, list) or len(item) < 3:
            raise Malformed("not a range")
        distance, prefix, kind = item[:3]
        if not isinstance(distance, int) or not isinstance(prefix, bytes) or len(prefix) > 32:
            raise Malformed("not a bound")
        if distance == 0:
            upper = END
            if prefix:
                raise Malformed("an end with an id")
        else:
            upper = (last[0] + distance - 1, prefix)
            if upper[0] >= END[0] or prefix.endswith(b"\0"):
                raise Malformed("not a bound")
        if upper <= last:
            raise Malformed("bounds do not ascend")
        last = upper
        if kind == 0 and len(item) == 3:
            content = None
        elif kind == 1 and len(item) == 5:
            content = item[3:]
            if not isinstance(content[0], int) or content[0] > 1 << 40 or len(short_ids(content[1])) != 1:
                raise Malformed("not a fingerprint")
        elif kind in (2, 3) and len(item) == 4:
            content = short_ids(item[3])
        else:
            raise Malformed("an unknown kind of range")
        ranges.append((upper, kind, content))
    return ranges


class Replica:
    def __init__(self, items, salt):
        # An id compares with a shorter prefix of zeros cut off just as with the zeros.
        self.items = sorted((height, bytes.fromhex(id)) for height, id in items)
        self.salt = salt
        self.sums = [0]
        for _, id in self.items:
            self.sums.append(self.sums[-1] + int.from_bytes(id, "big"))
        self.shorts = {id[:8] for _, id in self.items}

    def rank(self, bound):
        return bisect.bisect_left(self.items, bound)

    def bound(self, rank):
        """The shortest bound before the item with that rank."""
        if rank >= len(self.items):
            return END
        height, id = self.items[rank]
        if rank == 0 or self.items[rank - 1][0] != height:
            return (height, b"")
        before = self.items[rank - 1][1]
        common = next(i for i in range(32) if before[i] != id[i])
        return (height, id[: common + 1])

    def fingerprint(self, low, high):
        total = (self.sums[high] - self.sums[low]) % (1 << 256)
        data = self.salt + (high - low).to_bytes(8, "big") + total.to_bytes(32, "big")
        return [high - low, hashlib.blake2b(data, digest_size=32).digest()[:8]]

    def list(self, low, high):
        return [id[:8] for _, id in self.items[low:high]]

    def open(self):
        count = len(self.items)
        if count <= 24:
            return pack([(END, 2, self.list(0, count))])
        cuts, length = [count], 8
        while cuts[0] > length:
            cuts.insert(0, cuts[0] - length)
            length *= 2
        ranges, low = [], 0
        for cut in cuts[1:] if cuts[0] == 0 else cuts:
            ranges.append((self.bound(cut), 1, self.fingerprint(low, cut)))
            low = cut
        return pack(ranges)

    def answer(self, data):
        ranges = unpack(data)
        if all(kind in (0, 3) for _, kind, _ in ranges):
            reply = None
        else:
            reply = []
        needs = []
        out, size, low, lower_bound, full = [], 8, 0, (0, b""), False
        pending_skip = None

        def add(upper, kind, content, cost):
            nonlocal size, pending_skip
            if pending_skip is not None:
                out.append((pending_skip, 0, None))
                size += 48
                pending_skip = None
            out.append((upper, kind, content))
            size += cost

        def close(rank):
            nonlocal full
            full = True
            add(END, 1, self.fingerprint(rank, len(self.items)), 64)

        def fits(rank, more):
            if full:
                return False
            if size + more < MAXIMUM_BYTES and len(out) < MAXIMUM_RANGES - 4:
                return True
            close(rank)
            return False

        def tell(kind, low, high, upper, ids_of):
            """A list or an offer, or as much of it as fits."""
            if not fits(low, 600):
                return
            room = (MAXIMUM_BYTES - size) // 8
            end = min(high, low + room)
            add(upper if end == high else self.bound(end), kind, ids_of(low, end), 64 + 8 * (end - low))
            if end < high:
                close(end)

        for upper, kind, content in ranges:
            high = len(self.items) if upper == END else self.rank(upper)
            high = max(low, high)
            skip = kind in (0, 3)
            if kind in (2, 3):
                needs += [id for id in content if id not in self.shorts]
            if kind == 2:
                listed = set(content)
                if all(id in listed for id in self.list(low, high)):
                    skip = True
                else:
                    tell(3, low, high, upper, lambda a, b: [id for id in self.list(a, b) if id not in listed])
            elif kind == 1:
                mine = high - low
                if self.fingerprint(low, high) == content:
                    skip = True
                elif content[0] == 0:
                    tell(3, low, high, upper, self.list)
                elif mine <= 24 or mine >= 2 * content[0] or mine <= 1024 and 2 * mine <= content[0]:
                    tell(2, low, high, upper, self.list)
                else:
                    start = low
                    for part in range(1, 17):
                        cut = low + mine * part // 16
                        if not fits(start, 64):
                            break
                        add(upper if part == 16 else self.bound(cut), 1, self.fingerprint(start, cut), 64)
                        start = cut
            if skip and not full:
                pending_skip = upper
            low = high
        seen = set()
        needs = [id for id in needs if not (id in seen or seen.add(id))]
        return (None if reply is None else pack(out)), needs


def main():
    replica = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "items" in command:
                replica = Replica(command["items"], bytes.fromhex(command["salt"]))
                result = {}
            elif "open" in command:
                result = {"message": replica.open().hex()}
            else:
                reply, needs = replica.answer(bytes.fromhex(command["answer"]))
                result = {"reply": None if reply is None else reply.hex(), "needs": [id.hex() for id in needs]}
        except Malformed as error:
            result = {"error": str(error)}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
