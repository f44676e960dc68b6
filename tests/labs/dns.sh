#!/bin/bash
# Names of the lab, and of who got an address by DHCP, are answered by our
# router; dnsmasq in the host's network is asked for the others, once for each.
# Another router asks a server whose answers are cut, long, or none, after one
# that is dead.
#
#   client ── tap ── lan ── gw, fw   (dnsmasq where lanyard runs)
. "$(dirname "$0")/tap.sh"
need_root dns
for program in ip udhcpc dnsmasq python3 dig; do need dns $program; done
[ -w /dev/net/tun ] || skip_all "dns: needs /dev/net/tun"

namespace router || skip_all "dns: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns

cat >"$tmp/dns.yaml" <<Y
lab: dnslab
switches:
  lan:
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24,
               dhcp: 10.0.0.100-10.0.0.199}
    dns: {upstream: 127.0.0.1, port: 5300}
  fw:
    ports: {inside: {switch: lan, address: 10.0.0.2/24}}
    dns: {upstream: [127.0.0.9, 127.0.0.2], port: 5300}
hosts:
  bob: {switch: lan, address: 10.0.0.20/24}
plugs:
  client: {switch: lan, locator: "tap:lyn0"}
Y
ip netns exec "$router" dnsmasq -k -C /dev/null -p 5300 -a 127.0.0.1 \
    --bind-interfaces -R -h --log-queries --log-facility=- \
    --host-record=www.example.org,198.51.100.7,600 \
    --host-record=brief.example.org,198.51.100.8,1 \
    --address=/gone.example.org/ >"$tmp/dnsmasq" 2>&1 &
pids="$pids $!"
ip netns exec "$router" "$(dirname "$0")/dns-upstream" 127.0.0.2 5300 \
    "$tmp/asked" 2>"$tmp/err" &
pids="$pids $!"
until_true 5 grep -q ready "$tmp/asked"
ip netns exec "$router" "$LANYARD" run "$tmp/dns.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyn0 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
ip -n "$router" link set lyn0 netns "$client"
ip -n "$client" link set lyn0 up
cat >"$tmp/script" <<'S'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
echo "$ip $dns $domain" >"$TOLD"
S
chmod +x "$tmp/script"
TOLD=$tmp/told ip netns exec "$client" udhcpc -i lyn0 -n -q -f -t 5 -x \
    hostname:laptop -s "$tmp/script" >"$tmp/udhcpc" 2>&1
grep -q '^10\.0\.0\.100 10\.0\.0\.1 lab$' "$tmp/told"
is $? "DHCP tells the router's own address as the name server"

# ask NAME: the code and the addresses of the answer, by the system's rules
cat >"$tmp/ask.py" <<'P'
import os, socket, struct, sys
name, kind = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(8)
ident = os.urandom(2)
question = b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) \
    + b"\0" + struct.pack(">HH", kind, 1)
s.sendto(ident + struct.pack(">HHHHH", 0x100, 1, 0, 0, 0) + question,
         ("10.0.0.1", 53))
a = s.recv(512)
assert a[:2] == ident and a[12:12 + len(question)] == question
flags, count = struct.unpack(">HxxH", a[2:8])
at, addrs = 12 + len(question), []
for _ in range(count):
    addrs.append(socket.inet_ntoa(a[at + 12:at + 16]))
    at += 16
print(flags & 15, *addrs)
P
ask() { ip netns exec "$client" python3 "$tmp/ask.py" "$1" "${2:-1}" 2>&1; }
# answers NAME ANSWER CLAIM
answers() {
	got=$(ask "$1")
	[ "$got" = "$2" ]
	is $? "$3"
	[ "$got" = "$2" ] || echo "# $1: $got"
}
answers bob "0 10.0.0.20" "a host of the lab has its name"
answers bob.lab "0 10.0.0.20" "with the domain, too"
answers GW.lab "0 10.0.0.1" "capital letters do not matter, and come back"
answers laptop "0 10.0.0.100" "a client of DHCP has the name it gave"
answers nobody.lab "3" "the lab's domain is not asked for elsewhere"
answers www.example.org "0 198.51.100.7" "other names are asked upstream"
for i in 1 2 3; do ask www.example.org >"$tmp/again"; done
[ "$(grep -ci 'query\[A\] www.example.org' "$tmp/dnsmasq")" = 1 ]
is $? "an answer is remembered"
answers gone.example.org "3" "a name that does not exist does not exist"
ask brief.example.org >"$tmp/again"
sleep 1.2
answers brief.example.org "0 198.51.100.8" "a name whose time is over"
[ "$(grep -ci 'query\[A\] brief.example.org' "$tmp/dnsmasq")" = 2 ]
is $? "is asked for again"
[ "$(ask www.example.org 28)" = 0 ] && [ "$(ask bob.lab 15)" = 0 ]
is $? "IPv6 addresses are none, nor have the lab's names records of other types"

# dig OPTIONS...: the other router, by UDP
dig_fw() {
	ip netns exec "$client" dig @10.0.0.2 +notcp +ignore +tries=1 +time=9 "$@"
}
count() { grep -c "$1" "$tmp/asked"; }
[ "$(dig_fw +short cut.test | sort | tr '\n' ' ')" = \
    "198.51.100.1 198.51.100.2 198.51.100.3 " ]
is $? "an answer that is cut is asked for by TCP, of the server that is alive"
dig_fw +short cut.test >"$tmp/again"
[ "$(count 'tcp cut.test 1$')" = 1 ]
is $? "... and remembered"
[ "$(dig_fw +short text.test TXT)" = '"hello"' ]
is $? "records of other types are passed on"
dig_fw +bufsize=512 long.test TXT >"$tmp/dig"
grep -q 'flags:.* tc' "$tmp/dig" && grep -q 'ANSWER: 0' "$tmp/dig"
is $? "who cannot take a long answer is told that it is cut"
dig_fw no.test >"$tmp/dig" && dig_fw no.test >"$tmp/dig"
grep -q NXDOMAIN "$tmp/dig" && [ "$(count 'udp no.test 1$')" = 1 ]
is $? "that a name does not exist is remembered"
sleep 2.1
dig_fw no.test >"$tmp/dig" && [ "$(count 'udp no.test 1$')" = 2 ]
is $? "... as long as its zone says"
dig_fw never.test >"$tmp/dig" && dig_fw never.test >"$tmp/dig"
grep -q NXDOMAIN "$tmp/dig" && [ "$(count 'udp never.test 1$')" = 2 ]
is $? "... and not without its word"
note <"$tmp/asked"
note <"$tmp/dnsmasq"
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
note <"$tmp/log"
