#!/usr/bin/env python3
"""frames.py - frames in and out of TAP devices, and verdicts out of captures.

    frames.py send DEVICE HEX...        sends frames
    frames.py fates FILE                "PORT VERDICT" of each frame that came
                                        in at a port, in order
    frames.py explained FILE            the same, of lanyard explain --json
    frames.py read DEVICE SECONDS       prints frames that arrive, as hex
"""
import json
import socket
import struct
import sys
import time

ETH_P_ALL = 3
PACKET_OUTGOING = 4


def opened(device):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.bind((device, 0))
    # PACKET_AUXDATA: the kernel takes VLAN tags out of what it hands over.
    s.setsockopt(263, 8, 1)
    return s


def whole(data, control):
    """The frame with the tag that the kernel took out of it."""
    for level, kind, value in control:
        if level == 263 and kind == 8 and len(value) >= 20:
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
            if status & 0x10:
                tpid = tpid if status & 0x40 else 0x8100
                data = data[:12] + struct.pack(">HH", tpid, tci) + data[12:]
    return data


def read(device, seconds):
    s = opened(device)
    end = time.time() + float(seconds)
    while time.time() < end:
        s.settimeout(max(0.01, end - time.time()))
        try:
            data, control, _, where = s.recvmsg(65536, 256)
        except socket.timeout:
            break
        if where[2] != PACKET_OUTGOING:
            print(whole(data, control).hex(), flush=True)


def send(device, frames):
    s = opened(device)
    for frame in frames:
        s.send(bytes.fromhex(frame))


def options(data):
    while len(data) >= 4:
        code, length = struct.unpack("<HH", data[:4])
        yield code, data[4:4 + length]
        if code == 0:
            return
        data = data[4 + (length + 3 & ~3):]


def fates(path):
    names = []
    with open(path, "rb") as file:
        data = file.read()
    while len(data) >= 12:
        kind, length = struct.unpack("<II", data[:8])
        body = data[8:length - 4]
        data = data[length:]
        if kind == 1:
            names += [v.decode() for c, v in options(body[8:]) if c == 2]
        if kind != 6:
            continue
        port, _, _, kept = struct.unpack("<IIII", body[:16])
        found = dict(options(body[20 + (kept + 3 & ~3):]))
        if struct.unpack("<I", found[2])[0] & 3 != 1:
            continue
        words = dict(w.split("=", 1) for w in found[2988][4:].decode().split()
                     if "=" in w)
        print(names[port], words["node"], words["verdict"])


def explained(path):
    with open(path) as file:
        for step in json.load(file)["steps"]:
            if step.get("to"):
                print(step["to"], step["node"], step["verdict"])


if __name__ == "__main__":
    globals()[sys.argv[1]](*(sys.argv[2:3] + [sys.argv[3:]]
                             if sys.argv[1] == "send" else sys.argv[2:]))
