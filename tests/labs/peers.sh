#!/bin/bash
# A kernel behind a TAP port gets its address from our DHCP server by udhcpc and
# moves 100 MB each way by iperf3 through our NAT to a kernel behind another.
#
#   client ── tap ── lan ── gw ── wan ── tap ── server
. "$(dirname "$0")/tap.sh"
need_root peers
for program in ip udhcpc iperf3 ping; do need peers $program; done
[ -w /dev/net/tun ] || skip_all "peers: needs /dev/net/tun"

namespace router || skip_all "peers: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns

cat >"$tmp/peers.yaml" <<Y
lab: peers
switches:
  lan:
  wan:
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
plugs:
  client: {switch: lan, locator: "tap:lyc0"}
  server: {switch: wan, locator: "tap:lys0"}
captures:
  - {at: [gw.outside], file: $tmp/outside.pcapng, filter: "icmp or arp"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/peers.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyc0
until_true 10 ip -n "$router" link show lys0
ip -n "$router" link set lyc0 netns "$client"
ip -n "$router" link set lys0 netns "$server"
ip -n "$client" link set lyc0 up
ip -n "$server" link set lys0 up
ip -n "$server" addr add 203.0.113.10/24 dev lys0

cat >"$tmp/lease" <<'S'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "${router%% *}"
S
chmod +x "$tmp/lease"
ip netns exec "$client" udhcpc -i lyc0 -n -q -f -t 5 -s "$tmp/lease" \
    >"$tmp/udhcpc" 2>&1
is $? "udhcpc gets a lease from our DHCP server"
note <"$tmp/udhcpc"
ip -n "$client" -4 addr show lyc0 | grep -q 'inet 10\.0\.0\.1[0-9][0-9]/24'
is $? "the leased address is from the pool"
ip netns exec "$client" ping -c 3 -i 0.2 -W 2 203.0.113.10 >"$tmp/ping" 2>&1
is $? "ping crosses the NAT"
note <"$tmp/ping"
ip netns exec "$client" ping -c 2 -i 0.2 -W 2 -s 3000 203.0.113.10 \
    >"$tmp/ping" 2>&1
is $? "fragmented pings cross the NAT"
note <"$tmp/ping"

ip netns exec "$server" iperf3 -s -B 203.0.113.10 >"$tmp/iperf-server" 2>&1 &
pids="$pids $!"
sleep 0.5
for way in "" -R; do
	ip netns exec "$client" iperf3 -c 203.0.113.10 -n 100M $way --json \
	    >"$tmp/iperf" 2>&1
	code=$?
	sum=$(python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert "error" not in r, r["error"]
e = r["end"]
n, s = e["sum_received"]["bytes"], e["sum_received"]["seconds"]
# iperf3 stops when the sender has sent all of it; what is in flight then is
# not counted by the receiver.
assert e["sum_sent"]["bytes"] >= 100 * 2**20 and n >= 95 * 2**20, (n, e)
print("%.2f Gbit/s, %d retransmits" % (n * 8 / s / 1e9,
    e["sum_sent"].get("retransmits", 0)))' "$tmp/iperf" 2>"$tmp/why") ||
		code=1
	is $code "iperf3 ${way:+$way }moves 100 MB through the NAT"
	if [ $code = 0 ]; then
		figure "kernel to kernel through TAP, switch, NAT, TAP" \
		    "${way:-}: $sum"
	else
		tail -n 20 "$tmp/iperf" "$tmp/why" | note
	fi
done

# The same bytes arrive as were sent, whatever TCP did to get them there.
head -c 20000000 /dev/urandom >"$tmp/sent"
ip netns exec "$server" python3 -c '
import socket, sys
s = socket.create_server(("203.0.113.10", 5000))
c, _ = s.accept()
with open(sys.argv[1], "wb") as f:
    while data := c.recv(65536):
        f.write(data)' "$tmp/received" &
receiver=$!
sleep 0.5
ip netns exec "$client" python3 -c '
import socket, sys
c = socket.create_connection(("203.0.113.10", 5000))
c.sendall(open(sys.argv[1], "rb").read())
c.shutdown(socket.SHUT_WR)' "$tmp/sent"
wait $receiver
cmp "$tmp/sent" "$tmp/received" >/dev/null
is $? "20 MB arrive unchanged"

# Nobody outside reaches in.
ip -n "$server" route add 10.0.0.0/24 via 203.0.113.1
! ip netns exec "$server" ping -c 1 -W 1 10.0.0.100 >/dev/null 2>&1
is $? "the inside cannot be pinged from outside"
"$LANYARD" show peers nat >"$tmp/nat" 2>&1
grep -q '203\.0\.113\.10:5201' "$tmp/nat"
is $? "show nat has the iperf3 connection with its remote end"
head -n 6 "$tmp/nat" | note
"$LANYARD" show peers refusals >"$tmp/refusals" 2>&1
grep -q 'nat-unsolicited' "$tmp/refusals"
is $? "show refusals names the refused ping"

kill -INT $lab
wait $lab
is $? "the lab ends with status 0 on Ctrl-C"
note <"$tmp/log"
