#!/bin/bash
# A LAN bridged to a network interface, behind which a DHCP server stands, and
# a host-only LAN: who reaches whom, by which MAC addresses, and what is left of
# both after a kill.
. "$(dirname "$0")/tap.sh"
need_root bridge
for program in ip dnsmasq tshark tcpdump ping; do need bridge $program; done
[ -c /dev/net/tun ] || skip_all "bridge: needs /dev/net/tun"
export LC_ALL=C

# Ours has the NIC n0, the other is what is behind it.
namespace near || skip_all "bridge: cannot make network namespaces"
near=$ns
namespace far
far=$ns
ip -n "$near" link add n0 type veth peer name f0 netns "$far"
ip -n "$near" link add beyond type veth peer name beyond2
for each in "$near n0" "$near beyond" "$near beyond2" "$far f0"; do
	set -- $each
	ip netns exec $1 sysctl -qw net.ipv6.conf.$2.disable_ipv6=1
	ip -n $1 link set $2 up
done
ip -n "$near" addr add 192.0.2.200/24 dev n0
ip -n "$near" addr add 198.51.100.1/24 dev beyond
ip -n "$near" route add default via 198.51.100.2
ip -n "$near" neigh add 198.51.100.2 lladdr 02:00:00:00:00:99 dev beyond
ip netns exec "$near" sysctl -qw net.ipv4.ip_forward=1
ip -n "$far" addr add 192.0.2.1/24 dev f0
ip netns exec "$far" dnsmasq -k --conf-file=/dev/null --port=0 \
    --dhcp-range=192.0.2.10,192.0.2.20,1h --dhcp-authoritative \
    --dhcp-leasefile="$tmp/leases" --no-ping --pid-file= \
    >"$tmp/dnsmasq" 2>&1 &
pids="$pids $!"

alice=02:00:00:00:00:0a bob=02:00:00:00:00:0b carol=02:00:00:00:00:0c
cat >"$tmp/bridged.yaml" <<END
lab: bridged
switches:
  internet:
  lan:
bridges:
  out: {nic: n0, switch: internetKEY}
  host: {mode: host-only, switch: lan, address: 192.168.56.1/24, interface: ho0}
vms:
  alice: {guest: tiny, ports: {eth0: {switch: internet, mac: "$alice"}}}
  bob: {guest: tiny, ports: {eth0: {switch: internet, mac: "$bob"}}}
  carol: {guest: tiny, ports: {eth0: {switch: lan, address: 192.168.56.2/24, gateway: 192.168.56.1, mac: "$carol"}}}
END

# Everything of the namespace's network that somebody could see.
state() {
	ip -n "$near" -d link
	ip -n "$near" addr show | grep inet
	ip -n "$near" route
}
as_before() { state | diff -q "$tmp/before" -; }
# lab [KEYS]: runs it in the background, KEYS being those of its bridge
lab() {
	sed "s/KEY/${1:+, $1}/" "$tmp/bridged.yaml" >"$tmp/run.yaml"
	(cd "$tmp" && exec ip netns exec "$near" \
	    "$LANYARD" run run.yaml >"$tmp/log" 2>&1) &
	lab=$!
	pids="$pids $lab"
}
in_lab() { who=$1; shift; "$LANYARD" exec bridged "$who" -- "$@"; }
has_address() { in_lab "$1" ip | grep -qF "$2"; }
end() { kill "$1" "$lab" 2>/dev/null; wait "$lab" 2>/dev/null; }
# sniff NAMESPACE INTERFACE FILE [FILTER]: until stop
sniff() {
	ip netns exec "$1" tcpdump -q --immediate-mode -U -ni "$2" -w "$3" ${4:-} \
	    2>"$3.err" &
	sniffer=$!
	pids="$pids $sniffer"
	until_true 10 grep -q listening "$3.err"
}
stop() { sleep 0.5; kill "$sniffer"; wait "$sniffer" 2>/dev/null; }
# count FILE FILTER: frames of a capture
count() { tshark -r "$1" -Y "$2" 2>/dev/null | wc -l; }

state >"$tmp/before"

# ---- bridged ----
sniff "$far" f0 "$tmp/far.pcap"
lab
until_true 60 has_address alice 192.0.2. && until_true 60 has_address bob 192.0.2.
is $? "bridged: two guests have addresses of the server behind the NIC"
grep -q $alice "$tmp/leases" && grep -q $bob "$tmp/leases"
is $? "... which knows them by their own MAC addresses"
note <"$tmp/leases"
in_lab alice ping -q -c 3 -i 0.2 192.0.2.1 >"$tmp/ping"
is $? "a guest reaches what is behind the NIC"
note <"$tmp/ping"
theirs=$(awk -v m=$bob '$2 == m { print $3 }' "$tmp/leases")
ip netns exec "$far" ping -q -c 4 -i 0.2 "${theirs:-192.0.2.99}" >"$tmp/ping"
is $? "... which reaches a guest"
! in_lab alice ping -q -c 1 -W 1 192.0.2.200 >/dev/null
is $? "the host, on the NIC's own address, is not reached"
stop
for who in $alice $bob; do
	n=$(count "$tmp/far.pcap" "eth.src==$who && icmp")
	[ "$n" -ge 3 ]
	is $? "there, $n echo messages are seen from $who"
done
n=$(count "$tmp/far.pcap" "eth.addr==$carol || ip.addr==192.168.56.0/24")
[ "$n" = 0 ]
is $? "... and nothing of the host-only LAN"
twice=$(tshark -r "$tmp/far.pcap" -Y 'icmp.type==8' -T fields -e eth.src -e icmp.ident \
    -e icmp.seq 2>/dev/null | sort | uniq -d | wc -l)
[ "$twice" = 0 ]
is $? "... and no echo request twice"

# ---- host-only ----
ip netns exec "$near" ping -q -c 3 -i 0.2 192.168.56.2 >"$tmp/ping"
is $? "host-only: the host reaches the guest"
note <"$tmp/ping"
in_lab carol ping -q -c 3 -i 0.2 192.168.56.1 >"$tmp/ping"
is $? "... and the guest the host"
note <"$tmp/ping"
sniff "$near" any "$tmp/any.pcap" "icmp or arp"
sniff_any=$sniffer
sniff "$far" f0 "$tmp/out.pcap" "icmp or arp"
for to in 192.0.2.1 192.0.2.200 198.51.100.1 198.51.100.7 203.0.113.9; do
	! in_lab carol ping -q -c 1 -W 1 $to >/dev/null
	is $? "the guest does not reach $to, though the host forwards"
done
# That the captures see what there is.
ip netns exec "$near" ping -q -c 1 -W 2 192.0.2.1 >/dev/null
stop
sniffer=$sniff_any
stop
seen="ip.addr==192.0.2.200 && icmp"
n=$(count "$tmp/any.pcap" "icmp && !($seen)")
[ "$n" = 0 ] && [ "$(count "$tmp/any.pcap" "$seen")" -ge 2 ]
is $? "on no interface of the host is there any of it ($n)"
n=$(count "$tmp/out.pcap" "(icmp || arp) && (eth.addr==$carol || ip.addr==192.168.56.0/24)")
[ "$n" = 0 ] && [ "$(count "$tmp/out.pcap" "$seen")" -ge 2 ]
is $? "... nor behind its NIC ($n)"
tshark -r "$tmp/any.pcap" -Y icmp 2>/dev/null | head -n 5 | note
"$LANYARD" show bridged drops >"$tmp/show" 2>&1
grep -q 'host-only' "$tmp/show"
is $? "... and the lab says by what it was refused"
note <"$tmp/show"

# ---- what is left ----
grep -q ho0 <(state) && grep -q 'promiscuity 1' <(state)
is $? "the lab's interface and the NIC's promiscuity are there"
grep -h '^Cap\(Prm\|Eff\)' /proc/"$lab"/status >"$tmp/caps"
[ "$(wc -l <"$tmp/caps")" = 2 ] && while read -r _ set; do
	[ $((0x$set >> 12 & 3)) = 0 ] || break
done <"$tmp/caps" && [ $((0x$set >> 12 & 3)) = 0 ]
is $? "it runs without the capabilities of networks"
note <"$tmp/caps"
end -9
until_true 5 as_before
state | diff "$tmp/before" - >"$tmp/diff"
is $? "after kill -9 the host's network is as before"
note <"$tmp/diff"
ip netns exec "$near" "$LANYARD" ls >/dev/null 2>"$tmp/left"
grep -q "lab \"bridged\" was killed (process $lab)" "$tmp/left" &&
    grep -q 'n0 is not promiscuous any more' "$tmp/left" &&
    grep -q 'its interface ho0 is gone' "$tmp/left"
is $? "... and the next command says what it cleaned up"
note <"$tmp/left"
! ls "$XDG_RUNTIME_DIR/lanyard" | grep -q bridged &&
    [ -z "$("$LANYARD" ls 2>&1 >/dev/null)" ]
is $? "... once"

# ---- the host too ----
lab "host: true"
until_true 60 has_address alice 192.0.2.
is $? "with host: the guest has an address"
theirs=$(awk -v m=$alice '$2 == m { print $3 }' "$tmp/leases")
in_lab alice ping -q -c 3 -i 0.2 192.0.2.200 >"$tmp/ping"
is $? "... and reaches the host by the NIC's own address"
note <"$tmp/ping"
ip netns exec "$near" ping -q -c 3 -i 0.2 "${theirs:-192.0.2.99}" >"$tmp/ping"
is $? "... and is reached by it"
note <"$tmp/ping"
in_lab alice ping -q -c 3 -i 0.2 192.0.2.1 >/dev/null &&
    ip netns exec "$near" ping -q -c 3 -i 0.2 192.0.2.1 >/dev/null
is $? "... and both still reach what is behind the NIC"
in_lab alice ping -c 3 -i 0.2 192.0.2.200 >"$tmp/ping"
! grep -qi dup "$tmp/ping"
is $? "no answer comes twice"
note <"$tmp/log"
end -9
until_true 5 as_before
state | diff "$tmp/before" - >"$tmp/diff"
is $? "after kill -9 the host's network is as before"
note <"$tmp/diff"
"$LANYARD" ls >/dev/null 2>"$tmp/left"
grep -q 'in another network namespace, ended with it' "$tmp/left"
is $? "... which cannot be looked at from another namespace"
note <"$tmp/left"

# ---- without the right ----
state >"$tmp/before"
ip netns exec "$near" "$LANYARD" doctor host >"$tmp/log" 2>&1
grep -q '^yes host .*host: true.* TAP device' "$tmp/log" && as_before
is $? "doctor says what host: true does, and leaves nothing"
note <"$tmp/log"
ip netns exec "$near" setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
    "$LANYARD" doctor host >"$tmp/log" 2>&1
[ $? = 1 ] && grep -q 'sudo setcap cap_net_admin,cap_net_raw+ep' "$tmp/log"
is $? "... or how to get it"
note <"$tmp/log"
ip netns exec "$near" setpriv --bounding-set=-net_admin,-net_raw \
    --inh-caps=-net_admin,-net_raw "$LANYARD" run "$tmp/run.yaml" --for 1s \
    >"$tmp/log" 2>&1
[ $? != 0 ] && grep -q 'sudo setcap cap_net_admin,cap_net_raw+ep' "$tmp/log"
is $? "without the right to, it says how to give it"
note <"$tmp/log"
