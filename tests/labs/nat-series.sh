#!/bin/bash
# Two NATs in series, a home's behind a carrier's: what programs of others find
# of both together, and that all that goes across one goes across two, also over
# a smaller MTU between them.
#
#   client ── tap ── lan ── home ── mid ── cgn ── wan ── tap ── server
#                                 MTU 1300
. "$(dirname "$0")/tap.sh"
need_root nat-series
for program in ip turnserver turnutils_natdiscovery stund stun traceroute mtr \
    hping3 nmap iperf3 ping wget vsftpd curl python3; do
	need nat-series $program
done
[ -w /dev/net/tun ] || skip_all "nat-series: needs /dev/net/tun"
namespace router ||
    skip_all "nat-series: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns

cat >"$tmp/series.yaml" <<Y
lab: series
switches:
  lan:
  mid:
  wan:
routers:
  home:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24}
      outside: {switch: mid, address: 100.64.0.2/24, mtu: 1300}
    routes:
      - {to: 0.0.0.0/0, via: 100.64.0.1}
    nat: {outside: outside}
  cgn:
    ports:
      inside: {switch: mid, address: 100.64.0.1/24, mtu: 1300}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside, preset: cgn}
plugs:
  client: {switch: lan, locator: "tap:lys0"}
  server: {switch: wan, locator: "tap:lys1"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/series.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lys1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
ip -n "$router" link set lys0 netns "$client"
ip -n "$router" link set lys1 netns "$server"
ip -n "$client" addr add 10.0.0.10/24 dev lys0
ip -n "$server" addr add 203.0.113.10/24 dev lys1
ip -n "$server" addr add 203.0.113.11/24 dev lys1
ip -n "$client" link set lys0 up
ip -n "$server" link set lys1 up
ip -n "$client" route add default via 10.0.0.1

inside() { timeout 30 ip netns exec "$client" "$@"; }
serve() {
	ip netns exec "$server" "$@" >>"$tmp/served" 2>&1 &
	serving=$!
	pids="$pids $serving"
}
listens() { ip netns exec "$server" ss -Hln "$1" "sport = :$2" | grep -q .; }

# ---- what they are together ----

serve turnserver -n --no-tls --no-dtls --no-cli --stun-only --no-auth \
    -L 203.0.113.10 -L 203.0.113.11 --pidfile "$tmp/turn.pid" \
    --log-file stdout --simple-log
turn=$serving
until_true 5 listens -u 3478
# try HOME'S MAPPING AND FILTERING, THE CARRIER'S, WORDS FOR THE SUM OF EACH
try() {
	"$LANYARD" set series home nat.mapping=$1 nat.filtering=$2
	"$LANYARD" set series cgn nat.mapping=$3 nat.filtering=$4
	inside turnutils_natdiscovery -m 203.0.113.10 >"$tmp/mapping" 2>&1
	grep -q "NAT with $5 Mapping" "$tmp/mapping"
	is $? "mapping $1 behind $3 is found to be $5"
	inside turnutils_natdiscovery -f 203.0.113.10 >"$tmp/filtering" 2>&1
	grep -q "NAT with $6 Filtering" "$tmp/filtering"
	is $? "filtering $2 behind $4 is found to be $6"
}
ei=endpoint-independent ad=address-dependent apd=address-and-port-dependent
EI="Endpoint Independent" AD="Address Dependent" APD="Address and Port Dependent"
try $ei $ei $ei $ei "$EI" "$EI"
try $ei $ad $ad $ei "$AD" "$AD"
try $apd $ei $ei $apd "$APD" "$APD"
kill $turn
wait $turn 2>/dev/null
"$LANYARD" set series home nat.mapping=$ei nat.filtering=$apd
"$LANYARD" set series cgn nat.mapping=$ei nat.filtering=$ei
serve stund -h 203.0.113.10 -a 203.0.113.11 -p 3478 -o 3479
until_true 5 listens -u 3478
inside stun 203.0.113.10:3478 -p 4444 >"$tmp/stun" 2>&1
grep -q "Independent Mapping, Port Dependent Filter" "$tmp/stun"
is $? "the STUN client agrees with the stricter of both"
note <"$tmp/stun"
kill $serving
wait $serving 2>/dev/null

# ---- what goes across ----

mkdir "$tmp/files" "$tmp/empty"
head -c 3000000 /dev/urandom >"$tmp/files/file"
chmod 755 "$tmp" "$tmp/files" "$tmp/empty"
cat >"$tmp/vsftpd.conf" <<C
listen=YES
background=NO
anonymous_enable=YES
anon_root=$tmp/files
connect_from_port_20=YES
secure_chroot_dir=$tmp/empty
seccomp_sandbox=NO
xferlog_enable=NO
C
serve vsftpd "$tmp/vsftpd.conf"
serve python3 -m http.server -b 203.0.113.10 -d "$tmp/files" 80
serve iperf3 -s -B 203.0.113.10
for port in 21 80 5201; do until_true 5 listens -t $port; done

# got COMMAND...: it fetches the file to $tmp/got
got() {
	rm -f "$tmp/got"
	inside "$@" >"$tmp/get" 2>&1 && cmp -s "$tmp/got" "$tmp/files/file"
}
# First, as nobody knows of the smaller MTU yet.
got wget -q -T 10 -t 1 -O "$tmp/got" http://203.0.113.10/file
is $? "wget gets a file whole, whose sender learns of the MTU on the way"
ip -n "$server" route get 203.0.113.1 | grep -q 'mtu 1300'
is $? "and the server has been told by the carrier's NAT"
inside ping -c 2 -i 0.2 -W 2 -M do -s 1400 203.0.113.10 >"$tmp/ping" 2>&1
grep -q 'mtu = 1300\|mtu=1300' "$tmp/ping"
is $? "the client is told by the home's"
note <"$tmp/ping"
inside ping -c 2 -i 0.2 -W 2 -s 3000 203.0.113.10 >"$tmp/ping" 2>&1
is $? "pings in fragments, which are cut again, come back"
inside traceroute -n -q 1 --mtu 203.0.113.10 >"$tmp/trace" 2>&1
grep -q 'F=1300' "$tmp/trace"
is $? "traceroute --mtu finds it, too"
hops='^ *1[ .].*10\.0\.0\.1 \|^ *2[ .].*100\.64\.0\.1 \|^ *3[ .].*203\.0\.113\.10 '
for kind in -U -I "-T -p 80"; do
	inside traceroute -n -q 1 -w 2 $kind 203.0.113.10 >"$tmp/trace" 2>&1
	[ "$(grep -c "$hops" "$tmp/trace")" = 3 ]
	is $? "traceroute $kind shows both hops and the server"
done
inside mtr -n -r -c 3 -i 0.2 203.0.113.10 >"$tmp/mtr" 2>&1
[ "$(grep "$hops" "$tmp/mtr" | grep -c ' 0\.0%')" = 3 ]
is $? "mtr shows both hops and the server, without loss"
note <"$tmp/mtr"
inside hping3 -c 3 -i u100000 -S -p 80 203.0.113.10 >"$tmp/hping" 2>&1
[ "$(grep -c 'flags=SA' "$tmp/hping")" = 3 ]
is $? "hping3's SYNs are answered"
inside nmap -n -Pn -sS -p 79-81,5201 203.0.113.10 >"$tmp/nmap" 2>&1
[ "$(grep -c '^\(80\|5201\)/tcp *open' "$tmp/nmap")" = 2 ] &&
    [ "$(grep -c '^\(79\|81\)/tcp *closed' "$tmp/nmap")" = 2 ]
is $? "nmap finds the TCP ports that are open and closed"
inside nmap -n -Pn -sU -p 9 203.0.113.10 >"$tmp/nmap" 2>&1
grep -q '^9/udp *closed' "$tmp/nmap"
is $? "nmap is told that a UDP port is closed"
for direction in "" -R; do
	inside iperf3 -c 203.0.113.10 -t 1 -J $direction >"$tmp/iperf" 2>&1
	rate=$(jq '.end.sum_received.bits_per_second / 1e7 | round / 100' \
	    "$tmp/iperf")
	[ "${rate%%.*}" -ge 0 ] 2>/dev/null && [ "$rate" != 0 ]
	is $? "iperf3 $direction goes across two: $rate Gbit/s"
done
inside iperf3 -c 203.0.113.10 -u -b 20M -t 1 -J >"$tmp/iperf" 2>&1
[ "$(jq '.end.sum.packets > 100 and .end.sum.lost_percent < 1' "$tmp/iperf")" = true ]
is $? "iperf3 -u loses less than 1 %"
got curl -sS -m 10 -o "$tmp/got" ftp://203.0.113.10/file
is $? "passive FTP goes across"
! got curl -sS -m 2 -o "$tmp/got" --ftp-port - ftp://203.0.113.10/file
is $? "active FTP does not"
"$LANYARD" set series home nat.ftp=true
! got curl -sS -m 2 -o "$tmp/got" --ftp-port - ftp://203.0.113.10/file
is $? "nor if only the home's NAT lets it"
"$LANYARD" set series cgn nat.ftp=true
for form in --eprt --disable-eprt; do
	got curl -sS -m 10 -o "$tmp/got" --ftp-port - $form \
	    ftp://203.0.113.10/file
	is $? "active FTP goes across if both let it, $form"
	note <"$tmp/get"
done
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
