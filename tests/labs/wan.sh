#!/bin/bash
# A router's outer port gets its address by DHCP from servers that others wrote,
# in three labs at a time: dnsmasq, ISC dhcpd and busybox's udhcpd.  It is a
# client of theirs as any: it renews, is refused, finds another host with its
# address, gives it back; and the LAN behind it comes along.
#
#   client ── tap ── lan ── gw ── net ── tap ── server
#                                  └──── tap ── squatter
. "$(dirname "$0")/tap.sh"
need_root wan
for program in ip dnsmasq udhcpc dig python3 tcpdump busybox; do
	need wan $program
done
[ -w /dev/net/tun ] || skip_all "wan: needs /dev/net/tun"
namespace router || skip_all "wan: network namespaces are not allowed here"
router=$ns

# ---- one lab: $lab, with namespaces $server and $client ----

# make_lab NAME NUMBER KEYS: with keys of the port inside
make_lab() {
	lab=$1 n=$2
	for role in server client squatter; do
		namespace "$1-$role"
		eval "$role=$ns"
	done
	cat >"$tmp/$lab.yaml" <<Y
lab: $lab
switches: {lan: , net: }
routers:
  gw:
    ports:
      inside:
        switch: lan
        address: 10.0.0.1/24
        dhcp: 10.0.0.100-10.0.0.199
        lease: 10m
        dhcp-probe: 0s
        $3
      outside: {switch: net, address: dhcp, dhcp-probe: 300ms}
    nat: {outside: outside, forwards: "tcp:8080=10.0.0.100:80"}
    dns: {}
    leases: $lab.leases
plugs:
  server: {switch: net, locator: "tap:lyw${n}s"}
  client: {switch: lan, locator: "tap:lyw${n}c"}
  squatter: {switch: net, locator: "tap:lyw${n}q"}
captures:
  - {at: gw.outside, file: $lab.pcapng}
Y
}
# up ADDRESS: starts the lab; the server's address
up() {
	(cd "$tmp" && exec ip netns exec "$router" "$LANYARD" run "$lab.yaml") \
	    >"$tmp/$lab.log" 2>&1 &
	pid=$!
	pids="$pids $pid"
	until_true 10 ip -n "$router" link show "lyw${n}q" || return 1
	attach "lyw${n}s" "$server" "$1"
	attach "lyw${n}c" "$client" 192.0.2.1/32
	ip -n "$client" addr flush dev "lyw${n}c"
	ip -n "$router" link set "lyw${n}q" netns "$squatter"
	ip -n "$squatter" link set "lyw${n}q" up
}
down() {
	kill -INT "$pid"
	wait "$pid"
}
# wan KEY: of the port's row
wan() {
	"$LANYARD" show "$lab" wan --json | python3 -c '
import json, sys
print(json.load(sys.stdin)[0][sys.argv[1]])' "$1"
}
is_wan() { [ "$(wan "$1")" = "$2" ]; }
is_bound() { is_wan state bound; }
# A client of the LAN gets an address, and with it a route.
client_up() {
	cat >"$tmp/$lab.script" <<'S'
#!/bin/sh
case $1 in
deconfig) ip addr flush dev "$interface" ;;
bound|renew)
	ip addr flush dev "$interface"
	ip addr add "$ip/$mask" dev "$interface"
	ip route replace default via "$router" ;;
esac
S
	chmod +x "$tmp/$lab.script"
	ip netns exec "$client" udhcpc -i "lyw${n}c" -f -t 20 -T 1 \
	    -s "$tmp/$lab.script" >"$tmp/$lab.udhcpc" 2>&1 &
	pids="$pids $!"
}
has_address() { ip -n "$client" -4 addr show dev "lyw${n}c" | grep -q "inet $1"; }
reaches() { ip netns exec "$client" ping -c 1 -W 1 "$1"; }
# said TEXT: by the lab, as it happened
said() { grep -q "$1" "$tmp/$lab.log"; }
# seen FILTER: frames of the capture so far
seen() { tcpdump -nr "$tmp/$lab.pcapng" "$1" 2>/dev/null | wc -l; }

# ---- dnsmasq: all there is, a renewal, a conflict ----

with_dnsmasq() {
	make_lab wan-dnsmasq 1 ""
	up 203.0.113.254/24
	# .50 is the only one, and a host that the server does not know has it.
	ip -n "$squatter" addr add 203.0.113.50/24 dev lyw1q
	serve() {
		ip netns exec "$server" dnsmasq -k -C /dev/null --no-hosts \
		    --no-resolv --no-ping --user=root --pid-file= \
		    --dhcp-leasefile="$tmp/dnsmasq.leases" \
		    --dhcp-authoritative --dhcp-range="$2","$1",2m \
		    --dhcp-sequential-ip --dhcp-option=58,4 \
		    --dhcp-option=59,60 --dhcp-option=26,1400 \
		    --dhcp-option=121,198.51.100.0/24,203.0.113.253,0.0.0.0/0,203.0.113.254 \
		    --address=/www.example/203.0.113.254 \
		    --log-facility="$tmp/dnsmasq.log" --log-dhcp &
		dnsmasq=$!
		pids="$pids $dnsmasq"
	}
	serve 203.0.113.60 203.0.113.50
	client_up
	until_true 10 said 'cannot have 203.0.113.50'
	is $? "dnsmasq: an address that another host has is found out"
	until_true 5 grep -q 'DHCPDECLINE.*203.0.113.50' "$tmp/dnsmasq.log"
	is $? "dnsmasq: and declined"
	is_wan address None
	is $? "dnsmasq: and not used"
	until_true 20 is_bound
	is $? "dnsmasq: ten seconds later there is another one"
	"$LANYARD" show "$lab" wan | note
	grep -q "DHCPACK.* $(wan address | cut -d/ -f1) " "$tmp/dnsmasq.log"
	is $? "dnsmasq: show says which"
	is_wan gateway 203.0.113.254 && is_wan mtu 1400 &&
	    is_wan dns 203.0.113.254
	is $? "dnsmasq: with its gateway, MTU and name server"
	"$LANYARD" show "$lab" routes |
	    grep -q '198\.51\.100\.0/24 *203\.0\.113\.253'
	is $? "dnsmasq: and classless routes (RFC 3442)"
	until_true 5 reaches 203.0.113.254
	is $? "dnsmasq: the LAN reaches what is outside"
	[ "$(ip netns exec "$client" dig +short +time=2 @10.0.0.1 www.example)" = \
	    203.0.113.254 ]
	is $? "dnsmasq: a name is asked of the lease's server, by the port"
	until_true 10 eval '[ "$(grep -c "DHCPREQUEST.*$(wan address | cut -d/ -f1)" "$tmp/dnsmasq.log")" -ge 2 ]'
	is $? "dnsmasq: the lease is renewed at T1"
	# Its addresses are others now, and it knows of no leases.
	old=$(wan address)
	kill $dnsmasq
	wait $dnsmasq 2>/dev/null
	rm -f "$tmp/dnsmasq.leases"
	sed -i 's/DHCPDISCOVER/before/' "$tmp/dnsmasq.log"
	serve 203.0.113.80 203.0.113.70
	until_true 8 said "${old%/*}: its server does not let it have that"
	is $? "dnsmasq: a NAK of the server ends what it gave"
	until_true 5 eval 'is_bound && wan address | grep -q "113\.[78]"'
	is $? "dnsmasq: and it gives another one"
	until_true 5 reaches 203.0.113.254
	is $? "dnsmasq: which the LAN reaches the outside by"
	down
	is $? "dnsmasq: the lab ends with status 0"
	grep -q '"port": "gw.outside"' "$tmp/$lab.leases"
	is $? "dnsmasq: the address is kept for the next run"
	[ "$(seen 'udp port 67 and udp[8]=1 and udp[248:2]=0x3501')" -ge 1 ] &&
	    [ "$(seen 'arp and arp[14:4]=0')" -ge 4 ]
	is $? "dnsmasq: the capture has the questions, by DHCP and by ARP"
	note <"$tmp/$lab.log"
	# Run again, it asks for what it had.
	: >"$tmp/dnsmasq.log"
	up 203.0.113.254/24
	until_true 15 is_bound
	is $? "dnsmasq: the next run has an address"
	grep -q DHCPREQUEST "$tmp/dnsmasq.log" &&
	    ! grep -q DHCPDISCOVER "$tmp/dnsmasq.log"
	is $? "dnsmasq: the one of before, asked for at once"
	down
}

# ---- ISC dhcpd: a NAK of an address of before, and a lease that ends ----

with_dhcpd() {
	make_lab wan-dhcpd 2 ""
	cat >"$tmp/dhcpd.conf" <<'C'
authoritative;
ddns-update-style none;
default-lease-time 12;
max-lease-time 12;
min-lease-time 12;
one-lease-per-client true;
ping-check false;
subnet 198.51.100.0 netmask 255.255.255.0 {
	range 198.51.100.20 198.51.100.30;
	option routers 198.51.100.254;
	option domain-name-servers 198.51.100.254;
	option domain-name "isp.example";
}
C
	touch "$tmp/dhcpd.leases"
	# net PREFIX: of the server
	net() {
		ip -n "$server" addr flush dev lyw2s
		ip -n "$server" addr add "$1.254/24" dev lyw2s
		sed -i "s/[0-9]*\.[0-9]*\.[0-9]*\.\(0\|20\|30\|254\)\>/$1.\1/g" \
		    "$tmp/dhcpd.conf"
		sed -i 's/netmask [0-9.]*/netmask 255.255.255.0/' "$tmp/dhcpd.conf"
		: >"$tmp/dhcpd.leases"
	}
	dhcpd() {
		ip netns exec "$server" dhcpd -4 -f -d -cf "$tmp/dhcpd.conf" \
		    -lf "$tmp/dhcpd.leases" -pf "$tmp/dhcpd.pid" \
		    --no-pid lyw2s >"$tmp/dhcpd.log" 2>&1 &
		dhcpd=$!
		pids="$pids $dhcpd"
	}
	up 198.51.100.254/24
	dhcpd
	client_up
	until_true 10 is_bound
	is $? "dhcpd: the port gets an address"
	first=$(wan address)
	until_true 5 reaches 198.51.100.254
	is $? "dhcpd: the LAN reaches what is outside"
	until_true 9 eval '[ "$(grep -c "DHCPREQUEST for ${first%/*} from" "$tmp/dhcpd.log")" -ge 1 ]'
	is $? "dhcpd: renews it (half of 12 s)"
	# Nobody renews it.
	kill $dhcpd
	wait $dhcpd 2>/dev/null
	until_true 20 said "has no address any more, ${first%/*}: its lease has expired"
	is $? "dhcpd: without a server the lease ends"
	! reaches 198.51.100.254 >/dev/null
	"$LANYARD" show "$lab" refusals | grep -q nat-no-address
	is $? "dhcpd: and NAT says why it lets nothing out"
	net 192.0.2
	dhcpd
	until_true 20 eval 'is_bound && wan address | grep -q "^192.0.2."'
	is $? "dhcpd: then it gets one of the net that there is now"
	until_true 5 reaches 192.0.2.254
	is $? "dhcpd: which the LAN reaches the outside by"
	"$LANYARD" show "$lab" nat | grep -q "$(wan address | cut -d/ -f1):8080"
	is $? "dhcpd: and ports are forwarded from"
	"$LANYARD" show "$lab" nat | grep -q "${first%/*}"
	[ $? = 1 ]
	is $? "dhcpd: nothing is translated to the old one"
	down
	is $? "dhcpd: the lab ends with status 0"
	note <"$tmp/$lab.log"
	# The next run comes with an address of a net that is elsewhere.
	kill $dhcpd
	wait $dhcpd 2>/dev/null
	up 198.51.100.254/24
	net 198.51.100
	dhcpd
	until_true 20 eval 'is_bound && wan address | grep -q "^198.51.100."'
	is $? "dhcpd: the next run gets an address"
	said "cannot have 192.0.2.*its server does not let it have that"
	is $? "dhcpd: after it was refused the one of before"
	down
	note <"$tmp/$lab.log"
}

# ---- udhcpd: the same net on both sides, and the address given back ----

with_udhcpd() {
	make_lab wan-udhcpd 3 "instead: 10.99.0.1/24"
	# The port's address is then given back at the end.
	sed -i '/leases:/d; s/lease: 10m/lease: 16s/' "$tmp/$lab.yaml"
	cat >"$tmp/udhcpd.conf" <<C
start 10.0.0.50
end 10.0.0.60
interface lyw3s
max_leases 11
min_lease 10
lease_file $tmp/udhcpd.leases
pidfile $tmp/udhcpd.pid
opt subnet 255.255.255.0
opt router 10.0.0.254
opt lease 60
C
	touch "$tmp/udhcpd.leases"
	up 10.0.0.254/24
	client_up
	until_true 10 has_address 10.0.0.100
	is $? "udhcpd: the LAN has its addresses before the port has one"
	ip netns exec "$server" busybox udhcpd -f "$tmp/udhcpd.conf" \
	    >"$tmp/udhcpd.log" 2>&1 &
	udhcpd=$!
	pids="$pids $udhcpd"
	until_true 20 eval 'is_bound && wan address | grep -q "^10.0.0."'
	is $? "udhcpd: the port gets an address of the LAN's own net"
	said 'gw.inside: moves from 10.0.0.1/24 to 10.99.0.1/24'
	is $? "udhcpd: the LAN makes way (RFC 4787 REQ-7)"
	# When it comes to renew its lease, after half of that.
	until_true 20 has_address 10.99.0.100
	is $? "udhcpd: its host is told so, and gets an address there"
	until_true 5 reaches 10.0.0.254
	is $? "udhcpd: and reaches what has its old router's neighbours' addresses"
	down
	is $? "udhcpd: the lab ends with status 0"
	until_true 3 eval '[ "$(seen "udp dst port 67 and dst host 10.0.0.254")" -ge 1 ]'
	is $? "udhcpd: and gives its address back"
	note <"$tmp/$lab.log"
}

# Each in its own shell, with the lines of its tests in a file.
part() {
	(trap - EXIT INT TERM; tests=0 pids=; namespaces=
	"with_$1" >"$tmp/$1.tap" 2>&1
	for p in $pids; do kill "$p" 2>/dev/null; done
	for p in $pids; do wait "$p" 2>/dev/null; done
	for x in $namespaces; do ip netns del "$x"; done) &
	parts="$parts $!"
}
parts=
part dnsmasq
[ -x /usr/sbin/dhcpd ] && part dhcpd
part udhcpd
for p in $parts; do wait "$p"; done
[ -x /usr/sbin/dhcpd ] || skip "dhcpd: needs isc-dhcp-server"
for name in dnsmasq dhcpd udhcpd; do
	[ -f "$tmp/$name.tap" ] || continue
	while IFS= read -r line; do
		case $line in
		"ok "*) ok "${line#* - }" ;;
		"not ok "*) not_ok "${line#* - }" ;;
		*) printf '%s\n' "$line" ;;
		esac
	done <"$tmp/$name.tap"
done
