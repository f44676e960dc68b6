#!/bin/bash
# Three DHCP clients that others wrote get, renew and release leases from our
# server; an address that a host has already is not given away; leases are kept
# when the lab is run again.
#
#   udhcpc ─── tap ──┐
#   dhclient ─ tap ──┤
#                    lan ── gw
#   dhcpcd ─── tap ──┤
#   squatter ─ tap ──┘
. "$(dirname "$0")/tap.sh"
need_root dhcp
for program in ip udhcpc dhclient dhcpcd python3; do need dhcp $program; done
[ -w /dev/net/tun ] || skip_all "dhcp: needs /dev/net/tun"

namespace router || skip_all "dhcp: network namespaces are not allowed here"
router=$ns
for name in one two three squatter; do
	namespace $name
	eval "$name=$ns"
done

cat >"$tmp/dhcp.yaml" <<Y
lab: dhcp
switches:
  lan:
routers:
  gw:
    ports:
      inside:
        switch: lan
        address: 10.0.0.1/24
        dhcp: 10.0.0.100-10.0.0.199
        lease: 20s
        dns: 10.0.0.1
        domain: lab
        dhcp-options:
          - {code: 42, addresses: [10.0.0.9, 10.0.0.10]}
          - {code: 67, text: boot.img}
    leases: leases.json
plugs:
  one: {switch: lan, locator: "tap:lyd1"}
  two: {switch: lan, locator: "tap:lyd2"}
  three: {switch: lan, locator: "tap:lyd3"}
  squatter: {switch: lan, locator: "tap:lyd4"}
Y

# move TAP NAMESPACE MAC
move() {
	until_true 10 ip -n "$router" link show "$1" || {
		not_ok "the lab starts"
		note <"$tmp/log"
		exit 1
	}
	ip -n "$router" link set "$1" netns "$2"
	ip -n "$2" link set "$1" address "$3"
	ip -n "$2" link set "$1" up
}
start() {
	ip netns exec "$router" "$LANYARD" run "$tmp/dhcp.yaml" \
	    >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	move lyd1 "$one" 02:0c:00:00:00:01
	move lyd2 "$two" 02:0c:00:00:00:02
	move lyd3 "$three" 02:0c:00:00:00:03
	move lyd4 "$squatter" 02:0c:00:00:00:04
	ip -n "$squatter" addr add 10.0.0.100/24 dev lyd4
}
stop() {
	kill -INT $lab
	wait $lab
	is $? "the lab ends with status 0"
	note <"$tmp/log"
}
# lease NUMBER: state, seconds left and address of that client's lease
lease() {
	"$LANYARD" show dhcp leases --json | python3 -c 'import json, sys
for r in json.load(sys.stdin):
    if r["mac"][-1] == sys.argv[1] and r["state"] != "declined":
        print(r["state"], round(r["left_s"]), r["ip"])' "$1"
}
is_state() { [ "$(lease "$1" | cut -d' ' -f1)" = "$2" ]; }
# In its last ten seconds a lease of 20 s was not renewed.
is_renewed() { is_state "$1" leased && [ "$(lease "$1" | cut -d' ' -f2)" -gt 10 ]; }
has_address() {
	ip -n "$1" -4 addr show dev "lyd$2" |
	    grep -q "inet $(lease "$2" | cut -d' ' -f3)/"
}

cat >"$tmp/script" <<'S'
#!/bin/sh
set >>"$TOLD"
case $1 in
bound|renew) ip addr replace "$ip/$mask" dev "$interface" ;;
deconfig) ip addr flush dev "$interface" ;;
esac
echo "$1" >>"$SAID"
S
cat >"$tmp/dhclient.conf" <<'C'
request subnet-mask, routers, domain-name-servers, ntp-servers;
C
cat >"$tmp/dhclient-script" <<'S'
#!/bin/sh
case $reason in
BOUND|RENEW|REBOOT|REBIND)
	ip addr replace "$new_ip_address/24" dev "$interface" ;;
EXPIRE|FAIL|RELEASE|STOP) ip addr flush dev "$interface" ;;
esac
exit 0
S
printf '%s\n' clientid noarp >"$tmp/dhcpcd.conf"
chmod +x "$tmp/script" "$tmp/dhclient-script"
touch "$tmp/dhclient.leases"
dhclient() {
	timeout 20 ip netns exec "$two" dhclient -v -sf "$tmp/dhclient-script" \
	    -cf "$tmp/dhclient.conf" -lf "$tmp/dhclient.leases" \
	    -pf "$tmp/dhclient.pid" "$@" lyd2 >>"$tmp/dhclient" 2>&1
}

start
TOLD=$tmp/told SAID=$tmp/said ip netns exec "$one" udhcpc -i lyd1 -f -R \
    -t 5 -O ntpsrv -O bootfile -s "$tmp/script" >"$tmp/udhcpc" 2>&1 &
udhcpc=$!
pids="$pids $udhcpc"
until_true 5 grep -q bound "$tmp/said"
is $? "udhcpc gets a lease"
dhclient -1
is $? "dhclient gets a lease"
pids="$pids $(cat "$tmp/dhclient.pid")"
# Its files of this system stay as they are.
mkdir -p "$tmp/db" "$tmp/control" /var/lib/dhcpcd /run/dhcpcd
ip netns exec "$three" unshare -m sh -c "mount --bind $tmp/db /var/lib/dhcpcd &&
    mount --bind $tmp/control /run/dhcpcd &&
    exec dhcpcd -4 -B -A -t 20 -f $tmp/dhcpcd.conf -c /bin/true lyd3" \
    >"$tmp/dhcpcd" 2>&1 &
dhcpcd=$!
pids="$pids $dhcpcd"
until_true 15 grep -q 'leased 10\.0\.0\.' "$tmp/dhcpcd"
is $? "dhcpcd gets a lease"
for n in 1 2 3; do
	until_true 3 is_state $n leased || false
	is $? "show leases knows client $n"
done
has_address "$one" 1 && has_address "$two" 2 && has_address "$three" 3
is $? "each client has the address that show leases says"
"$LANYARD" show dhcp leases | note
"$LANYARD" show dhcp leases | grep -q '10\.0\.0\.100 .*declined'
is $? "the address that another host has is passed over, and declined"
grep -q "ntpsrv='10.0.0.9 10.0.0.10'" "$tmp/told" &&
    grep -q "domain='lab'" "$tmp/told" &&
    grep -q "dns='10.0.0.1'" "$tmp/told" &&
    grep -q "bootfile='boot.img'" "$tmp/told"
is $? "udhcpc is told the options it asks for"

sleep 10 # T1 is half of 20 s
for n in 1 2 3; do
	until_true 15 is_renewed $n
	is $? "client $n renews its lease"
done
until_true 5 grep -q renew "$tmp/said"
is $? "udhcpc knows that it has renewed"

kill $udhcpc
until_true 3 is_state 1 expired
is $? "udhcpc releases its lease"
kill -ALRM $dhcpcd
until_true 5 is_state 3 expired
is $? "dhcpcd releases its lease"
wait $dhcpcd
dhclient -r
until_true 3 is_state 2 expired
is $? "dhclient releases its lease"
note <"$tmp/dhclient"
note <"$tmp/dhcpcd"

# Run again, the lab knows who had what.
dhclient -1
kill "$(cat "$tmp/dhclient.pid")"
mine=$(lease 2 | cut -d' ' -f3)
before=$("$LANYARD" show dhcp leases --json | grep -c '"ip"')
stop
start
"$LANYARD" show dhcp leases | note
"$LANYARD" show dhcp leases | grep -q '10\.0\.0\.100 .*declined'
is $? "the next run avoids what the last one did"
[ "$("$LANYARD" show dhcp leases --json | grep -c '"ip"')" = "$before" ]
is $? "the next run knows all leases"
: >"$tmp/dhclient"
dhclient -1
! grep -q DHCPDISCOVER "$tmp/dhclient" && grep -q "DHCPACK of $mine" "$tmp/dhclient"
is $? "dhclient keeps its lease when the lab is run again"
note <"$tmp/dhclient"
kill "$(cat "$tmp/dhclient.pid")"
stop
