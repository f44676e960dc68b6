#!/bin/bash
# IPv6 by kernels and programs that others wrote: a host makes its address of our
# router's advertisements, asks for the rest by DHCPv6, and reaches another link
# over a smaller MTU, on two routers in a row.  The first one lets nothing in that
# was not asked for, and translates one of its prefixes.
#
#   alice ── lan ── gw ── middle ── far ── net ── server
#   (kernel)    SLAAC           mtu 1400       (kernel)
. "$(dirname "$0")/tap.sh"
need_root ip6
for program in ip bridge ping traceroute tracepath rdisc6 ndisc6 dhclient python3; do
	need ip6 $program
done
[ -w /dev/net/tun ] || skip_all "ip6: needs /dev/net/tun"
namespace router || skip_all "ip6: network namespaces are not allowed here"
router=$ns
namespace alice; alice=$ns
namespace server; server=$ns
in_alice() { ip netns exec "$alice" "$@"; }

cat >"$tmp/ip6.yaml" <<Y
lab: ip6
switches:
  lan:
  middle:
  net:
routers:
  gw:
    ports:
      lan:
        switch: lan
        mtu: 1480
        address6: [2001:db8:1::1/64, fd00:1::1/64]
        ra: {interval: 4s, lifetime: 60s, other: true, domain: lab,
             dns: [2001:db8:53::1, 2001:db8:53::2]}
      middle: {switch: middle, address6: 2001:db8:f::1/64, mtu: 1400}
    routes:
      - {to: "::/0", via: 2001:db8:f::2}
    firewall6: {outside: middle}
    nptv6:
      - {port: middle, inside: "fd00:1::/48", outside: 2001:db8:9::/48}
  far:
    ports:
      middle: {switch: middle, address6: 2001:db8:f::2/64, mtu: 1400}
      net: {switch: net, address6: 2001:db8:2::1/64}
    routes:
      - {to: 2001:db8:1::/64, via: 2001:db8:f::1}
      - {to: 2001:db8:9::/48, via: 2001:db8:f::1}
plugs:
  alice: {switch: lan, locator: "tap:lya0"}
  server: {switch: net, locator: "tap:lya1"}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/ip6.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lya1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
ip -n "$router" link set lya0 netns "$alice"
ip -n "$router" link set lya1 netns "$server"
for n in "$alice" "$server"; do
	ip netns exec "$n" sysctl -q -w net.ipv6.conf.all.disable_ipv6=0 \
	    net.ipv6.conf.default.accept_dad=1
done
in_alice sysctl -q -w net.ipv6.conf.lya0.disable_ipv6=0 \
    net.ipv6.conf.lya0.accept_ra=1 net.ipv6.conf.lya0.autoconf=1
ip -n "$alice" link set lya0 address 02:00:00:00:00:0a up
ip -n "$server" link set lya1 up
ip -n "$server" addr add 2001:db8:2::10/64 dev lya1
ip -n "$server" route add default via 2001:db8:2::1

# ---- SLAAC ----

has_addresses() {
	[ "$(ip -n "$alice" -6 addr show dev lya0 scope global -tentative |
	    grep -c 'scope global.*dynamic')" = 2 ]
}
until_true 10 has_addresses
is $? "the kernel makes an address of each prefix that is advertised"
ip -n "$alice" -6 addr show dev lya0 >"$tmp/addr"
note <"$tmp/addr"
grep -q 2001:db8:1::ff:fe00:a/64 "$tmp/addr" &&
    grep -q fd00:1::ff:fe00:a/64 "$tmp/addr"
is $? "... by its MAC address"
ip -n "$alice" -6 route >"$tmp/route"
grep -q 'default via fe80:.* proto ra' "$tmp/route"
is $? "... and takes the router's link-local address for its default route"
in_alice cat /proc/sys/net/ipv6/conf/lya0/mtu | grep -q '^1480$'
is $? "... and the MTU"

in_alice timeout 10 rdisc6 -1 -r 2 lya0 >"$tmp/rdisc6" 2>&1
is $? "rdisc6 gets an advertisement by asking"
cat >"$tmp/wanted" <<'X'
Hop limit .*: *64
Stateful address conf.*: *No
Stateful other conf.*: *Yes
Router lifetime .*: *60 
Prefix .*: 2001:db8:1::/64
On-link .*: *Yes
Autonomous address conf.*: *Yes
Valid time .*: *2592000
Pref. time .*: *604800
Prefix .*: fd00:1::/64
MTU .*: *1480 
Recursive DNS server .*: 2001:db8:53::1
Recursive DNS server .*: 2001:db8:53::2
DNS search list.*: lab
Source link-layer address.*:
X
while read -r line; do
	grep -Eq "$line" "$tmp/rdisc6" || echo "rdisc6 says no \"$line\""
done <"$tmp/wanted" >"$tmp/missing"
[ ! -s "$tmp/missing" ]
is $? "... and reads in it what the lab file says"
note <"$tmp/missing"
[ -s "$tmp/missing" ] && note <"$tmp/rdisc6"

# ---- neighbours ----

in_alice timeout 10 ndisc6 -1 -r 3 2001:db8:1::1 lya0 >"$tmp/ndisc6" 2>&1 &&
    grep -q "Target link-layer address" "$tmp/ndisc6"
is $? "ndisc6 finds the router's MAC address"
note <"$tmp/ndisc6"
ip -n "$alice" addr add 2001:db8:1::1/64 dev lya0
until_true 5 eval \
    "ip -n $alice -6 addr show dev lya0 | grep -q '2001:db8:1::1.*dadfailed'"
is $? "who takes the router's address finds that it is taken"
ip -n "$alice" addr del 2001:db8:1::1/64 dev lya0

# ---- forwarding ----

in_alice timeout 10 ping -6 -n -c 3 -i 0.2 -W 2 2001:db8:2::10 >"$tmp/ping" 2>&1
is $? "ping reaches a host behind two routers"
tail -2 "$tmp/ping" | note
in_alice timeout 10 ping -6 -n -c 2 -i 0.2 -W 2 ff02::2%lya0 >"$tmp/ping" 2>&1
is $? "... and the routers of the link"
in_alice timeout 20 traceroute -6 -n -q 1 -w 2 2001:db8:2::10 >"$tmp/trace" 2>&1
grep -q ' 1  2001:db8:1::1 ' "$tmp/trace" &&
    grep -q ' 2  2001:db8:f::2 ' "$tmp/trace" &&
    grep -q ' 3  2001:db8:2::10 ' "$tmp/trace"
is $? "traceroute shows both"
note <"$tmp/trace"
in_alice timeout 30 tracepath -6 -n 2001:db8:2::10 >"$tmp/path" 2>&1
grep -q 'pmtu 1400' "$tmp/path" && grep -q 'reached' "$tmp/path"
is $? "tracepath finds the smaller MTU on the way"
note <"$tmp/path"
in_alice timeout 10 ping -6 -n -c 2 -i 0.2 -W 2 -s 3000 2001:db8:2::10 \
    >"$tmp/ping" 2>&1
is $? "fragments of a larger ping pass"
in_alice timeout 10 ping -6 -n -c 2 -i 0.2 -W 2 -s 9000 2001:db8:1::1 \
    >"$tmp/ping" 2>&1 &&
    in_alice timeout 10 ping -6 -n -c 2 -i 0.2 -W 2 -s 9000 2001:db8:f::2 \
	>>"$tmp/ping" 2>&1
is $? "routers answer it, too"
grep loss "$tmp/ping" | note
in_alice timeout 10 ping -6 -n -c 1 -W 5 2001:db8:2::99 >"$tmp/ping" 2>&1
grep -q 'Destination unreachable: Address unreachable' "$tmp/ping"
is $? "a host that is not there is told of"
note <"$tmp/ping"
in_alice timeout 10 ping -6 -n -c 1 -W 3 2a00::1 >"$tmp/ping" 2>&1
grep -q 'Destination unreachable: No route' "$tmp/ping"
is $? "... and so is a net that is not there"
note <"$tmp/ping"

cat >"$tmp/serve.py" <<'X'
import socket, sys
s = socket.create_server(("2001:db8:2::10", 7000), family=socket.AF_INET6)
c, who = s.accept()
n = 0
while True:
    d = c.recv(65536)
    if not d:
        break
    n += len(d)
c.sendall(b"%d %s" % (n, who[0].encode()))
c.close()
X
cat >"$tmp/ask.py" <<'X'
import socket
s = socket.create_connection(("2001:db8:2::10", 7000), timeout=20)
s.sendall(bytes(3000000))
s.shutdown(socket.SHUT_WR)
print(s.recv(100).decode())
X
ip netns exec "$server" timeout 30 python3 "$tmp/serve.py" &
pids="$pids $!"
until_true 5 eval "ip netns exec $server ss -ltn | grep -q :7000"
in_alice timeout 30 python3 "$tmp/ask.py" >"$tmp/asked" 2>&1
grep -q '^3000000 2001:db8:1::ff:fe00:a$' "$tmp/asked"
is $? "TCP carries 3 MB across, from the address that alice made"
note <"$tmp/asked"

# ---- what is let in, and by which address ----

ip netns exec "$server" timeout 10 ping -6 -n -c 2 -i 0.2 -W 1 \
    2001:db8:1::ff:fe00:a >"$tmp/ping" 2>&1
[ $? = 1 ]
is $? "a ping from outside is not let in"
ip netns exec "$router" "$LANYARD" show ip6 drops >"$tmp/drops"
grep -q '^gw  *flow-unasked  *2 ' "$tmp/drops"
is $? "... and counted by its reason"
cat >"$tmp/echo.py" <<'X'
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("2001:db8:2::10", 7001))
while True:
    d, who = s.recvfrom(2000)
    s.sendto(who[0].encode(), who)
X
cat >"$tmp/from.py" <<'X'
import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
s.bind((sys.argv[1], 0))
s.sendto(b"x", ("2001:db8:2::10", 7001))
print(s.recvfrom(2000)[0].decode())
X
ip netns exec "$server" timeout 60 python3 "$tmp/echo.py" &
pids="$pids $!"
until_true 5 eval "ip netns exec $server ss -lun | grep -q :7001"
in_alice python3 "$tmp/from.py" 2001:db8:1::ff:fe00:a >"$tmp/from" 2>&1
grep -q '^2001:db8:1::ff:fe00:a$' "$tmp/from"
is $? "an answer to what was sent is let in"
note <"$tmp/from"
in_alice python3 "$tmp/from.py" fd00:1::ff:fe00:a >"$tmp/from" 2>&1
grep -q '^2001:db8:9:cf3f:0:ff:fe00:a$' "$tmp/from"
is $? "the server sees the other address in the outside prefix"
note <"$tmp/from"
in_alice timeout 20 traceroute -6 -n -q 1 -w 2 -s fd00:1::ff:fe00:a \
    2001:db8:2::10 >"$tmp/trace" 2>&1
grep -q ' 2  2001:db8:f::2 ' "$tmp/trace" &&
    grep -q ' 3  2001:db8:2::10 ' "$tmp/trace"
is $? "errors about what was translated come back to who sent it"
note <"$tmp/trace"
ip netns exec "$router" "$LANYARD" show ip6 flows >"$tmp/flows"
grep -q '^gw .* udp  *\[fd00:1::ff:fe00:a\]:[0-9]*  *\[2001:db8:2::10\]:7001  *two-way' \
    "$tmp/flows"
is $? "show flows has them"
grep -v ':33[0-9]* ' "$tmp/flows" | note

# ---- DHCPv6 without addresses ----

cat >"$tmp/script" <<X
#!/bin/sh
env >>"$tmp/dhclient.env"
exit 0
X
chmod +x "$tmp/script"
: >"$tmp/leases"
in_alice timeout 20 dhclient -6 -S -1 -v -sf "$tmp/script" -lf "$tmp/leases" \
    -pf "$tmp/dhclient.pid" lya0 >"$tmp/dhclient" 2>&1
[ -s "$tmp/dhclient.pid" ] && kill "$(cat "$tmp/dhclient.pid")" 2>/dev/null
grep -q 'dhcp6_name_servers=2001:db8:53::1 2001:db8:53::2' \
    "$tmp/dhclient.env" && grep -q 'dhcp6_domain_search=lab' "$tmp/dhclient.env"
is $? "dhclient is told DNS servers and domain by DHCPv6"
note <"$tmp/dhclient"

# ---- duplicates, groups, better ways ----

show_port() { ip netns exec "$router" "$LANYARD" show ip6 ports | grep "^$1 "; }
flap() {
	ip netns exec "$router" "$LANYARD" set ip6 far.net down &&
	    ip netns exec "$router" "$LANYARD" set ip6 far.net up
}
ip -n "$server" addr add 2001:db8:2::1/128 dev lya1 nodad
flap
until_true 5 eval 'show_port far.net | grep -q "2001:db8:2::1/64 (duplicate)"'
is $? "a router does not use an address that a kernel has already"
show_port far.net | note
grep -q 'far.net: 2001:db8:2::1 is the address of .* already' "$tmp/log"
is $? "... and says so"
ip -n "$server" addr del 2001:db8:2::1/128 dev lya1
flap
until_true 5 in_alice ping -6 -n -c 1 -W 1 2001:db8:2::10 >/dev/null
is $? "when it is gone and the link is back, the router has it"
! show_port far.net | grep -q '('
is $? "... which show says, too"
# A snooping bridge between the two, with a querier.
ip -n "$alice" link add br0 type bridge mcast_snooping 1 mcast_querier 1 \
    mcast_query_interval 100 mcast_query_response_interval 50 \
    mcast_startup_query_interval 25
ip -n "$alice" link set lya0 master br0
ip -n "$alice" link set br0 up
has_group() { bridge -n "$alice" mdb show | grep -q "port lya0 grp $1"; }
until_true 5 has_group ff02::2
is $? "a snooping bridge learns that the router is of all routers"
until_true 5 has_group ff02::1:ff00:1
is $? "... and of its address's group"
bridge -n "$alice" mdb show | note
ip -n "$alice" link del br0

# ---- what the lab says of it ----

ip netns exec "$router" "$LANYARD" show ip6 arp >"$tmp/arp"
grep -q '^gw.lan  *2001:db8:1::ff:fe00:a  *02:00:00:00:00:0a' "$tmp/arp"
is $? "show arp has the neighbours of IPv6"
ip netns exec "$router" "$LANYARD" show ip6 routes >"$tmp/routes"
grep -q '^gw  *::/0  *2001:db8:f::2  *gw.middle' "$tmp/routes"
is $? "show routes has the routes of IPv6"
ip netns exec "$router" "$LANYARD" show ip6 drops | note
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
