#!/usr/bin/env python3
"""The books of a lab, from a capture of all ports of all nodes and the bin: each
UDP datagram that a port sent first, and each copy that a cable or a switch made
of it, was delivered once, is once in the bin with its reason, or is still held.
By the words of our custom option; nothing else is believed.

Usage: books.py CAPTURE.  Prints offered, twice (by cables), flooded (more than
one by switches), delivered, binned and held, and on a second line what is in the
bin by verdict; fails at the first datagram that does not add up.
"""
import collections
import struct
import sys

CUSTOM_TEXT, ENTERPRISE = 2988, 32473
HELD = {"arp-queued", "fragment-held", "cable-held", "cable-reordered",
        "cable-corrupted", "cable-duplicated", "cable-marked"}
DEEDS = {"cable-corrupted", "cable-duplicated", "cable-reordered",
         "cable-marked"}


def frames(path):
    """Yields interface name, whether outwards, the frame, and the words."""
    data, at, names = open(path, "rb").read(), 0, []
    while at < len(data):
        kind, total = struct.unpack_from("<II", data, at)
        if kind == 1:
            n = struct.unpack_from("<H", data, at + 18)[0]
            names.append(data[at + 20:at + 20 + n].decode())
        elif kind == 6:
            i, _, _, kept, _ = struct.unpack_from("<IIIII", data, at + 8)
            words, flags = {}, 0
            o = at + 28 + (kept + 3 & ~3)
            while o < at + total - 4:
                code, n = struct.unpack_from("<HH", data, o)
                value = data[o + 4:o + 4 + n]
                if code == 2:
                    flags = struct.unpack("<I", value)[0]
                elif code == CUSTOM_TEXT and \
                        struct.unpack_from("<I", value)[0] == ENTERPRISE:
                    words = dict(w.split("=", 1)
                                 for w in value[4:].decode().split(" ")[1:])
                o += 4 + (n + 3 & ~3)
            yield names[i], flags & 3 == 2, data[at + 28:at + 28 + kept], words
        at += total


def main():
    begun, delivered, dropped, twice, flooded = (
        {} for _ in range(5))
    binned, kept = collections.Counter(), set()
    for name, out, frame, words in frames(sys.argv[1]):
        j, verdict = int(words["journey"]), words.get("verdict", "")
        if name != "bin":
            if j not in begun:
                begun[j] = out and frame[12:14] == b"\x08\x00" and \
                    frame[23] == 17
            if not out and verdict == "delivered":
                delivered[j] = delivered.get(j, 0) + 1
            if not out and int(words.get("ports", 0)) > 1:
                flooded[j] = flooded.get(j, 0) + int(words["ports"]) - 1
            if verdict in HELD:
                kept.add(j)
        elif verdict in DEEDS:
            twice[j] = twice.get(j, 0) + int(words.get("ports", 1)) - 1
        else:
            dropped[j] = dropped.get(j, 0) + 1
            if begun.get(j):
                binned[verdict] += 1
    sums = collections.Counter()
    for j in (j for j, data in begun.items() if data):
        row = {"offered": 1, "twice": twice.get(j, 0),
               "flooded": flooded.get(j, 0), "delivered": delivered.get(j, 0),
               "binned": dropped.get(j, 0)}
        row["held"] = row["offered"] + row["twice"] + row["flooded"] - \
            row["delivered"] - row["binned"]
        assert row["held"] == 0 or (row["held"] > 0 and j in kept), (j, row)
        sums.update(row)
    print(*(f"{k} {sums[k]}" for k in
            ("offered", "twice", "flooded", "delivered", "binned", "held")))
    print(*(f"{k} {n}" for k, n in sorted(binned.items())))


if __name__ == "__main__":
    main()
