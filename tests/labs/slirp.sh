#!/bin/bash
# The rootless way out, against servers of the host, in namespaces of this
# script's own; and without any privilege.
#
#   peer ── t0 ── lan ── gw (NAT) ──┐
#   peer2 ── t1 ─────────────────── wan ── slirp ═══ sockets ═══ 198.51.100.1
. "$(dirname "$0")/tap.sh"
need_root slirp
for program in ip ping python3 udhcpc setpriv; do need slirp $program; done
[ -w /dev/net/tun ] || skip_all "slirp: needs /dev/net/tun"
namespace lab || skip_all "slirp: network namespaces are not allowed here"
lab_ns=$ns
namespace peer; peer=$ns
namespace peer2; peer2=$ns
megabytes=${SLIRP_MEGABYTES:-8}

ip -n "$lab_ns" addr add 198.51.100.1/32 dev lo
ip -n "$lab_ns" addr add 2001:db8::1/128 dev lo nodad
ip netns exec "$lab_ns" sysctl -qw net.ipv4.ping_group_range="0 65535"
head -c $((megabytes * 1024 * 1024)) /dev/urandom >"$tmp/file"

# server NAMESPACE ADDRESS PORT: HTTP of $tmp/file, PUT to $tmp/put, and UDP at
# the same port, which answers in capitals.
cat >"$tmp/server.py" <<'P'
import http.server, socket, sys, threading
address, port, file, put = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = open(file, "rb").read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_PUT(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        open(put, "wb").write(data)
        self.send_response(201)
        self.end_headers()
    def log_message(self, *rest):
        pass
class Server(http.server.ThreadingHTTPServer):
    address_family = family
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.bind((address, port))
def answer():
    while True:
        data, peer = udp.recvfrom(2000)
        udp.sendto(data.upper(), peer)
threading.Thread(target=answer, daemon=True).start()
Server((address, port), Handler).serve_forever()
P
server() {
	ip netns exec "$1" python3 "$tmp/server.py" "$2" "$3" "$tmp/file" \
	    "$tmp/put" &
	pids="$pids $!"
}
cat >"$tmp/client.py" <<'P'
import socket, sys, urllib.request
what, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
url = "http://%s:%d/" % ("[%s]" % host if ":" in host else host, port)
if what == "get":
    data = urllib.request.urlopen(url, timeout=20).read()
    sys.exit(data != open(sys.argv[4], "rb").read())
elif what == "put":
    data = open(sys.argv[4], "rb").read()
    urllib.request.urlopen(urllib.request.Request(url, data, method="PUT"),
                           timeout=20).read()
else:
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET,
                      socket.SOCK_DGRAM)
    s.settimeout(2)
    s.connect((host, port))
    s.send(b"hello")
    sys.exit(s.recv(100) != b"HELLO")
P
client() { # client NAMESPACE WHAT HOST PORT
	at=$1
	shift
	ip netns exec "$at" timeout 60 python3 "$tmp/client.py" "$@" \
	    "$tmp/file" >"$tmp/out" 2>&1
}
up() { ip netns exec "$lab_ns" python3 -c "
import socket, sys
socket.create_connection(('$1', $2), 1)"; }
server "$lab_ns" 198.51.100.1 8000
server "$lab_ns" 127.0.0.1 8001
server "$lab_ns" 2001:db8::1 8000
until_true 10 up 198.51.100.1 8000
until_true 10 up 127.0.0.1 8001
until_true 10 up 2001:db8::1 8000

# start OPTIONS: the lab, with its TAPs in the peers
start() {
	cat >"$tmp/slirp.yaml" <<Y
lab: slirp
switches: {lan: , wan: }
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24}
      outside: {switch: wan, address: 10.0.2.100/24}
    nat: {outside: outside}
    routes: [{to: 0.0.0.0/0, via: 10.0.2.2}]
plugs:
  p0: {switch: lan, locator: "tap:t0"}
  p1: {switch: wan, locator: "tap:t1"}
  isp: {switch: wan, locator: "slirp:$1"}
Y
	ip netns exec "$lab_ns" "$LANYARD" run "$tmp/slirp.yaml" \
	    >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 10 "$LANYARD" show slirp ports || {
		not_ok "the lab with slirp:$1 starts"
		note <"$tmp/log"
		exit 1
	}
	ip -n "$lab_ns" link set t0 netns "$peer"
	ip -n "$lab_ns" link set t1 netns "$peer2"
	ip -n "$peer" link set t0 up
	ip -n "$peer2" link set t1 up
	ip -n "$peer" addr add 10.0.0.2/24 dev t0
	ip -n "$peer" route add default via 10.0.0.1
	# as busybox's own script does, but for name servers
	cat >"$tmp/lease" <<'S'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
[ -z "$router" ] || ip route add default via "$router"
echo "$ip $router $dns" >"$0.got"
S
	chmod +x "$tmp/lease"
	ip netns exec "$peer2" udhcpc -q -n -t 5 -T 1 -i t1 -s "$tmp/lease" \
	    >"$tmp/udhcpc" 2>&1
}
stop() {
	kill -INT "$lab"
	wait "$lab"
	is $? "the lab ends with status 0"
}
switches_of() { awk '/^voluntary/ {print $2}' "/proc/$lab/status"; }

start ""
is $? "DHCP gives an address"
[ "$(cat "$tmp/lease.got")" = "10.0.2.15 10.0.2.2 10.0.2.3" ]
is $? "it is the fifteenth, with router and name server"
for from in peer peer2; do
	case $from in
	peer) at=$peer by="through the NAT router" ;;
	peer2) at=$peer2 by="from the LAN itself" ;;
	esac
	client $at get 198.51.100.1 8000
	is $? "$by: $megabytes MiB come by TCP as they are"
	rm -f "$tmp/put"
	client $at put 198.51.100.1 8000 && cmp "$tmp/put" "$tmp/file"
	is $? "$by: $megabytes MiB go by TCP as they are"
	client $at udp 198.51.100.1 8000
	is $? "$by: UDP goes and comes"
	ip netns exec $at ping -q -c 5 -i 0.05 -W 2 198.51.100.1 >"$tmp/ping"
	grep -q ' 0% packet loss' "$tmp/ping"
	is $? "$by: five pings, five answers"
done
! client "$peer" get 10.0.2.2 8001
is $? "the host's loopback is out of reach"
! client "$peer" get 198.51.100.1 9 && grep -q refused "$tmp/out"
is $? "a closed port refuses"
"$LANYARD" show slirp ports | grep 'isp.eth0' | note
stop

start "?host=yes&ipv6=fd00:0:0:2::/64&forward=tcp:198.51.100.1:8080-10.0.2.15:80"
client "$peer" get 10.0.2.2 8001
is $? "host=yes: its loopback is at the router's address"
until_true 10 sh -c "ip -n $peer2 -6 addr | grep -q 'fd00:0:0:2\|fd00::2:'"
is $? "ipv6: the LAN has its prefix by router advertisement"
until_true 5 client "$peer2" udp 2001:db8::1 8000
is $? "ipv6: UDP goes and comes"
client "$peer2" get 2001:db8::1 8000
is $? "ipv6: $megabytes MiB come by TCP"
server "$peer2" 10.0.2.15 80
until_true 5 client "$lab_ns" get 198.51.100.1 8080
is $? "forward: the host reaches the LAN's server"
stop

start "?restrict=yes&forward=tcp:8080-10.0.2.15:80"
sleep 1
before=$(switches_of)
sleep 2
woken=$(($(switches_of) - before))
[ $woken -le 20 ]
is $? "silent, it was woken $woken times in 2 s"
! client "$peer2" udp 198.51.100.1 8000
is $? "restrict: UDP does not go out"
! client "$peer" get 198.51.100.1 8000
is $? "restrict: neither does TCP, through the router"
until_true 5 client "$lab_ns" get 127.0.0.1 8080
is $? "restrict: what is forwarded leads in"
stop

# ---- as nobody ----

cat >"$tmp/nobody.yaml" <<'Y'
lab: nobody
switches: {lan: , wan: }
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}
      outside: {switch: wan, address: 10.0.2.100/24}
    nat: {outside: outside}
    routes: [{to: 0.0.0.0/0, via: 10.0.2.2}]
vms:
  alice: {ports: {eth0: {switch: lan}}}
plugs:
  isp: {switch: wan, locator: "slirp:"}
expect:
  - {within: 30s, vm: alice, run: ping -c 1 198.51.100.1}
  - {within: 30s, vm: alice, run: nc -u -w 2 198.51.100.1 8000 hello, output: HELLO}
Y
cp "$LANYARD" "$tmp/lanyard"
mkdir "$tmp/nobody"
chown 65534:65534 "$tmp/nobody"
chmod 711 "$tmp"
(cd "$tmp/nobody" && XDG_RUNTIME_DIR=$tmp/nobody ip netns exec "$lab_ns" \
    setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set -all \
    timeout 60 "$tmp/lanyard" run ../nobody.yaml) >"$tmp/log" 2>&1
is $? "without any privilege, a guest behind a NAT router gets out"
note <"$tmp/log"
