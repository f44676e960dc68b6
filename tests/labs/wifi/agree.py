#!/usr/bin/env python3
"""Compares what lanyard made of a WiFi capture with what tshark decodes of it.

Usage: agree.py AIR OUT BSSID

AIR is the capture that was played; OUT what lanyard captured at air.radio and
air.eth0.  Each frame of AIR must have the verdict that tshark's fields ask for;
the Ethernet frames must be those that tshark sees in them, in their order.
"""
import subprocess
import sys

AIR = ('wlan.fc.type wlan.fc.subtype wlan.bssid wlan.ra wlan.ta wlan.fc.tods '
       'wlan.fc.fromds wlan.fc.retry wlan.fc.protected wlan.fc.frag wlan.frag '
       'wlan.seq wlan.qos.tid wlan.fcs.status wlan.da wlan.sa llc.type '
       'wlan_aggregate.a_mdsu.subframe').split()
CONTENT = 'data.data arp.src.proto_ipv4 ipv6.src stp.protocol'.split()
OUT = 'frame.interface_name frame.comment eth.dst eth.src eth.type'.split()


def tshark(path, fields):
    args = ['tshark', '-r', path, '-n', '-o', 'wlan.check_checksum:TRUE',
            '-o', 'wlan.defragment:FALSE', '-T', 'fields']
    for field in fields:
        args += ['-e', field]
    out = subprocess.run(args, check=True, capture_output=True, text=True)
    return [dict(zip(fields, line.split('\t')))
            for line in out.stdout.split('\n')[:-1]]


def some(row, field):
    return [v for v in row[field].split(',') if v != '']


def verdict(row, bssid, heard):
    if row['wlan.fcs.status'] == '0':
        return 'wifi-fcs'
    if row['wlan.fc.type'] == '0':
        return 'wifi-management'
    if row['wlan.fc.type'] == '1':
        return 'wifi-control'
    both = row['wlan.fc.tods'] == row['wlan.fc.fromds'] == '1'
    if int(row['wlan.fc.subtype']) & 4:
        return 'wifi-empty'
    if row['wlan.fc.protected'] == '1':
        return 'wifi-protected'
    if row['wlan.fc.frag'] == '1' or row['wlan.frag'] != '0':
        return 'wifi-fragment'
    ours = [row['wlan.ra'], row['wlan.ta']] if both else [row['wlan.bssid']]
    if bssid not in ours:
        return 'wifi-bssid'
    key = row['wlan.ta'], row['wlan.qos.tid'], row['wlan.seq']
    if row['wlan.fc.retry'] == '1' and key in heard:
        return 'wifi-retry'
    heard.add(key)
    to_ap = row['wlan.fc.tods'] == '1' and not both
    group = int(row['wlan.da'].split(',')[0][1], 16) & 1
    if to_ap and group:
        return 'wifi-relayed'
    return 'wifi-in'


def contents(row, n):
    """What is in a frame, the same for both kinds of it."""
    out = []
    for field in CONTENT:
        values = some(row, field)
        out += [(field, v) for v in values[-n:]]
    return out


def main():
    air, bssid = tshark(sys.argv[1], AIR + CONTENT), sys.argv[3]
    out = tshark(sys.argv[2], OUT + CONTENT)
    radio, cable = ([row for row in out if row['frame.interface_name'] == name]
                    for name in ('air.radio', 'air.eth0'))
    heard, wrong, verdicts, brought = set(), 0, {}, 0
    if len(radio) != len(air):
        sys.exit(f'{len(radio)} frames of {len(air)} were captured')
    for number, row in enumerate(air, 1):
        want = verdict(row, bssid, heard)
        verdicts[want] = verdicts.get(want, 0) + 1
        comment = radio[number - 1]['frame.comment']
        said = (comment.split('(')[1].split(')')[0] if 'dropped (' in comment
                else 'wifi-in')
        if said != want:
            print(f'frame {number}: {said}, tshark would have {want}')
            wrong += 1
        n = 0
        if want == 'wifi-in':
            n = len(some(row, 'wlan_aggregate.a_mdsu.subframe')) or 1
        ethernet = cable[brought:brought + n]
        brought += n
        expected = list(zip(some(row, 'wlan.da')[-n:],
                            some(row, 'wlan.sa')[-n:])) if n else []
        got = [(e['eth.dst'], e['eth.src']) for e in ethernet]
        kinds = [int(v, 16) for v in some(row, 'llc.type')][-n:] if n else []
        types = [int(e['eth.type'], 16) for e in ethernet if e['eth.type']]
        inside = [c for e in ethernet for c in contents(e, 1)]
        if got != expected or types != kinds or (
                n and sorted(inside) != sorted(contents(row, n))):
            print(f'frame {number}: {got} {types} {inside}, tshark has '
                  f'{expected} {kinds} {contents(row, n)}')
            wrong += 1
    if brought != len(cable):
        print(f'{len(cable)} Ethernet frames, tshark has {brought}')
        wrong += 1
    print(f'{len(air)} frames, {brought} brought in, verdicts:',
          ', '.join(f'{v} {n}' for v, n in sorted(verdicts.items())))
    sys.exit(wrong > 0)


main()
