#!/bin/bash
# Clients behind our relay get, renew and release leases of a dnsmasq that is two
# routers away, and is told by which port they came.  Then our own server has the
# leases of a client behind our relay, and of one behind dnsmasq's.
#
#   udhcpc ─── tap ─┐
#                   lan ── edge ── core ── gw ── servers ── tap ── dnsmasq
#   dhclient ─ tap ─┘
. "$(dirname "$0")/tap.sh"
need_root dhcp-relay
for program in ip udhcpc dhclient dnsmasq; do need dhcp-relay $program; done
[ -w /dev/net/tun ] || skip_all "dhcp-relay: needs /dev/net/tun"
namespace router || skip_all "dhcp-relay: network namespaces are not allowed here"
router=$ns
for name in one two server; do
	namespace $name
	eval "$name=$ns"
done

cat >"$tmp/relay.yaml" <<Y
lab: dhcprelay
switches: {lan: , core: , servers: }
routers:
  edge:
    ports:
      clients:
        switch: lan
        address: 10.0.0.1/24
        dhcp-relay: [192.0.2.99, 192.0.2.10]
        dhcp-relay-info: true
      core: {switch: core, address: 10.9.0.1/24}
    routes:
      - {to: 0.0.0.0/0, via: 10.9.0.2}
  gw:
    ports:
      core: {switch: core, address: 10.9.0.2/24}
      servers: {switch: servers, address: 192.0.2.1/24}
    routes:
      - {to: 10.0.0.0/24, via: 10.9.0.1}
plugs:
  one: {switch: lan, locator: "tap:lyr1"}
  two: {switch: lan, locator: "tap:lyr2"}
  server: {switch: servers, locator: "tap:lyr3"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/relay.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
for n in 1 2 3; do
	until_true 10 ip -n "$router" link show lyr$n || {
		not_ok "the lab starts"
		note <"$tmp/log"
		exit 1
	}
done
ip -n "$router" link set lyr1 netns "$one"
ip -n "$router" link set lyr2 netns "$two"
ip -n "$router" link set lyr3 netns "$server"
ip -n "$server" addr add 192.0.2.10/24 dev lyr3
for at in "$one 1" "$two 2" "$server 3"; do
	ip -n ${at% *} link set lyr${at#* } up
done
ip -n "$server" route add default via 192.0.2.1
ip netns exec "$server" dnsmasq -k -C /dev/null -p 0 --log-dhcp \
    --log-facility=- --no-ping --dhcp-leasefile="$tmp/leases" --dhcp-authoritative \
    --dhcp-range=10.0.0.100,10.0.0.199,255.255.255.0,120 \
    --dhcp-option=option:router,10.0.0.1 \
    --dhcp-circuitid=set:here,edge.clients \
    --dhcp-option=tag:here,option:ntp-server,10.9.9.9 >"$tmp/dnsmasq" 2>&1 &
dnsmasq=$!
pids="$pids $dnsmasq"
until_true 5 grep -q 'DHCP, IP range' "$tmp/dnsmasq"
is $? "dnsmasq serves a subnet that it has no part in"

cat >"$tmp/script" <<'S'
#!/bin/sh
set >>"$TOLD"
case $1 in
bound|renew) ip addr replace "$ip/$mask" dev "$interface"
	ip route replace default via "$router" ;;
deconfig) ip addr flush dev "$interface" ;;
esac
echo "$1" >>"$SAID"
S
cat >"$tmp/dhclient-script" <<'S'
#!/bin/sh
case $reason in
BOUND|RENEW|REBOOT|REBIND)
	ip addr replace "$new_ip_address/24" dev "$interface"
	ip route replace default via "$new_routers" ;;
EXPIRE|FAIL|RELEASE|STOP) ip addr flush dev "$interface" ;;
esac
exit 0
S
chmod +x "$tmp/script" "$tmp/dhclient-script"
touch "$tmp/dhclient.leases"
dhclient() {
	timeout 20 ip netns exec "$two" dhclient -v -sf "$tmp/dhclient-script" \
	    -cf /dev/null -lf "$tmp/dhclient.leases" -pf "$tmp/dhclient.pid" \
	    "$@" lyr2 >>"$tmp/dhclient" 2>&1
}

TOLD=$tmp/told SAID=$tmp/said ip netns exec "$one" udhcpc -i lyr1 -f -R -t 5 \
    -O ntpsrv -s "$tmp/script" >"$tmp/udhcpc" 2>&1 &
udhcpc=$!
pids="$pids $udhcpc"
until_true 10 grep -q bound "$tmp/said"
is $? "udhcpc gets a lease by the relay"
grep -q "ntpsrv='10.9.9.9'" "$tmp/told"
is $? "dnsmasq knows by which port it came"
dhclient -1
is $? "dhclient gets a lease by the relay"
pids="$pids $(cat "$tmp/dhclient.pid")"
[ "$(grep -c ' 10\.0\.0\.1[0-9][0-9] ' "$tmp/leases")" = 2 ]
is $? "dnsmasq has given two leases of the clients' subnet"
ip netns exec "$one" ping -c 1 -W 2 192.0.2.10 >"$tmp/ping" 2>&1
is $? "the client reaches its server by the routers"
acks=$(grep -c DHCPACK "$tmp/dnsmasq")
kill -USR1 $udhcpc
until_true 5 grep -q renew "$tmp/said"
is $? "udhcpc renews its lease, without the relay"
[ "$(grep -c DHCPACK "$tmp/dnsmasq")" -gt "$acks" ]
is $? "... and dnsmasq has heard it"
kill $udhcpc
until_true 5 grep -q DHCPRELEASE "$tmp/dnsmasq"
is $? "udhcpc releases its lease"
"$LANYARD" show dhcprelay drops >"$tmp/drops"
! grep -q 'dhcp' "$tmp/drops"
is $? "no message of DHCP was refused"
note <"$tmp/drops"
grep -h 'DHCP\(DISCOVER\|OFFER\|REQUEST\|ACK\)\|circuit' "$tmp/dnsmasq" | head -12 | note
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"

kill $dnsmasq
wait $dnsmasq
#   udhcpc ── tap ── lan ── edge ── core ── gw
#                                    └── tap ── dnsmasq's relay ── veth ── udhcpc
cat >"$tmp/relayed.yaml" <<Y
lab: dhcprelayed
switches: {lan: , core: }
routers:
  edge:
    ports:
      clients: {switch: lan, address: 10.0.0.1/24, dhcp-relay: 10.9.0.2,
          dhcp-relay-info: true}
      core: {switch: core, address: 10.9.0.1/24}
  gw:
    ports:
      core:
        switch: core
        address: 10.9.0.2/24
        domain: lab
        dhcp-relayed:
          - {relay: 10.0.0.1/24, range: 10.0.0.100-10.0.0.199}
          - {relay: 10.7.0.1/24, range: 10.7.0.100-10.7.0.199, dns: 10.9.9.9}
    routes:
      - {to: 10.0.0.0/24, via: 10.9.0.1}
      - {to: 10.7.0.0/24, via: 10.9.0.7}
plugs:
  one: {switch: lan, locator: "tap:lyr1"}
  other: {switch: core, locator: "tap:lyr3"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/relayed.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
for at in "$one 1" "$server 3"; do
	until_true 10 ip -n "$router" link show lyr${at#* }
	ip -n "$router" link set lyr${at#* } netns ${at% *}
	ip -n ${at% *} link set lyr${at#* } up
done
note <"$tmp/log"
ip -n "$server" addr add 10.9.0.7/24 dev lyr3
ip -n "$server" link add lyr4 type veth peer name lyr5 netns "$two"
ip -n "$server" addr add 10.7.0.1/24 dev lyr4
ip -n "$server" link set lyr4 up
ip -n "$two" link set lyr5 up
ip netns exec "$server" sysctl -qw net.ipv4.ip_forward=1
ip netns exec "$server" dnsmasq -k -C /dev/null -p 0 --log-dhcp \
    --log-facility=- --dhcp-relay=10.7.0.1,10.9.0.2 >"$tmp/dnsmasq" 2>&1 &
pids="$pids $!"
# ask NAMESPACE LINK: a lease, which is renewed and released
ask() {
	rm -f "$tmp/said" "$tmp/told"
	TOLD=$tmp/told SAID=$tmp/said ip netns exec "$1" udhcpc -i "$2" -f -R \
	    -t 5 -s "$tmp/script" >"$tmp/udhcpc" 2>&1 &
	udhcpc=$!
	pids="$pids $udhcpc"
	until_true 10 grep -q bound "$tmp/said"
}
release() {
	kill -USR1 $udhcpc
	until_true 5 grep -q renew "$tmp/said"
	is $? "... renews it by itself"
	"$LANYARD" show dhcprelayed leases >"$tmp/shown"
	note <"$tmp/shown"
	kill $udhcpc
	until_true 5 leases_are 0
	is $? "... and releases it"
}
leases_are() {
	[ "$("$LANYARD" show dhcprelayed leases | grep -c leased)" = "$1" ]
}
ask "$one" lyr1 && grep -q "ip='10.0.0.100'" "$tmp/told" &&
    grep -q "router='10.0.0.1'" "$tmp/told"
is $? "a client behind our relay gets an address of its subnet from our server"
release
ask "$two" lyr5 && grep -q "ip='10.7.0.100'" "$tmp/told" &&
    grep -q "router='10.7.0.1'" "$tmp/told" &&
    grep -q "dns='10.9.9.9'" "$tmp/told"
is $? "a client behind dnsmasq's relay gets one of its own"
note <"$tmp/dnsmasq"
release
kill -INT $lab
wait $lab
is $? "the lab of relayed subnets ends with status 0"
