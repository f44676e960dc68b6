#!/usr/bin/env python3
"""Writes a capture of WiFi frames, one or more of each kind.

Usage: frames.py FILE [LINKTYPE]      127: with radiotap headers, 105: without

The BSS is that of 02:00:00:00:00:a0.  Payloads are all different.
"""
import struct
import sys
import zlib

AP, STA, FAR, AP2 = (bytes.fromhex('0200000000' + x)
                     for x in ('a0', '51', 'fa', 'a2'))
STA2, OTHER = (bytes.fromhex('0200000000' + x) for x in ('52', 'ee'))
ALL = b'\xff' * 6
GROUP = bytes.fromhex('01005e0000fb')
TO, FROM, MORE, RETRY, PROTECTED, ORDER = 1, 2, 4, 8, 0x40, 0x80
RFC1042, TUNNEL = b'\xaa\xaa\3\0\0\0', b'\xaa\xaa\3\0\0\xf8'

serial = 0


def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def datagram(size=20):
    """UDP in IPv4, whose data nothing else has."""
    global serial
    serial += 1
    data = (b'frame %04d ' % serial).ljust(size, b'.')
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28 + len(data), serial, 0, 64,
                       17, 0, bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2]))
    head = head[:10] + struct.pack('!H', checksum(head)) + head[12:]
    return head + struct.pack('!HHHH', 7000, 7001, 8 + len(data), 0) + data


def snap(kind=0x0800, data=None, prefix=RFC1042):
    return prefix + struct.pack('!H', kind) + (
        datagram() if data is None else data)


def frame(control, flags, one, two, three, body, seq, qos=None, four=b'',
          extra=b'', fragment=0):
    head = struct.pack('<BBH', control, flags, 0) + one + two + three
    head += struct.pack('<H', seq << 4 | fragment) + four
    if qos is not None:
        head += struct.pack('<H', qos)
    return head + extra + body


def subframes(*parts):
    out = b''
    for dst, src, body in parts:
        out = out.ljust((len(out) + 3) & ~3, b'\0')
        out += dst + src + struct.pack('!H', len(body)) + body
    return out


def radiotap(fcs=False, padded=False, bad=False, rich=False):
    flags = 0x10 * fcs | 0x20 * padded | 0x40 * bad
    if not rich:
        return struct.pack('<BBHIB', 0, 0, 9, 2, flags)
    # TSFT, flags, rate, channel, signal, antenna; and a second word, empty
    return struct.pack('<BBHIIIQBBHHbB', 0, 0, 32, 0x8000082f, 0, 0, 123456,
                       flags, 12, 2437, 0xa0, -48, 1)


def kinds():
    """(802.11 frame, radiotap options) of each."""
    seq = iter(range(100, 4000))
    n = lambda: next(seq)
    down = lambda **k: frame(0x08, FROM, STA, AP, FAR, snap(), n(), **k)
    yield down(), {}
    yield down(), {'rich': True}
    yield down(), {'fcs': True}
    yield down(), {'fcs': True, 'rich': True}
    yield down(), {'fcs': True, 'corrupt': True}
    yield down(), {'fcs': True, 'bad': True}
    # the four ways of addresses
    yield frame(0x08, TO, AP, STA, FAR, snap(), n()), {}
    yield frame(0x08, TO, AP, STA, ALL, snap(), n()), {}
    yield frame(0x08, FROM, ALL, AP, STA, snap(), n()), {}
    yield frame(0x08, FROM, GROUP, AP, FAR, snap(), n()), {}
    yield frame(0x08, 0, STA, STA2, AP, snap(), n()), {}
    yield frame(0x08, TO | FROM, AP2, AP, FAR, snap(), n(), four=STA), {}
    yield frame(0x08, TO | FROM, AP, AP2, STA, snap(), n(), four=FAR), {}
    yield frame(0x08, TO | FROM, AP2, OTHER, STA, snap(), n(), four=FAR), {}
    # QoS, HT control, order without QoS, padding
    yield frame(0x88, FROM, STA, AP, FAR, snap(), n(), qos=5), {}
    yield frame(0x88, TO, AP, STA, FAR, snap(), n(), qos=0), {}
    yield frame(0x88, FROM | ORDER, STA, AP, FAR, snap(), n(), qos=0,
                extra=b'\3\0\0\0'), {}
    yield frame(0x08, FROM | ORDER, STA, AP, FAR, snap(), n()), {}
    yield frame(0x88, FROM, STA, AP, FAR, snap(), n(), qos=0,
                extra=b'\0\0'), {'padded': True}
    yield frame(0x08, FROM, STA, AP, FAR, snap(), n()), {'padded': True}
    yield frame(0x88, TO | FROM, AP2, AP, FAR, snap(), n(), qos=1,
                four=STA), {'padded': True}
    yield frame(0x18, FROM, STA, AP, FAR, snap(), n()), {}  # + CF-Ack
    # protocols
    yield frame(0x08, FROM, ALL, AP, FAR, snap(0x0806, struct.pack(
        '!HHBBH', 1, 0x800, 6, 4, 1) + FAR + b'\xc0\0\2\1' + bytes(6) +
        b'\xc0\0\2\2'), n()), {}
    yield frame(0x08, FROM, STA, AP, FAR, snap(0x86dd, struct.pack(
        '!IHBB', 6 << 28, 0, 59, 64) + bytes(15) + b'\1' + bytes(15) +
        b'\2'), n()), {}
    yield frame(0x08, FROM, STA, AP, FAR, snap(0x80f3, b'\0\1' * 14,
                                               TUNNEL), n()), {}
    yield frame(0x08, FROM, STA, AP, FAR, snap(0x88b5, b'test'), n()), {}
    yield frame(0x08, FROM, ALL, AP, FAR, b'\x42\x42\3' + bytes(35), n()), {}
    # aggregates
    yield frame(0x88, FROM, STA, AP, AP, subframes(
        (STA, FAR, snap()), (STA, OTHER, snap(data=datagram(33))),
        (STA2, FAR, snap())), n(), qos=0x80), {}
    yield frame(0x88, FROM, STA, AP, AP, subframes((STA, FAR, snap())), n(),
                qos=0x80), {'fcs': True}
    yield frame(0x88, TO, AP, STA, AP, subframes((FAR, STA, snap()),
                                                 (OTHER, STA, snap())),
                n(), qos=0x83), {}
    yield frame(0x88, TO | FROM, AP2, AP, AP, subframes((FAR, STA, snap())),
                n(), qos=0x80, four=AP), {}
    # sent again: heard before, and not
    for qos in None, 5:
        again = n()
        body = snap()
        control = 0x08 if qos is None else 0x88
        for flags in FROM, FROM | RETRY, FROM | RETRY:
            yield frame(control, flags, STA, AP, FAR, body, again,
                        qos=qos), {}
    missed = n()
    yield frame(0x08, FROM | RETRY, STA, AP, FAR, snap(), missed), {}
    # what brings nothing
    yield frame(0x08, FROM | PROTECTED, STA, AP, FAR, bytes(40), n()), {}
    yield frame(0x88, TO | PROTECTED, AP, STA, FAR, bytes(40), n(), qos=0), {}
    yield frame(0x48, TO, AP, STA, AP, b'', n()), {}
    yield frame(0xc8, TO, AP, STA, AP, b'', n(), qos=0), {}
    yield frame(0x08, FROM | MORE, STA, AP, FAR, snap(), n()), {}
    yield frame(0x08, FROM, STA, AP, FAR, snap(), n(), fragment=1), {}
    yield frame(0x08, FROM, STA, OTHER, FAR, snap(), n()), {}
    yield frame(0x08, TO, OTHER, STA, FAR, snap(), n()), {}
    beacon = bytes(8) + struct.pack('<HH', 100, 1) + b'\0\4test'
    yield frame(0x80, 0, ALL, AP, AP, beacon, n()), {}
    yield frame(0x40, 0, ALL, STA, ALL, b'\0\0', n()), {}
    yield struct.pack('<BBH', 0xd4, 0, 0) + STA, {}
    yield struct.pack('<BBH', 0xb4, 0, 99) + AP + STA, {}
    yield frame(0x08, FROM, STA, AP, FAR, snap(), n()), {}


def main():
    link = int(sys.argv[2]) if len(sys.argv) > 2 else 127
    with open(sys.argv[1], 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535,
                              link))
        for number, (air, options) in enumerate(kinds()):
            corrupt = options.pop('corrupt', False)
            if link == 127:
                if options.get('fcs'):
                    air += struct.pack('<I', zlib.crc32(air))
                    if corrupt or options.get('bad'):
                        air = air[:30] + bytes([air[30] ^ 1]) + air[31:]
                air = radiotap(**options) + air
            elif options.get('padded') or corrupt or options.get('bad'):
                continue  # cannot be said there
            out.write(struct.pack('<IIII', 1000, number * 1000, len(air),
                                  len(air)) + air)


main()
