#!/usr/bin/env python3
"""Air without radios: a TAP whose link type is radiotap's, and on it an access
point with one host behind it.

Usage: air.py INTERFACE BSSID HOST-MAC HOST-IP REPORT

Answers the host's ARP and pings, sends each broadcast of a station to all, as
access points do, and beacons.  Writes what it heard into REPORT.
"""
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

TUNSETIFF, TUNSETLINK = 0x400454ca, 0x400454cd
IFF_TAP, IFF_NO_PI = 2, 0x1000
RADIOTAP_LINK = 803
ALL = b'\xff' * 6

name, bssid, mac, ip, report = sys.argv[1:]
bssid, mac = (bytes.fromhex(m.replace(':', '')) for m in (bssid, mac))
ip = socket.inet_aton(ip)
heard = {'arp': 0, 'echo': 0, 'broadcast': 0, 'other': 0, 'headers': []}
sequence = 0


def open_tap():
    fd = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(fd, TUNSETIFF,
                struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI))
    fcntl.ioctl(fd, TUNSETLINK, RADIOTAP_LINK)
    subprocess.run(['ip', 'link', 'set', name, 'up'], check=True)
    return fd


def send(fd, dst, src, payload, control=0x08, flags=2):
    global sequence
    sequence = (sequence + 1) % 4096
    os.write(fd, struct.pack('<BBHIB', 0, 0, 9, 2, 0) + struct.pack(
        '<BBH', control, flags, 0) + dst + bssid + src + struct.pack(
            '<H', sequence << 4) + payload)


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def answer(fd, src, payload):
    kind, data = payload[6:8], payload[8:]
    if kind == b'\x08\x06' and data[24:28] == ip and data[7] == 1:
        heard['arp'] += 1
        send(fd, src, mac, payload[:8] + data[:6] + b'\0\2' + mac + ip +
             data[8:18])
    elif kind == b'\x08\x00' and data[16:20] == ip and data[20] == 8:
        heard['echo'] += 1
        total = struct.unpack('!H', data[2:4])[0]
        echo = b'\0' + data[21:22] + b'\0\0' + data[24:total]
        padded = echo + b'\0' * (len(echo) % 2)
        echo = echo[:2] + struct.pack('!H', checksum(padded)) + echo[4:]
        send(fd, src, mac, payload[:8] + data[:12] + data[16:20] +
             data[12:16] + echo)
    else:
        heard['other'] += 1


def hear(fd, frame):
    radiotap = struct.unpack('<H', frame[2:4])[0]
    air = frame[radiotap:]
    heard['headers'] = [frame[:radiotap].hex(), air[:2].hex()]
    one, two, three = air[4:10], air[10:16], air[16:22]
    if air[:2] != b'\x08\x01' or one != bssid:
        heard['other'] += 1
        return
    if three[0] & 1:
        heard['broadcast'] += 1
        send(fd, three, two, air[24:])
    answer(fd, two, air[24:])


def main():
    fd = open_tap()
    print('up', flush=True)
    beat = 0
    while True:
        if select.select([fd], [], [], 0.1)[0]:
            hear(fd, os.read(fd, 65536))
        if time.monotonic() > beat:
            beat = time.monotonic() + 0.1
            send(fd, ALL, bssid, bytes(8) + b'd\0\1\0\0\4test', 0x80, 0)
            send(fd, ALL, mac, bytes(40), 0x08, 0x42)  # encrypted
        with open(report + '.new', 'w') as out:
            json.dump(heard, out)
        os.rename(report + '.new', report)


main()
