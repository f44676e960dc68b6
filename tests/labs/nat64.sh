#!/bin/bash
# A kernel that has IPv6 alone reaches one that has IPv4 alone by NAT64, and by
# name through DNS64: ping, HTTP, TCP and UDP in bulk, traceroute, path MTU, and
# errors.  NAT64_SECONDS makes the streams longer; NAT64_DEBIAN=1 has a Debian guest
# do the same.
#
#   client ── tap ── lan ── gw ── net ── tap ── server ── veth ── far
#   2001:db8:1::10         64:ff9b::/96    203.0.113.10   198.51.100.10, MTU 1300
. "$(dirname "$0")/tap.sh"
need_root nat64
for program in ip iperf3 tcpdump python3 dnsmasq dig curl traceroute; do
	need nat64 $program
done
[ -w /dev/net/tun ] || skip_all "nat64: needs /dev/net/tun"
seconds=${NAT64_SECONDS:-1}

namespace router || skip_all "nat64: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns
namespace far; behind=$ns
ip netns exec "$client" sysctl -qw net.ipv6.conf.default.accept_dad=0 \
    2>"$tmp/sysctl" || skip_all "nat64: needs IPv6"

cat >"$tmp/nat64.yaml" <<Y
lab: nat64
switches:
  lan:
  net:
routers:
  gw:
    ports:
      inside: {switch: lan, address6: 2001:db8:1::1/64}
      outside: {switch: net, address: 203.0.113.1/24}
    dns: {upstream: 127.0.0.1, port: 5300, dns64: 64:ff9b::/96}
    nat: {outside: outside, nat64: 64:ff9b::/96}
    routes:
      - {to: 0.0.0.0/0, via: 203.0.113.10}
plugs:
  client: {switch: lan, locator: "tap:lyf0"}
  server: {switch: net, locator: "tap:lyf1"}
Y
ip netns exec "$router" dnsmasq -k -C /dev/null -p 5300 -a 127.0.0.1 \
    --bind-interfaces -R -h --log-queries --log-facility=- \
    --host-record=four.example.org,203.0.113.10,600 \
    --host-record=both.example.org,203.0.113.10,2001:db8:99::1,600 \
    --host-record=mapped.example.org,203.0.113.10,::ffff:198.51.100.9,600 \
    --cname=alias.example.org,four.example.org \
    --host-record=ten.example.org,10.1.2.3,600 \
    --address=/gone.example.org/ >"$tmp/dnsmasq" 2>&1 &
pids="$pids $!"
ip netns exec "$router" "$LANYARD" run "$tmp/nat64.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyf1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
ip -n "$router" link set lyf0 netns "$client"
ip -n "$router" link set lyf1 netns "$server"
ip -n "$client" link set lyf0 up
ip -n "$client" addr add 2001:db8:1::10/64 dev lyf0 nodad
ip -n "$client" route add default via 2001:db8:1::1
ip -n "$server" addr add 203.0.113.10/24 dev lyf1
ip -n "$server" link set lyf1 up
C="ip netns exec $client"
S="ip netns exec $server"
far=64:ff9b::203.0.113.10

timeout 20 $C ping -6 -n -c 3 -i 0.2 -w 10 $far >"$tmp/ping" 2>&1
is $? "ping -6 reaches an IPv4 host"
note <"$tmp/ping"
ip -n "$client" -4 route show | grep -q . && not_ok "the client has no IPv4"
timeout 20 $C ping -6 -n -c 2 -i 0.2 -w 10 -s 1300 $far >"$tmp/ping" 2>&1
is $? "also by packets that are longer than 1280 bytes"
timeout 20 $C ping -6 -n -c 2 -i 0.2 -w 10 -s 9000 $far >"$tmp/ping" 2>&1
is $? "and in fragments"
note <"$tmp/ping"
$S tcpdump -n -i lyf1 -c 2 -l --immediate-mode icmp >"$tmp/seen" 2>&1 &
pids="$pids $!"
sleep 0.5
timeout 20 $C ping -6 -n -c 1 -w 10 -Q 0xb8 $far >"$tmp/ping" 2>&1
until_true 5 grep -q 'echo request' "$tmp/seen"
grep -q 'IP 203.0.113.1 > 203.0.113.10: ICMP echo request' "$tmp/seen"
is $? "the host sees the router's outer address"
note <"$tmp/seen"

# ---- names ----
# dig NAME TYPE [OPTION...]: the answers, in a line
dig64() {
	timeout 15 $C dig @2001:db8:1::1 +short +time=5 +tries=2 "$@" 2>&1 |
	    tr '\n' ' ' | sed 's/ $//'
}
# answers CLAIM WANT DIG...
answers() {
	claim=$1 want=$2
	shift 2
	got=$(dig64 "$@")
	[ "$got" = "$want" ]
	is $? "$claim"
	[ "$got" = "$want" ] || echo "# $*: $got"
}
answers "a name of IPv4 alone gets an IPv6 address" 64:ff9b::cb00:710a \
    four.example.org AAAA
answers "and once more, from what is remembered" 64:ff9b::cb00:710a \
    four.example.org AAAA
[ "$(grep -ci 'query\[A\] four.example' "$tmp/dnsmasq")" = 1 ]
is $? "asked for once"
answers "a question for A is answered by A" 203.0.113.10 four.example.org A
answers "an address that there is stays" 2001:db8:99::1 both.example.org AAAA
answers "one of IPv4 in IPv6 is none" 64:ff9b::cb00:710a \
    mapped.example.org AAAA
answers "aliases are followed" 64:ff9b::cb00:710a alias.example.org AAAA
answers "a private address gets none behind 64:ff9b::/96" "" \
    ten.example.org AAAA
answers "a validator sees what there is" "" four.example.org AAAA \
    +cdflag +dnssec
answers "the name of an address that was made is that of IPv4's" \
    "10.113.0.203.in-addr.arpa. four.example.org." -x 64:ff9b::cb00:710a
$C dig @2001:db8:1::1 gone.example.org AAAA 2>&1 | grep -q 'status: NXDOMAIN'
is $? "a name that does not exist does not"

# ---- TCP and UDP ----
mkdir "$tmp/www"
head -c 200000 /dev/urandom >"$tmp/www/file"
(cd "$tmp/www" && exec $S python3 -m http.server 80 --bind 203.0.113.10) \
    >"$tmp/http" 2>&1 &
pids="$pids $!"
until_true 10 $S bash -c '</dev/tcp/203.0.113.10/80' 2>/dev/null
mkdir -p "/etc/netns/$client"
echo "nameserver 2001:db8:1::1" >"/etc/netns/$client/resolv.conf"
timeout 20 $C curl -sS -m 15 -o "$tmp/got" http://four.example.org/file \
    >"$tmp/curl" 2>&1 && cmp "$tmp/got" "$tmp/www/file"
is $? "curl gets a file by name"
note <"$tmp/curl"
rm -rf "/etc/netns/$client"
$S iperf3 -s >"$tmp/served" 2>&1 &
pids="$pids $!"
sleep 0.5
for way in "" -R; do
	timeout 60 $C iperf3 -6 -c $far -t "$seconds" -f m $way \
	    >"$tmp/iperf$way" 2>&1
	is $? "TCP in bulk ${way:+to the client}${way:-to the server}"
	figure "$(sed -n 's/ *$//; /receiver/p' "$tmp/iperf$way")"
done
timeout 60 $C iperf3 -6 -c $far -u -b 20M -l 1200 -t "$seconds" \
    >"$tmp/iperf-u" 2>&1
is $? "UDP in bulk"
figure "$(sed -n '/receiver/p' "$tmp/iperf-u")"
"$LANYARD" show nat64 nat >"$tmp/show" 2>&1
grep -q '\[2001:db8:1::10\]:[0-9]* .*203.0.113.1:[0-9]* .*\[64:ff9b::cb00:710a\]:' \
    "$tmp/show"
is $? "show says both IPv6 ends"
note <"$tmp/show"

# ---- errors ----
timeout 30 $C traceroute -6 -n -q 1 -w 2 -m 4 $far >"$tmp/trace" 2>&1
grep -q '^ 1  2001:db8:1::1 ' "$tmp/trace" &&
    grep -q '^ 2  64:ff9b::cb00:710a ' "$tmp/trace"
is $? "traceroute -6 sees the router, and behind it the host"
note <"$tmp/trace"
cat >"$tmp/udp.py" <<'P'
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((sys.argv[1], 9))
s.send(b"x")
try:
    s.recv(10)
except ConnectionRefusedError:
    sys.exit(0)
sys.exit(1)
P
timeout 10 $C python3 "$tmp/udp.py" $far
is $? "a closed UDP port says so"
timeout 10 $C ping -6 -n -c 1 -w 8 64:ff9b::203.0.113.77 >"$tmp/ping" 2>&1
grep -q 'From 2001:db8:1::1 .*unreachable' "$tmp/ping"
is $? "a host that is not there is unreachable"
note <"$tmp/ping"
timeout 10 $C ping -6 -n -c 1 -w 3 64:ff9b::10.0.0.1 >"$tmp/ping" 2>&1
grep -qi 'prohibited' "$tmp/ping"
is $? "a private address behind 64:ff9b::/96 is prohibited"

# ---- paths ----
ip -n "$server" link add lyv0 mtu 1300 type veth peer name lyv1 \
    netns "$behind" mtu 1300
ip -n "$server" addr add 198.51.100.1/24 dev lyv0
ip -n "$server" link set lyv0 up
ip -n "$behind" addr add 198.51.100.10/24 dev lyv1
ip -n "$behind" link set lyv1 up
ip -n "$behind" route add default via 198.51.100.1
$S sysctl -qw net.ipv4.ip_forward=1
ip netns exec "$behind" iperf3 -s -1 >"$tmp/served2" 2>&1 &
pids="$pids $!"
sleep 0.5
timeout 20 $C traceroute -6 -n -q 1 -w 2 -m 4 64:ff9b::198.51.100.10 \
    >"$tmp/trace" 2>&1
grep -q '^ 2  64:ff9b::cb00:710a ' "$tmp/trace" &&
    grep -q '^ 3  64:ff9b::c633:640a ' "$tmp/trace"
is $? "a router beyond is a hop, too"
note <"$tmp/trace"
timeout 10 $C ping -6 -n -c 2 -i 0.2 -w 5 -M do -s 1400 64:ff9b::198.51.100.10 \
    >"$tmp/ping" 2>&1
grep -q 'Packet too big: mtu=1320' "$tmp/ping"
is $? "fragmentation needed becomes packet too big"
note <"$tmp/ping"
timeout 10 $C ping -6 -n -c 2 -i 0.2 -w 5 -M do -s 1272 64:ff9b::198.51.100.10 \
    >"$tmp/ping" 2>&1
is $? "what fits that passes"
timeout 20 $C iperf3 -6 -c 64:ff9b::198.51.100.10 -n 2M >"$tmp/iperf" 2>&1
is $? "TCP finds the path's MTU"
cat >"$tmp/big.py" <<'P'
import socket, sys
if sys.argv[1] == "serve":
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("203.0.113.10", 7777))
    while True:
        n, peer = s.recvfrom(10)
        for i in range(2):
            try:
                s.sendto(b"x" * int(n), peer)
                break
            except OSError:
                pass
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(1)
for i in range(5):
    s.sendto(sys.argv[3].encode(), (sys.argv[2], 7777))
    try:
        if len(s.recv(65000)) == int(sys.argv[3]):
            sys.exit(0)
    except TimeoutError:
        pass
sys.exit(1)
P
$S python3 "$tmp/big.py" serve >"$tmp/big" 2>&1 &
pids="$pids $!"
sleep 0.5
$S ip route get 203.0.113.1 >"$tmp/route"
timeout 10 $C python3 "$tmp/big.py" ask $far 1472
is $? "a datagram too big for IPv6 comes when its sender knows the path"
timeout 10 $C python3 "$tmp/big.py" ask $far 20000
is $? "one in fragments comes, too"
$S ip route get 203.0.113.1 >"$tmp/route"
grep -q 'mtu 1480' "$tmp/route"
is $? "packet too big for IPv6 becomes fragmentation needed"
note <"$tmp/route"
"$LANYARD" show nat64 drops >"$tmp/drops" 2>&1
note <"$tmp/drops"
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
note <"$tmp/log"

# ---- a Debian guest ----
# It takes long to start, so only where it is asked for: NAT64_DEBIAN=1.
if [ -z "${NAT64_DEBIAN:-}" ]; then
	exit
fi
make_guest nat64
sed -e 's/alice:  {guest: tiny, ports: {eth0: {switch: lan/alice:  {guest: linux, engine: emulate, ports: {eth0: {switch: lan, dns6: 2001:db8:1::1/' \
    -e 's/within: 20s/within: 60s/' -e 's/ping -c/ping -6 -c/' \
    -e '/run: "nc /d; /run: "traceroute/d; /tcp and src/d' \
    topologies/nat/nat64.yaml >"$tmp/debian.yaml"
(cd "$tmp" && exec "$LANYARD" run debian.yaml) >"$tmp/log" 2>&1
is $? "a Debian guest without IPv4 does as the tiny one does"
note <"$tmp/log"
