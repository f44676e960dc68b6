#!/bin/bash
# What a lab file can ask of a router besides forwarding: a packet filter,
# redirects, proxy ARP and MSS clamping; by built-in hosts in virtual time, and
# by two kernels for TCP.
#
#   alice ── left ── gw ── right ── carol
. "$(dirname "$0")/tap.sh"

cat >"$tmp/filter.yaml" <<Y
lab: filter
switches:
  left:
  right:
routers:
  gw:
    ports:
      left: {switch: left, address: 10.0.0.1/24}
      right: {switch: right, address: 10.1.0.1/24}
    filter:
      - {in: left, match: udp dst port 53, do: pass}
      - {in: left, match: udp, do: reject}
      - {out: left, match: icmp and src host 10.1.0.10, do: drop}
hosts:
  alice: {switch: left, address: 10.0.0.10/24, gateway: 10.0.0.1,
          send: {to: 10.1.0.10, protocol: udp, port: 54, count: 5}}
  bob: {switch: left, address: 10.0.0.11/24, gateway: 10.0.0.1,
        send: {to: 10.1.0.10, protocol: udp, port: 53, count: 5}}
  dora: {switch: left, address: 10.0.0.12/24, gateway: 10.0.0.1,
         send: {to: 10.1.0.10, protocol: ping, count: 5}}
  carol: {switch: right, address: 10.1.0.10/24, gateway: 10.1.0.1}
expect:
  - {within: 9s, at: gw.left, filter: udp dst port 54, verdict: filtered,
     frames: 5}
  - {within: 9s, at: gw.left, filter: "icmp[0] == 3 and icmp[1] == 13 and dst
     host 10.0.0.10", frames: 5}
  - {always: true, at: gw.right, filter: udp dst port 54, frames: 0}
  - {within: 9s, at: gw.right, filter: udp dst port 53, frames: 5}
  - {within: 9s, at: gw.right, filter: "icmp[0] == 0", verdict: filtered,
     frames: 5}
  - {always: true, at: gw.left, filter: "icmp[0] == 0", frames: 0}
Y
"$LANYARD" run --virtual-time "$tmp/filter.yaml" >"$tmp/out" 2>&1
is $? "the filter's rules decide in their order, and say so in verdicts"
note <"$tmp/out"

sed -i 's/udp dst port 53, do: pass/udp dst prot 53, do: pass/
    s/in: left, match: udp, do/in: lft, match: udp, do/' "$tmp/filter.yaml"
"$LANYARD" check "$tmp/filter.yaml" >"$tmp/out" 2>&1
[ $? = 2 ] && grep -q '"lft" is no port of router "gw"' "$tmp/out" &&
    grep -q ':11:.*prot' "$tmp/out"
is $? "a rule that cannot be is refused with its place"
note <"$tmp/out"

need_root router
for program in ip iperf3 tcpdump; do need router $program; done
[ -w /dev/net/tun ] || skip_all "router: needs /dev/net/tun"
namespace router || skip_all "router: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns
cat >"$tmp/mss.yaml" <<Y
lab: mss
switches:
  left:
  right:
routers:
  gw:
    ports:
      left: {switch: left, address: 10.0.0.1/24, proxy-arp: true}
      right: {switch: right, address: 10.1.0.1/24, mtu: 1000,
              mss-clamp: true}
    filter:
      - {match: icmp, do: drop}
plugs:
  client: {switch: left, locator: "tap:lyr0"}
  server: {switch: right, locator: "tap:lyr1"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/mss.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyr1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
ip -n "$router" link set lyr0 netns "$client"
ip -n "$router" link set lyr1 netns "$server"
# The client believes that all of 10.0.0.0/8 is on its link.
ip -n "$client" addr add 10.0.0.10/8 dev lyr0
ip -n "$server" addr add 10.1.0.10/24 dev lyr1
ip -n "$client" link set lyr0 up
ip -n "$server" link set lyr1 up
ip -n "$server" route add default via 10.1.0.1
ip netns exec "$server" iperf3 -s -1 -B 10.1.0.10 >"$tmp/served" 2>&1 &
pids="$pids $!"
ip netns exec "$server" tcpdump -n -i lyr1 -c 1 -l --immediate-mode \
    'tcp[tcpflags] & tcp-syn != 0' \
    >"$tmp/syn" 2>&1 &
pids="$pids $!"
sleep 1
timeout 20 ip netns exec "$client" iperf3 -c 10.1.0.10 -n 5M >"$tmp/iperf" 2>&1
is $? "TCP goes over a smaller MTU though ICMP errors are dropped, by proxy ARP"
until_true 5 grep -q 'mss 960' "$tmp/syn"
is $? "a SYN's MSS is what fits the smaller MTU"
note <"$tmp/syn"
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
