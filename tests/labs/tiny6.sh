#!/bin/bash
# The tiny guest's IPv6 beside a kernel's: an address of what a router advertises,
# neighbours, names, TCP both ways, fragments and a smaller MTU on the way, a
# switch that looks who listens; an address that the kernel has already is left
# to it.
#
#   alice (tiny) ──┐                          IPv6 alone
#                  lan ── gw ─────────── net ── server (kernel)
#   bob (tiny)   ──┘      dns            mtu 1400
#   twin (tiny)  ──┘  2001:db8:1::/64    2001:db8:2::/64
#   peer (kernel) ─┘
. "$(dirname "$0")/tap.sh"
need_root tiny6
for program in ip ping python3 tcpdump; do need tiny6 $program; done
[ -w /dev/net/tun ] || skip_all "tiny6: needs /dev/net/tun"
namespace router || skip_all "tiny6: network namespaces are not allowed here"
router=$ns
namespace peer; peer=$ns
namespace server; server=$ns
P="ip netns exec $peer"
S="ip netns exec $server"
in_lab() {
	vm=$1
	shift
	ip netns exec "$router" "$LANYARD" exec tiny6 "$vm" -- "$@"
}
can() { in_lab "$@" >"$tmp/out" 2>&1; }

cat >"$tmp/tiny6.yaml" <<Y
lab: tiny6
switches:
  lan: {snooping: {}}
  net:
  old:
routers:
  gw:
    ports:
      lan: {switch: lan, address6: 2001:db8:1::1/64, ra: {interval: 4s}}
      net: {switch: net, address6: 2001:db8:2::1/64, mtu: 1400}
    dns: {}
vms:
  alice: {guest: tiny, ports: {eth0: {switch: lan}}}
  bob: {guest: tiny, ports: {eth0: {switch: lan, address6: 2001:db8:1::20/64}}}
  twin: {guest: tiny, ports: {eth0: {switch: lan, address6: 2001:db8:1::30/64}}}
  past: {guest: tiny, ports: {eth0: {switch: old, address: 10.9.0.1/24}}}
plugs:
  peer: {switch: lan, locator: "tap:lyt0"}
  server: {switch: net, locator: "tap:lyt1"}
captures:
  - {at: [past.eth0], file: past.pcapng}
events:
  # by then the kernel's addresses are its own
  - {at: 100ms, set: twin.eth0, down: true}
Y
(cd "$tmp" && exec ip netns exec "$router" "$LANYARD" run tiny6.yaml) \
    >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyt1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
for n in "$peer" "$server"; do
	ip netns exec "$n" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 \
	    net.ipv6.conf.default.accept_dad=0 \
	    net.ipv6.conf.default.accept_ra=1 2>"$tmp/sysctl" ||
	    skip_all "tiny6: needs IPv6"
done
attach lyt0 "$peer" 2001:db8:1::30/64
attach lyt1 "$server" 2001:db8:2::10/64
$P ip route add 2001:db8:2::/64 via 2001:db8:1::1
$S ip route add default via 2001:db8:2::1
until_true 10 in_lab twin uptime

# ---- addresses ----
can alice ping -c 1 -W 2 2001:db8:2::10
is $? "a guest reaches a kernel behind the router by what is advertised"
note <"$tmp/out"
can alice ip eth0
grep -q 'address 2001:db8:1:.*/64 preferred' "$tmp/out" &&
    grep -q 'gateway fe80:' "$tmp/out" && grep -q 'dns 2001:db8:1::1$' "$tmp/out"
is $? "ip shows address, router and name server"
note <"$tmp/out"
alice=$(sed -n 's|.*address \(2001:[^/]*\)/64 .*|\1|p' "$tmp/out")
ip netns exec "$router" "$LANYARD" set tiny6 twin.eth0 up
until_true 5 eval "in_lab twin ip | grep -q 'address 2001:db8:1::30/64 duplicate'"
is $? "an address that the kernel has is not taken"
in_lab twin ip 2>&1 | note
$P ping -6 -n -c 2 -i 0.2 -W 1 "$alice" >"$tmp/ping" 2>&1
is $? "a kernel of the LAN pings the guest"
note <"$tmp/ping"
$S ping -6 -n -c 1 -W 1 2001:db8:1::20 >"$tmp/ping" 2>&1
is $? "... and one behind the router a guest whose address the file says"
note <"$tmp/ping"

# ---- names ----
can alice ping -c 1 -W 2 bob.lab
grep -q '64 bytes from 2001:db8:1::20' "$tmp/out"
is $? "a guest pings another by name"
note <"$tmp/out"
can bob nslookup -type=aaaa alice.lab
grep -q "alice.lab has IPv6 address $alice" "$tmp/out"
is $? "a name stands for the address that a guest makes"
note <"$tmp/out"

# ---- TCP and UDP ----
cat >"$tmp/serve.py" <<'X'
import socket
s = socket.create_server(("2001:db8:2::10", 7000), family=socket.AF_INET6)
while True:
    c, who = s.accept()
    c.sendall(b"you are " + who[0].encode() + b" " + c.recv(100))
    c.close()
X
$S python3 "$tmp/serve.py" &
pids="$pids $!"
until_true 5 eval "$S ss -ltn | grep -q :7000"
can alice nc 2001:db8:2::10 7000 hello
grep -q "you are $alice hello" "$tmp/out"
is $? "TCP from a guest to a kernel"
note <"$tmp/out"
cat >"$tmp/bulk.py" <<'X'
import socket, sys, threading
data = bytes(range(256)) * 1000
s = socket.create_connection((sys.argv[1], 7), timeout=20)
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
t = threading.Thread(target=send)
t.start()
got = b""
while True:
    d = s.recv(65536)
    if not d:
        break
    got += d
t.join()
sys.exit(got != data)
X
timeout 30 $S python3 "$tmp/bulk.py" "$alice"
is $? "256 kB by TCP from a kernel to a guest and back, over an MTU of 1400"
cat >"$tmp/udp.py" <<'X'
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(1)
data = bytes(5000)
for port, size in ((7, 5000), (99, 1)):
    for i in range(3):
        s.connect((sys.argv[1], port))
        try:
            s.send(data[:size])
            if s.recv(6000) == data[:size]:
                break
        except TimeoutError:
            pass
        except ConnectionRefusedError:
            if port == 99:
                sys.exit(0)
    else:
        sys.exit(1)
X
timeout 20 $S python3 "$tmp/udp.py" "$alice"
is $? "datagrams in fragments both ways, and a closed port says so"

# ---- errors and paths ----
can alice traceroute -q 1 -w 1 2001:db8:2::10
grep -q '^ 1  2001:db8:1::1 ' "$tmp/out" &&
    grep -q '^ 2  2001:db8:2::10 ' "$tmp/out"
is $? "traceroute sees the router and the host"
note <"$tmp/out"
! can bob ping -c 1 -M do -s 1400 -W 1 2001:db8:2::10
grep -q 'Packet too big: mtu=1400' "$tmp/out"
is $? "a packet that is too big for the way is told of"
note <"$tmp/out"
can bob ping -c 1 -s 3000 -W 1 2001:db8:2::10
is $? "... and one that may be cut goes in fragments"
note <"$tmp/out"
! can bob ping -c 1 -W 2 2001:db8:77::1
grep -q 'Destination unreachable: No route' "$tmp/out"
is $? "a net that is not there is told of"
note <"$tmp/out"

# ---- who is quiet ----
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
tcpdump -r "$tmp/past.pcapng" -n ip6 >"$tmp/heard" 2>"$tmp/tcpdump"
[ ! -s "$tmp/heard" ]
is $? "where nobody speaks IPv6 a guest does not either"
note <"$tmp/heard"
