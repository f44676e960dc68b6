#!/bin/bash
# What lanyard explain says of a frame is what becomes of it: the same frames are
# explained, and then sent by a TAP port, with a capture at every port.
. "$(dirname "$0")/tap.sh"
need_root explain
need explain python3
[ -w /dev/net/tun ] || skip_all "explain: needs /dev/net/tun"
namespace box || skip_all "explain: network namespaces are not allowed here"
frames=tests/labs/switch/frames.py

cat >"$tmp/explain.yaml" <<Y
lab: explain
switches:
  lan: {uplinks: {far: {trunk: "10,20"}}}
  far:
  wan:
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24, vlan: 10}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
hosts:
  near: {switch: lan, address: 10.0.0.2/24, gateway: 10.0.0.1, vlan: 10}
  shy: {switch: lan, address: 10.0.0.3/24, vlan: 10, isolated: true}
  blue: {switch: far, address: 10.0.0.4/24, vlan: 20}
  red: {switch: far, address: 10.0.0.5/24, gateway: 10.0.0.1, vlan: 10, max-macs: 1}
  server: {switch: wan, address: 203.0.113.10/24, gateway: 203.0.113.1}
plugs:
  box: {switch: lan, locator: "tap:lye0", vlan: 10, isolated: true,
        max-packet: 1400}
Y
ip netns exec "$ns" "$LANYARD" run "$tmp/explain.yaml" >"$tmp/log" 2>&1 &
pids="$pids $!"
until_true 10 ip -n "$ns" link show lye0
ip netns exec "$ns" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 \
    net.ipv6.conf.lye0.disable_ipv6=1
ip -n "$ns" link set lye0 arp off up
until_true 10 "$LANYARD" show explain ports
ports="box.eth0 lan.box.eth0 lan.near.eth0 near.eth0 lan.shy.eth0 shy.eth0
    lan.far far.lan far.blue.eth0 blue.eth0 far.red.eth0 red.eth0
    lan.gw.inside gw.inside gw.outside wan.gw.outside wan.server.eth0 server.eth0"

# compare NAME DESCRIPTION: explains it, sends it, compares
compare() {
	name=$1 text=$2
	"$LANYARD" explain --json explain box.eth0 "$text" >"$tmp/told.json" 2>"$tmp/err"
	if [ $? != 0 ]; then
		not_ok "$name: explain"
		note <"$tmp/err"
		return
	fi
	python3 $frames explained "$tmp/told.json" >"$tmp/told"
	# The bytes are those of the description.
	hex=${text#hex:}
	"$LANYARD" capture explain $ports -w "$tmp/real.pcapng" >"$tmp/cap" 2>&1 &
	capture=$!
	until_true 5 grep -q capturing "$tmp/cap"
	ip netns exec "$ns" python3 $frames send lye0 "$hex"
	sleep 0.3
	kill -INT $capture
	wait $capture
	python3 $frames fates "$tmp/real.pcapng" >"$tmp/real"
	# What a frame meets on its way is in order; two captures of the same
	# burst at one port may differ in theirs.
	sort "$tmp/told" >"$tmp/told.sorted"
	sort "$tmp/real" >"$tmp/real.sorted"
	[ -s "$tmp/told" ] && cmp -s "$tmp/told.sorted" "$tmp/real.sorted"
	is $? "$name: $(wc -l <"$tmp/told") verdicts, the same told and met"
	diff "$tmp/told.sorted" "$tmp/real.sorted" | note
}

# hexes of frames: dst src type payload
me=020000000099
ones=ffffffffffff
arp_who() { # WHO TELL
	printf '%s%s08060001080006040001%s0a0000%02x0000000000000a0000%02x' \
	    $ones $me $me "$2" "$1"
}
pad() { printf '%s%s' "$1" "$(printf '%0*d' $((120 - ${#1})) 0)"; }

compare "ARP for the router" "hex:$(pad "$(arp_who 1 50)")"
compare "ARP for the router, known by now" "hex:$(pad "$(arp_who 1 50)")"
compare "ARP for an isolated host" "hex:$(pad "$(arp_who 3 50)")"
compare "ARP for a host of another VLAN" "hex:$(pad "$(arp_who 4 50)")"
compare "ARP for a host on the other switch" "hex:$(pad "$(arp_who 5 50)")"
compare "a reserved group address" "hex:$(pad 0180c200000e${me}88cc)"
compare "a frame with a tag" "hex:$(pad ${ones}${me}8100000a88b6)"
compare "a frame from a group" "hex:$(pad ${ones}0300000000998806)"
# The addresses of others, as they answered.
router=$("$LANYARD" show explain macs --json | python3 -c '
import json, sys
for r in json.load(sys.stdin):
    if r["port"] == "lan.gw.inside": print(r["mac"].replace(":", ""))' | head -n 1)
[ -n "$router" ]
is $? "the switch has learned the router's address"
ip4() { # TTL PROTOCOL SRC DST PAYLOAD-HEX: with its checksum
	python3 - "$@" <<'P'
import struct, socket, sys
ttl, proto, src, dst, payload = sys.argv[1:]
data = bytes.fromhex(payload)
h = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(data), 7, 0, int(ttl),
                int(proto), 0, socket.inet_aton(src), socket.inet_aton(dst))
s = sum(struct.unpack(">10H", h))
s = (s & 0xffff) + (s >> 16)
s = (s & 0xffff) + (s >> 16)
print((h[:10] + struct.pack(">H", ~s & 0xffff) + h[12:] + data).hex())
P
}
ping=0800f7fd00010001
compare "a ping through the NAT" \
    "hex:$(pad "$router${me}0800$(ip4 64 1 10.0.0.50 203.0.113.10 $ping)")"
compare "the same, by the entry that there is" \
    "hex:$(pad "$router${me}0800$(ip4 64 1 10.0.0.50 203.0.113.10 $ping)")"
compare "a ping whose time runs out" \
    "hex:$(pad "$router${me}0800$(ip4 1 1 10.0.0.50 203.0.113.10 $ping)")"
compare "a packet to nowhere" \
    "hex:$(pad "$router${me}0800$(ip4 64 1 10.0.0.50 8.8.8.8 $ping)")"
compare "a packet with a wrong sum" \
    "hex:$(pad "$router${me}08004500001c0007000040010000${ping}")"
compare "a protocol that NAT cannot translate" \
    "hex:$(pad "$router${me}0800$(ip4 64 47 10.0.0.50 203.0.113.10 00)")"
compare "a packet beyond the port's size" \
    "hex:$router${me}0800$(ip4 64 17 10.0.0.50 203.0.113.10 "$(printf '%02900d' 0)")"
# In words, too, and nothing is sent by it.
before=$("$LANYARD" show explain ports --json)
"$LANYARD" explain explain near.eth0 'icmp 10.0.0.2 > 203.0.113.10 ttl 3' \
    >"$tmp/words"
is $? "explain of a description"
grep -q 'gw: translated by a new NAT entry' "$tmp/words" &&
    grep -q 'server: delivered to this node itself' "$tmp/words"
is $? "it is told in words, up to its end"
note <"$tmp/words"
[ "$before" = "$("$LANYARD" show explain ports --json)" ]
is $? "no port has counted it"
"$LANYARD" explain explain near.eth0 'icmp 10.0.0.2 > 203.0.113.10 tll 3' \
    >"$tmp/words" 2>&1
[ $? = 2 ] && grep -q 'did you mean "ttl"' "$tmp/words"
is $? "a slip of the pen is refused"
