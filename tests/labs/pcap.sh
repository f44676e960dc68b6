#!/bin/bash
# The tools on captures: pair, ladder, stats and diff on the NAT lab's capture,
# beside what Wireshark's tools say.
. "$(dirname "$0")/tap.sh"
need pcap tshark capinfos editcap mergecap python3
cp topologies/nat.yaml topologies/virtual.yaml "$tmp/"
cd "$tmp" || exit 1
"$LANYARD" run nat.yaml >log 2>&1
is $? "the NAT lab meets its expectations"
pcap() { "$LANYARD" pcap "$@"; }

# All points and the bin in one file: each frame has its verdict, in order of time.
mkdir all && sed 's/at: \[gw.inside, gw.outside\]/at: [all, bin]/' nat.yaml \
    >all/all.yaml && (cd all && "$LANYARD" run all.yaml >log 2>&1)
is $? "it does so with a capture of all points and the bin"
tshark -r all/nat.pcapng -T fields -e frame.interface_name -e frame.time_epoch \
    -e frame.comment 2>/dev/null >points
[ "$(cut -f1 points | sort -u | tr '\n' ' ')" = \
    "alice.eth0 bin bob.eth0 gw.inside gw.outside server.eth0 " ] &&
    ! cut -f3 points | grep -q '^$' && cut -f2 points | sort -nc
is $? "tshark names six interfaces, has a comment on each frame, and no step back"
id=$(tshark -r all/nat.pcapng -Y 'icmp.type == 8' -T fields -e icmp.ident \
    2>/dev/null | head -n 1)
pcap ladder -f "icmp[4:2] == $id or udp port 4444" all/nat.pcapng >one.txt
[ "$(grep -c 'seq 1 ' one.txt)" = 8 ] && ! grep -q ' bin ' one.txt &&
    [ "$(grep -c 'dropped: nat-unsolicited' one.txt)" = 1 ]
is $? "one ping's ladder has eight arrows, and a drop is told once"

# Every echo that crossed is paired with what it became, exactly once.
pcap pair --changed --json nat.pcapng >pairs.json
is $? "pair reads the capture"
tshark -r nat.pcapng -Y icmp -T fields -e frame.number -e frame.interface_name \
    -e icmp.type -e icmp.ident -e icmp.seq -e ip.src -e ip.dst \
    2>/dev/null >echoes
python3 - <<'EOF'
import json, sys
pairs = json.load(open('pairs.json'))
frames = [l.split('\t') for l in open('echoes').read().splitlines()]
at = {int(f[0]): f for f in frames}
icmp = [p for p in pairs if p['protocol'] == 'ICMP']
inside = [f for f in frames if f[1] == 'gw.inside' and f[2] == '8']
outside = [f for f in frames if f[1] == 'gw.outside' and f[2] == '0']
for p in icmp:
    a, b = at[p['from_frame']], at[p['to_frame']]
    assert a[1] != b[1] and a[2] == b[2] and a[4] == b[4], (a, b)
    if a[2] == '8':
        assert a[6] == b[6] and a[5].startswith('10.'), (a, b)
        assert b[5] == '203.0.113.1', b
    else:
        assert a[5] == b[5] and b[6].startswith('10.'), (a, b)
    assert p['us'] >= 0 and p['node'] == 'gw' and p['entry'] > 0, p
assert len(icmp) == len(inside) + len(outside) > 0, (len(icmp), len(inside))
assert len({p['from_frame'] for p in icmp}) == len(icmp)
assert len({p['to_frame'] for p in icmp}) == len(icmp)
EOF
is $? "each echo is paired with its translation, and tshark agrees"

# Without what we know of it, as another's capture, the pairs are the same.
editcap -F nsecpcap nat.pcapng all.pcap
python3 - <<'EOF'
import struct
sides = {'gw.inside': [], 'gw.outside': []}
d = open('nat.pcapng', 'rb').read()
o, names = 0, []
out = {n: open(n + '.pcap', 'wb') for n in sides}
for f in out.values():
    f.write(struct.pack('<IHHIIII', 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
while o < len(d):
    t, l = struct.unpack_from('<II', d, o)
    if t == 1:
        n = struct.unpack_from('<H', d, o + 18)[0]
        names.append(d[o + 20:o + 20 + n].decode())
    if t == 6:
        i, hi, lo, kept, full = struct.unpack_from('<IIIII', d, o + 8)
        ns = hi << 32 | lo
        out[names[i]].write(struct.pack('<IIII', ns // 10**9, ns % 10**9,
            kept, full) + d[o + 28:o + 28 + kept])
    o += l
EOF
pcap pair --changed --json gw.inside.pcap gw.outside.pcap >foreign.json
python3 - <<'EOF'
import json
def key(p): # which was first is not known where the stamps are the same
    ends = [p['was'], p['is']]
    return tuple(sorted(ends) if p['us'] == 0 else ends), round(p['us'], 3)
a = [p for p in json.load(open('pairs.json')) if p['protocol'] == 'ICMP']
b = [p for p in json.load(open('foreign.json')) if p['protocol'] == 'ICMP']
assert len(a) == len(b), (len(a), len(b))
assert sorted(map(key, a)) == sorted(map(key, b)), \
    set(map(key, a)) ^ set(map(key, b))
EOF
is $? "two foreign files of both sides give the same pairs, by content"

pcap pair -w linked.pcapng nat.pcapng
tshark -r linked.pcapng -Y 'icmp.type == 8' -T fields -e frame.interface_name \
    -e frame.comment 2>/dev/null >linked
n=$(grep -c '^gw.inside.*becomes frame [0-9]* at gw.outside after' linked)
[ "$n" -gt 0 ] && [ "$n" = "$(grep -c '^gw.outside.*was frame' linked)" ] &&
    pcap ladder -f icmp linked.pcapng >/dev/null &&
    [ "$(pcap pair --changed linked.pcapng | wc -l)" = \
	"$(pcap pair --changed nat.pcapng | wc -l)" ]
is $? "pair -w names each frame's pair in its comment"
head -n 1 linked | note

pcap ladder -f icmp nat.pcapng >ladder.txt
is $? "ladder draws the pings"
head -n 12 ladder.txt | note
grep -q '▶' ladder.txt && grep -q '◀' ladder.txt && grep -q '\^\^\^' ladder.txt
is $? "it has arrows both ways, and carets under what was translated"
pcap ladder -f 'udp port 4444' nat.pcapng >refused.txt &&
    grep -qE 'x│|│x' refused.txt && grep -q 'dropped: nat-unsolicited' refused.txt
is $? "a refused packet ends in a cross"
pcap ladder --format svg -f icmp nat.pcapng >ladder.svg &&
    pcap stats --format svg nat.pcapng >stats.svg &&
    python3 -c "
import xml.dom.minidom as m, re
for name in 'ladder.svg', 'stats.svg':
    root = m.parse(name).documentElement
    width, height = (int(root.getAttribute(a)) for a in ('width', 'height'))
    for t in root.getElementsByTagName('text'):
        x, y = int(t.getAttribute('x')), int(t.getAttribute('y'))
        s = ''.join(n.data if n.nodeType == n.TEXT_NODE
            else n.firstChild.data for n in t.childNodes)
        anchor = t.getAttribute('class')
        n = len(s) * 8
        left = x - n if anchor in ('time', 'y') else \
            x - n / 2 if anchor in ('x', 'column') else x
        assert 0 <= left and left + n <= width and y <= height, (s, x, y)
"
is $? "its SVG is well formed, and no text is cut off"

pcap stats --json nat.pcapng >stats.json
frames=$(capinfos -rTmc nat.pcapng 2>/dev/null | tail -1 | cut -d, -f2)
python3 - "$frames" <<'EOF'
import json, sys
s = json.load(open('stats.json'))
assert sum(p['frames'] for p in s['points']) == int(sys.argv[1])
flows = sum(f['frames_ab'] + f['frames_ba'] for f in s['flows'])
assert flows == int(sys.argv[1]), flows
assert any(f['protocol'] == 'ICMP' and f['rtt_mean_us'] for f in s['flows'])
assert {(d['from'], d['to']) for d in s['delays']} == \
    {('gw.inside', 'gw.outside'), ('gw.outside', 'gw.inside')}
EOF
is $? "stats count what capinfos counts, by point and by conversation"

# Flavours, compression, both byte orders.
pcap diff nat.pcapng nat.pcapng | grep -q "^alike: $frames frames"
is $? "diff: a capture is like itself"
editcap -F pcap nat.pcapng us.pcap
flavours=0
for flavour in $(editcap -F 2>&1 | sed -n 's/^ *\([^ ]*\) - .*/\1/p'); do
	editcap -F "$flavour" nat.pcapng x.cap 2>/dev/null || continue
	# What Wireshark itself finds damaged, as it does its own Observer files.
	if [ -n "$(editcap -T ether -F pcap x.cap x.pcap 2>&1)" ]; then
		echo "# $flavour: editcap does not read what it writes"
		continue
	fi
	flavours=$((flavours + 1))
	case $flavour in
	pcapng) pcap diff nat.pcapng x.cap >diff 2>&1 ;; # verdicts too
	*) pcap diff --ignore-times us.pcap x.cap >diff 2>&1 ;;
	esac
	is $? "editcap's $flavour is read, byte for byte"
done
[ "$flavours" -ge 15 ]
is $? "$flavours flavours in all"
editcap -F snoop nat.pcapng x.cap && head -c -30 x.cap >cut.cap &&
    ! pcap stats cut.cap >/dev/null 2>cut.err &&
    grep -q 'editcap says after [0-9]* frames: .*cut short' cut.err
is $? "another format's file that was cut off is told as well"
head -c 300 /dev/zero >x.cap
! pcap stats x.cap 2>err && grep -q 'not a capture: neither pcapng nor' err
is $? "what is no capture is refused"
gzip -k nat.pcapng && pcap diff nat.pcapng nat.pcapng.gz >/dev/null
is $? "a gzipped capture is read as it is"
pcap stats - <nat.pcapng >/dev/null
is $? "a capture is read from standard input"
mergecap -w merged.pcapng nat.pcapng gw.inside.pcap 2>/dev/null &&
    pcap stats merged.pcapng >/dev/null
is $? "what mergecap makes of ours is read"
head -c 3001 nat.pcapng >cut.pcapng
pcap stats cut.pcapng >cut.out 2>cut.err
[ $? = 2 ] && grep -q 'ends in the middle' cut.err && grep -q gw.inside cut.out
is $? "a capture that was cut off gives its whole frames, and says so"

# Two runs, and a third of another seed.
for run in 1 2 3; do
	mkdir $run
	(cd $run && "$LANYARD" run ../virtual.yaml --virtual-time \
	    --seed $((run / 3 + 1))) >log 2>&1
done
f=$(cd 1 && echo ./*.pcapng)
pcap diff "1/$f" "2/$f" | grep -q '^alike'
is $? "two virtual runs do not differ"
pcap diff "1/$f" "3/$f" >diff
[ $? = 1 ] && grep -q 'at frame [0-9]*$' diff
is $? "the first frame in which another seed differs is named"
note <diff

# A captured NAT session, played into a second lab, makes the same table.
cat >again.yaml <<'EOF'
lab: again
switches: {lan: , internet: }
routers:
  gw:
    ports:
      inside:  {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}
      outside: {switch: internet, address: 203.0.113.1/24}
    nat: {outside: outside, mapping: endpoint-independent,
        filtering: address-and-port-dependent}
plugs:
  hosts: {switch: lan,
      locator: "pcap:nat.pcapng?point=gw.inside&direction=in"}
  world: {switch: internet,
      locator: "pcap:nat.pcapng?point=gw.outside&direction=in"}
captures:
  - {at: [gw.inside, gw.outside], file: again.pcapng}
show: [nat, ports]
EOF
sed '/^show:/d' nat.yaml >first.yaml
echo 'show: [nat]' >>first.yaml
"$LANYARD" run first.yaml >first.log 2>&1
"$LANYARD" run again.yaml --virtual-time --for 4s >again.log 2>&1
is $? "the session is played into another lab, in virtual time"
table() { # the columns that do not depend on the moment
	awk '/PROTO/ { on = 1; next } /^$/ { on = 0 }
	    on { print $2, $3, $4, $5, $6, $7, $8 }' "$1" | sort
}
table first.log >table.first
table again.log >table.again
[ -s table.first ] && cmp table.first table.again
is $? "its NAT table is the first one's"
note <table.again
grep 'played' again.log | note
