#!/bin/bash
# Everything that is offered arrives or is in the bin: by the capture, by the
# tables, and by what was sent.  A cable that loses, duplicates and corrupts, a
# VLAN that does not pass, and a NAT that refuses.
. "$(dirname "$0")/tap.sh"
need bin tshark python3
cat >"$tmp/bin.yaml" <<'EOF'
#   a ~~~~ lan ---- gw ---- wan ---- b
#          c (VLAN 7 only)
lab: bin
switches:
  lan: {}
  wan: {}
routers:
  gw:
    ports:
      inside: {switch: lan, vlan: 1, address: 10.0.0.1/24}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
hosts:
  a: {switch: lan, vlan: 1, address: 10.0.0.2/24, gateway: 10.0.0.1, loss: 3%,
      duplicate: 2%, corrupt: 1%, reorder: 1%, delay: 2ms,
      send: {to: 203.0.113.2, protocol: udp, port: 9, every: 100us,
          count: 50000, start: 1s}}
  b: {switch: wan, address: 203.0.113.2/24,
      send: {to: 203.0.113.1, protocol: udp, port: 77, every: 100us,
          count: 49998, start: 1s}}
  c: {switch: lan, vlan: 7, address: 10.0.0.3/24,
      send: {to: 10.0.0.1, protocol: udp, port: 7, every: 1s, count: 2,
          start: 1s}}
captures:
  - {at: [all, bin], file: bin.pcapng}
show: [drops, cables, ports]
EOF
cd "$tmp" || exit 1
"$LANYARD" run bin.yaml --virtual-time --for 10s >log 2>&1
is $? "100,000 frames are offered"
grep -A14 '^drops' log | note
tshark -r bin.pcapng -T fields -E separator='|' -e frame.interface_name \
    -e frame.packet_flags_direction -e frame.comment 2>/dev/null >frames
python3 - <<'EOF'
import collections, re
log = open('log').read()
bin_, points = collections.Counter(), collections.Counter()
for line in open('frames'):
    name, way, comment = line.rstrip('\n').split('|', 2)
    if name == 'bin':
        m = re.search(r'dropped \(([a-z0-9-]+)\)', comment)
        bin_[m.group(1) if m else 'deed'] += 1
    else:
        points[name, int(way, 16) & 3] += 1
def table(name):
    rows = re.search(name + r':.*?\n(.*?)\n\n', log, re.S).group(1)
    return [l.split() for l in rows.split('\n')[1:]]
drops = collections.Counter()
for row in table('drops'):
    # "cable a.eth0 out" is three words
    at = row.index('out') + 1 if row[0] == 'cable' else 1
    if row[0] not in 'abc':
        drops[row[at]] += int(row[at + 1])
    elif not row[at].startswith('arp-'):  # a host's own: never sent
        drops[row[at]] += int(row[at + 1])
binned = collections.Counter({k: v for k, v in bin_.items() if k != 'deed'})
assert binned == drops, (binned, drops)
cable = next(r for r in table('cables') if r[0] == 'a.eth0')
entered, left, dropped, twice = map(int, cable[-6:-2])
assert points['a.eth0', 2] == entered == left + dropped - twice, cable
assert binned['cable-loss'] == dropped > 1000
assert twice > 500
# What goes in at one end of the lab comes out at the other, or is in the bin.
ports = {r[0]: r for r in table('ports')}
print('offered', points['a.eth0', 2] + points['b.eth0', 2] +
    points['c.eth0', 2], 'duplicated', twice, 'dropped',
    sum(binned.values()), dict(binned))
EOF
is $? "each drop is in the bin once, with its reason; the cable's books agree"
grep -q '^bin|.*gw.outside: gw: dropped (nat-unsolicited)' frames
is $? "and says at which port it was"
