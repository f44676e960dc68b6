#!/bin/bash
# The way out by ordinary sockets: a lab that runs without any privilege reaches
# servers beyond its host, TCP ends as it should on both sides, a lossy cable
# costs no byte, and what the network says to refuse comes back.
#
#   client ── tap ── lan ── gw ── out ── sockets ── near ══ far
#
# DOWNLOADS (12) is how many there are, one after the other and 8 at a time, and
# LARGEST (10000000) how many bytes they have at most.
. "$(dirname "$0")/tap.sh"
need_root sockets
for program in ip setpriv prlimit iperf3 ping python3 curl; do
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
# The host's name server is the far one.
mkdir -p "/etc/netns/$near"
echo 'nameserver 192.0.2.1' >"/etc/netns/$near/resolv.conf"
trap 's=$?; rm -rf "/etc/netns/$near"; (exit $s); finish' EXIT
# Says back what it gets, with whom it got it from; ends after the peer's end.
# What a name server would say, it says in the same way.
cat >"$tmp/echo.py" <<'END'
import socket, threading
def udp(port):
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("", port))
    while True:
        data, who = u.recvfrom(65535)
        u.sendto(data, who)
for port in 7, 53:
    threading.Thread(target=udp, args=(port,), daemon=True).start()
def send(c, n):
    data = open("data", "rb").read()
    while n > 0:
        c.sendall(data[:n])
        n -= len(data)
def tcp(c):
    try:
        data = b""
        while got := c.recv(65536):
            data += got
            if data.startswith(b"get ") and got.endswith(b"\n"):
                send(c, int(data[4:]))
                break
            if data == b"reset":
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             b"\1\0\0\0\0\0\0\0")
                break
        else:
            c.sendall(data)
    except OSError:
        pass
    c.close()
def accept(port):
    t = socket.create_server(("", port), backlog=512)
    while True:
        threading.Thread(target=tcp, args=t.accept()[:1], daemon=True).start()
threading.Thread(target=accept, args=(53,), daemon=True).start()
accept(7)
END
(cd "$tmp" && exec ip netns exec "$far" python3 "$tmp/echo.py") >"$tmp/echo" 2>&1 &
pids="$pids $!"
# listens NAMESPACE PORT
listens() { ip netns exec "$1" bash -c ": <>/dev/tcp/127.0.0.1/$2"; }
for each in "$far 7" "$far 53" "$far 80" "$near 8080" "$far 5201"; do
	until_true 20 listens $each
done

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
user exec user alice -- ping -c 1 203.0.113.1 >"$tmp/ping" 2>&1
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
lab root '?host=yes&dns=10.0.2.3' >"$tmp/root.yaml"
cat >>"$tmp/root.yaml" <<'END'
  client: {switch: lan, locator: "tap:lyc0"}
END
# So that there is room for 858 sockets of one kind.
ip netns exec "$near" prlimit --nofile=1400:1400 \
    "$LANYARD" run "$tmp/root.yaml" >"$tmp/log" 2>&1 &
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
import hashlib, os, random, socket, sys, threading, time

DATA = open(sys.argv[2], "rb").read()

def connect(port=7, to="192.0.2.1"):
    s = socket.socket()
    s.settimeout(20)
    s.connect((to, port))
    return s

def download(n):
    s, want, got = connect(), hashlib.sha256(), hashlib.sha256()
    s.sendall(b"get %d\n" % n)
    while part := s.recv(1 << 18):
        got.update(part)
    for at in range(0, n, len(DATA)):
        want.update(DATA[:n - at])
    return got.digest() == want.digest()

def downloads(n, largest, threads):
    """of all sizes, beginning with the smallest"""
    todo, wrong = [int(largest * random.random() ** 2) for _ in range(n - 3)] + \
        [1461, 1, 0], []
    def worker():
        while todo:
            size, at = todo.pop(), time.time()
            try:
                if not download(size):
                    wrong.append(size)
            except (OSError, IndexError) as e:
                wrong.append(size)
                print(f"{size} bytes, {time.time() - at:.1f} s: {e!r}",
                      file=sys.stderr)
    each = [threading.Thread(target=worker) for _ in range(threads)]
    for t in each: t.start()
    for t in each: t.join()
    return not wrong

def dying():
    """readers that are gone in mid-transfer, and by a reset"""
    for i in range(20):
        s = connect()
        s.sendall(b"get 50000000\n")
        s.recv(100000)
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                         b"\1\0\0\0\0\0\0\0")
        s.close()
    return True

def dns():
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.settimeout(3)
    u.sendto(b"a name", ("10.0.2.3", 53))
    if u.recvfrom(99) != (b"a name", ("10.0.2.3", 53)):
        return False
    s = connect(53, "10.0.2.3")
    s.sendall(b"a name by TCP")
    s.shutdown(socket.SHUT_WR)
    if s.recv(99) != b"a name by TCP":
        return False
    try:
        connect(7, "10.0.2.3")
    except OSError:
        return True

def resolver():
    """a new port for each question, as resolvers take them"""
    for _ in range(40):
        u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        u.settimeout(3)
        u.sendto(b"a name", ("10.0.2.3", 53))
        if u.recvfrom(99)[0] != b"a name":
            return False
        u.close()
    return True

def crowd():
    """more flows of UDP than there may be: TCP has room still"""
    each = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for _ in range(900)]
    for s in each:
        s.sendto(b"x", ("192.0.2.1", 7))
    return download(1000)

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
    time.sleep(1)
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
	inside timeout "${3:-60}" python3 "$tmp/ends.py" "$1" "$tmp/data" \
	    2>"$tmp/why"
	is $? "$2"
	note <"$tmp/why"
}
datagram_sockets() {
	"$LANYARD" show root ports |
	    sed -n 's/.* \([0-9]*\) sockets of UDP and echo.*/\1/p'
}
try 'udp()' "UDP of all sizes"
before=$(datagram_sockets)
try 'resolver()' "forty questions, each from a port of its own"
asked=$(datagram_sockets)
[ "$asked" -ge $((before + 40)) ]
is $? "... each of which has a socket"
try 'upload(5000000)' "TCP both ways at a time, and each side ends by itself"
try 'upload(1) and upload(0)' "... a byte, and none"
try 'slow()' "a reader that stops closes the window, and loses nothing"
try 'reset()' "a reset comes through"
try 'refused()' "a refusal comes through"
try 'many()' "300 connections at a time"
n=${DOWNLOADS:-12} largest=${LARGEST:-10000000}
try "downloads($n, $largest, 1)" "$n downloads of up to $largest bytes" 3600
try "downloads($n, $largest, 8)" "... and by 8 at a time" 3600
try 'dying()' "readers that die in mid-transfer"
few_are_left() { [ "$(datagram_sockets)" = "$before" ]; }
[ "$before" -gt 0 ] && until_true 12 few_are_left
is $? "sockets that asked for names alone ended soon, those of others stay"
try 'dns()' "the host's name server answers by an address of the LAN"
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
ip netns exec "$near" sysctl -qw net.ipv4.ping_group_range="1 0"
! inside ping -q -c 1 -W 1 192.0.2.1 >/dev/null &&
    "$LANYARD" show root drops | grep -q '^way *sockets-ping'
is $? "a ping for which the host gives no socket is refused by its reason"
try 'crowd()' "where UDP has no more room, TCP has"
"$LANYARD" show root drops | grep -q '^way *sockets-full'
is $? "... and so is what came too late"
inside python3 -c '
import socket
s = socket.socket(); s.connect(("192.0.2.1", 7)); s.sendall(b"x"); s.close()'
closed() { "$LANYARD" show root ports | grep '^way.eth0' | grep -q ' 0 TCP'; }
until_true 15 closed
is $? "what has ended is forgotten"
"$LANYARD" show root ports | grep way.eth0 | note
"$LANYARD" show root drops | note
