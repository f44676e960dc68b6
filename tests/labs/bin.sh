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
  - {at: [all, lan, wan, bin], file: nodes.pcapng}
show: [drops, cables, ports]
EOF
books=$PWD/tests/labs/books.py
make -s BUILD="$BUILD" "$BUILD/lanyard.lua" && cp "$BUILD/lanyard.lua" "$tmp"
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

# Datagram by datagram, by the words for programs: the same sums.
"$books" nodes.pcapng >sums 2>&1
is $? "each datagram and each copy of it is delivered once or in the bin once"
note <sums
python3 - <<'EOF'
import re
words = open('sums').read().split()
books = dict(zip(words[:12:2], map(int, words[1:12:2])))
rows = re.search(r'drops:.*?\n(.*?)\n\n', open('log').read(), re.S).group(1)
# What a host could not send: its next hop was not known yet.
unsent = sum(int(re.search(r'arp-\S+ +(\d+)', r).group(1))
             for r in rows.split('\n') if re.match(r' +[abc] +arp-', r))
assert books['offered'] + unsent == 100000, (books, unsent)
assert books['held'] == 0 and books['offered'] + books['twice'] + \
    books['flooded'] == books['delivered'] + books['binned'], books
EOF
is $? "of 100,000 datagrams each is accounted for"

# lanyard.lua, which has only the comments, says what the words for programs say.
lua_agrees() {
	tshark -X lua_script:lanyard.lua -r "$1" -c 20000 -T fields \
	    -E separator='|' -e lanyard.node -e lanyard.verdict \
	    -e lanyard.entry -e lanyard.cause.verdict 2>/dev/null >lua
	python3 - "$1" "${books%/*}" <<'EOF'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[2])
import books
seen = set()
for line, (name, out, _, words) in zip(open('lua'), books.frames(sys.argv[1])):
    node, verdict, entry, cause = line.rstrip('\n').split('|')
    said = [node.replace(' ', '_'), verdict, entry, cause]
    want = [words.get(k, '') for k in
            ('node', 'verdict', 'entry', 'cause.verdict')]
    assert said == want or not words.get('verdict'), (line, words)
    seen.add(verdict)
print(len(seen), 'verdicts')
assert len(seen) > 5
EOF
}
if tshark -v 2>/dev/null | tr '\n' ' ' | grep -q 'with Lua'; then
	lua_agrees nodes.pcapng >agrees 2>&1
	is $? "lanyard.lua gives tshark the verdicts as fields"
	note <agrees
	n=$(tshark -X lua_script:lanyard.lua -r nodes.pcapng -c 20000 -Y \
	    'lanyard.verdict == "nat-unsolicited" && lanyard.port == "gw.outside"' \
	    2>/dev/null | wc -l)
	[ "$n" -gt 1000 ]
	is $? "by which one can filter: $n refused by the NAT of 20000"
else
	skip "lanyard.lua: this tshark has no Lua"
fi

# What is on its way at the end is in the books as held; a fragment whose others
# do not come is in the bin when its time is over.
cat >held.yaml <<'EOF'
#   a, slow, cut ---- lan ---- gw ---- wan ---- b
lab: held
switches: {lan: , wan: }
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
hosts:
  a: {switch: lan, address: 10.0.0.2/24, gateway: 10.0.0.1,
      send: {to: 203.0.113.99, protocol: udp, port: 9, every: 1ms, count: 2,
          start: 9s}}
  slow: {switch: lan, address: 10.0.0.3/24, gateway: 10.0.0.1, delay: 1s,
      send: {to: 203.0.113.2, protocol: udp, port: 9, every: 1s, count: 12,
          start: 1500ms}}
  b: {switch: wan, address: 203.0.113.2/24}
plugs:
  cut: {switch: lan, locator: "pcap:fragment.pcap"}
captures:
  - {at: [all, lan, wan, bin], file: held.pcapng}
show: [drops, cables, ports]
EOF
fragment() { # the second one of a datagram, to that address
	python3 - "$1" <<'EOF'
import struct, sys
def checksum(b):
    s = sum(struct.unpack(f'>{len(b) // 2}H', b))
    return ~((s & 0xffff) + (s >> 16)) & 0xffff
ip = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 84, 7, 0x2008, 64, 17, 0,
                 bytes([10, 0, 0, 9]), bytes([203, 0, 113, 2]))
ip = ip[:10] + struct.pack('>H', checksum(ip)) + ip[12:]
frame = bytes.fromhex(sys.argv[1].replace(':', '')) + \
    bytes.fromhex('0200000000090800') + ip + bytes(64)
with open('fragment.pcap', 'wb') as f:
    f.write(struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
    f.write(struct.pack('<IIII', 1, 0, len(frame), len(frame)) + frame)
EOF
}
fragment ff:ff:ff:ff:ff:ff
gw=$("$LANYARD" run held.yaml --virtual-time --for 1s 2>/dev/null |
    sed -n 's/^ *gw.inside .*10.0.0.1.24, \([0-9a-f:]*\).*/\1/p')
fragment "$gw"
"$LANYARD" run held.yaml --virtual-time --for 10500ms >log 2>&1 &&
    grep -q '^ *gw  *arp-queued  *2 ' log &&
    grep -q '^ *gw  *fragment-held  *1 ' log &&
    grep -q '^ *cable slow.eth0 out  *cable-held  *1 ' log &&
    grep -A4 '^frames that are still on their way' log | grep -q fragment-held
is $? "frames that are held at the end are told, and for what they wait"
"$books" held.pcapng >sums 2>&1 &&
    grep -q '^offered [0-9]* twice 0 flooded .* held 4$' sums
is $? "delivered, in the bin, and held make what was offered"
note <sums
"$LANYARD" run held.yaml --virtual-time --for 60s >log 2>&1
"$books" held.pcapng >sums 2>&1 &&
    grep -q ' held 0$' sums &&
    tshark -r held.pcapng -T fields -e frame.interface_name -e frame.comment \
	2>/dev/null | grep -q '^bin.*gw.inside: gw: dropped (fragment)'
is $? "a fragment whose others did not come is in the bin in the end"
note <sums
