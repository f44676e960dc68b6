#!/bin/bash
# The way out by ordinary sockets: a lab that runs without any privilege reaches
# servers beyond its host, TCP ends as it should on both sides, a lossy cable
# costs no byte, and what the network says to refuse comes back.
#
#   client ── tap ── lan ── gw ── out ── sockets ── near ══ far
. "$(dirname "$0")/tap.sh"
need_root sockets
for program in ip setpriv iperf3 ping python3 curl; do
	need sockets $program
done
[ -c /dev/net/tun ] || skip_all "sockets: needs /dev/net/tun"

for each in near far client; do
	namespace $each || skip_all "sockets: cannot make network namespaces"
	eval $each=$ns
done
ip -n "$near" link add n0 type veth peer name f0 netns "$far"
ip -n "$near" link set n0 up
ip -n "$far" link set f0 up
ip -n "$near" addr add 192.0.2.2/24 dev n0
ip -n "$far" addr add 192.0.2.1/24 dev f0
ip netns exec "$near" sysctl -qw net.ipv4.ping_group_range="0 2147483647"
# Errors as often as they are due.
ip netns exec "$far" sysctl -qw net.ipv4.icmp_ratelimit=0
head -c 3000000 /dev/urandom >"$tmp/data"
head -c 500000 "$tmp/data" >"$tmp/less"
(cd "$tmp" && exec ip netns exec "$far" python3 -m http.server 80) \
    >"$tmp/http" 2>&1 &
pids="$pids $!"
(cd "$tmp" && exec ip netns exec "$near" python3 -m http.server 8080 \
    --bind 127.0.0.1) >"$tmp/http2" 2>&1 &
pids="$pids $!"
ip netns exec "$far" iperf3 -s >/dev/null 2>&1 &
pids="$pids $!"
# Says back what it gets, with whom it got it from; ends after the peer's end.
cat >"$tmp/echo.py" <<'END'
import socket, threading
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(("", 7))
def udp():
    while True:
        data, who = u.recvfrom(65535)
        u.sendto(data, who)
threading.Thread(target=udp, daemon=True).start()
def tcp(c):
    try:
        data = b""
        while got := c.recv(65536):
            data += got
            if data == b"reset":
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
                break
        else:
            c.sendall(data)
    except OSError:
        pass
    c.close()
t = socket.create_server(("", 7), backlog=512)
while True:
    threading.Thread(target=tcp, args=t.accept()[:1], daemon=True).start()
END
ip netns exec "$far" python3 "$tmp/echo.py" >"$tmp/echo" 2>&1 &
pids="$pids $!"

lab() {
	cat <<-END
	lab: $1
	switches: {lan: , out: }
	routers:
	  gw:
	    ports:
	      inside: {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}
	      outside: {switch: out, address: 10.0.2.15/24}
	    nat: {outside: outside}
	    routes: [{to: 0.0.0.0/0, via: 10.0.2.2}]
	plugs:
	  way: {locator: "sockets:10.0.2.2/24${2:-}", switch: out}
	END
}

# ---- without any privilege ----
chmod 755 "$tmp"
mkdir -m 700 "$tmp/user"
lab user >"$tmp/user/user.yaml"
cat >>"$tmp/user/user.yaml" <<'END'
vms:
  alice: {guest: tiny, ports: {eth0: {switch: lan}}}
  bob: {guest: tiny, ports: {eth0: {switch: lan}}}
END
mkdir "$tmp/bin"
cp "$LANYARD" "$tmp/bin/lanyard"
chmod -R a+rX "$tmp/bin"
chown -R 65534:65534 "$tmp/user"
# user WORD...: lanyard, as nobody
user() {
	XDG_RUNTIME_DIR=$tmp/user ip netns exec "$near" setpriv --reuid 65534 \
	    --regid 65534 --clear-groups --bounding-set -all --no-new-privs \
	    "$tmp/bin/lanyard" "$@"
}
(cd "$tmp/user" && user run user.yaml) >"$tmp/log" 2>&1 &
until_true 20 user exec user alice ip && until_true 20 user exec user bob ip
is $? "a lab runs as nobody, without a capability"
pids="$pids $(pgrep -u 65534 -f "$tmp/bin/lanyard run")"
note <"$tmp/log"
user exec user alice -- ping -c 2 192.0.2.1 | note
user exec user alice -- ping -q -c 1 192.0.2.1 >"$tmp/ping"
is $? "... a guest pings beyond the host"
user exec user bob -- nc 192.0.2.1 7 hello out there >"$tmp/nc"
grep -q 'hello out there' "$tmp/nc"
is $? "... and speaks TCP: $(head -n 1 "$tmp/nc")"
user exec user bob -- nc -u 192.0.2.1 7 and UDP >"$tmp/nc"
grep -q 'and UDP' "$tmp/nc"
is $? "... and UDP"
! user exec user bob -- nc 192.0.2.1 9 x >"$tmp/nc" 2>&1
is $? "... and is refused where nobody listens: $(head -n 1 "$tmp/nc")"
user exec user alice -- ping -c 2 203.0.113.1 >"$tmp/ping" 2>&1
grep -qi 'unreachable' "$tmp/ping"
is $? "... and told what the host has no route to"
note <"$tmp/ping"
! user exec user alice -- nc 10.0.2.2 8080 x >"$tmp/nc" 2>&1
is $? "... and cannot reach the host's loopback"
user show user ports | grep -q 'sockets of UDP and echo'
is $? "show ports says how many sockets there are"
pkill -INT -u 65534 -f "$tmp/bin/lanyard run"
wait $!
is $? "... and it ends when it is told to"

# ---- kernels as clients ----
lab root '?host=yes' >"$tmp/root.yaml"
cat >>"$tmp/root.yaml" <<'END'
  client: {switch: lan, locator: "tap:lyc0"}
END
ip netns exec "$near" "$LANYARD" run "$tmp/root.yaml" >"$tmp/log" 2>&1 &
pids="$pids $!"
until_true 10 ip -n "$near" link show lyc0
ip -n "$near" link set lyc0 netns "$client"
ip -n "$client" link set lyc0 up
ip -n "$client" addr add 10.0.0.50/24 dev lyc0
ip -n "$client" route add default via 10.0.0.1
inside() { ip netns exec "$client" "$@"; }
# same SERVER FILE: what curl gets is the file
same() {
	inside curl -s --max-time 20 "http://$1/$2" >"$tmp/got" &&
	    cmp -s "$tmp/got" "$tmp/$2"
}
same 192.0.2.1 data
is $? "3 MB by HTTP, unchanged"
same 10.0.2.2:8080 data
is $? "... and from the host itself, with host=yes"
cat >"$tmp/ends.py" <<'END'
import hashlib, os, socket, sys, time

def connect(port=7):
    s = socket.socket()
    s.settimeout(20)
    s.connect(("192.0.2.1", port))
    return s

def upload(n):
    """n bytes there and back, each side ended by itself"""
    data, s, got = os.urandom(n), connect(), b""
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    while part := s.recv(65536):
        got += part
    return got == data

def reset():
    s = connect()
    s.sendall(b"reset")
    try:
        return s.recv(1) == b"x"
    except ConnectionResetError:
        return True

def refused():
    try:
        connect(9)
    except ConnectionRefusedError:
        return True

def slow():
    """a reader that stops: the window closes, and opens again"""
    data, s, got = os.urandom(9000000), connect(), b""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    time.sleep(2)
    while part := s.recv(65536):
        got += part
        if len(got) % 1000 == 0:
            time.sleep(0.001)
    return got == data

def many():
    each = [connect() for _ in range(300)]
    for i, s in enumerate(each):
        s.sendall(b"number %d" % i)
        s.shutdown(socket.SHUT_WR)
    return [s.recv(99) for s in each] == [b"number %d" % i for i in range(300)]

def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    for n in 0, 1, 1000, 1472:
        data = os.urandom(n)
        s.sendto(data, ("192.0.2.1", 7))
        if s.recvfrom(65535) != (data, ("192.0.2.1", 7)):
            return False
    return True

def unheard():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.connect(("192.0.2.1", 9))
    s.send(b"x")
    try:
        s.recv(1)
    except ConnectionRefusedError:
        return True

what = sys.argv[1]
sys.exit(0 if eval(what) else 1)
END
try() {
	inside timeout 60 python3 "$tmp/ends.py" "$1" 2>"$tmp/why"
	is $? "$2"
	note <"$tmp/why"
}
try 'upload(5000000)' "TCP both ways at a time, and each side ends by itself"
try 'upload(1) and upload(0)' "... a byte, and none"
try 'slow()' "a reader that stops closes the window, and loses nothing"
try 'reset()' "a reset comes through"
try 'refused()' "a refusal comes through"
try 'many()' "300 connections at a time"
try 'udp()' "UDP of all sizes"
try 'unheard()' "an ICMP error about a datagram comes through"
if command -v traceroute >/dev/null; then
	inside traceroute -n -q 1 -w 2 192.0.2.1 >"$tmp/trace"
	[ "$(awk 'NR > 1 { printf "%s ", $2 }' "$tmp/trace")" = \
	    "10.0.0.1 10.0.2.2 192.0.2.1 " ]
	is $? "traceroute shows the way"
	note <"$tmp/trace"
else
	skip "traceroute shows the way: needs traceroute, which is missing"
fi
for way in "" -R; do
	inside iperf3 -c 192.0.2.1 -t 1 $way -J >"$tmp/iperf"
	speed=$(python3 -c '
import json, sys
print("%.2f" % (json.load(open(sys.argv[1]))["end"]["sum_received"]["bits_per_second"] / 1e9))' \
	    "$tmp/iperf")
	is $? "iperf3 $way"
	figure "TCP by sockets ${way:-out}: $speed Gbit/s"
done
# Loss on the way from the sockets, so it is theirs to send again.
"$LANYARD" set root gw.outside loss=2% delay=2ms reorder=1% >/dev/null
is $? "a cable that loses, delays and reorders"
same 192.0.2.1 less
is $? "... costs no byte in"
try 'upload(500000)' "... nor out"
"$LANYARD" set root gw.outside loss=0% delay=0ms reorder=0% >/dev/null
inside python3 -c '
import socket
s = socket.socket(); s.connect(("192.0.2.1", 7)); s.sendall(b"x"); s.close()'
closed() { "$LANYARD" show root ports | grep '^way.eth0' | grep -q ' 0 TCP'; }
until_true 15 closed
is $? "what has ended is forgotten"
"$LANYARD" show root ports | grep way.eth0 | note
"$LANYARD" show root drops | note
