#!/bin/bash
# Running labs as interfaces of Wireshark, and captures of whole labs.
. "$(dirname "$0")/tap.sh"
need extcap tshark
export HOME=$tmp/home
unset XDG_CONFIG_HOME
mkdir -p "$HOME/.config/wireshark/extcap"
ln -s "$LANYARD" "$HOME/.config/wireshark/extcap/lanyard-extcap"
cat >"$tmp/busy.yaml" <<'EOF'
lab: busy
switches: {lan: , wan: }
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
hosts:
  a: {switch: lan, address: 10.0.0.2/24, gateway: 10.0.0.1,
      send: {to: 203.0.113.2, every: 20ms}}
  b: {switch: wan, address: 203.0.113.2/24}
EOF
cd "$tmp" || exit 1
"$LANYARD" run busy.yaml --for 60s >log 2>&1 &
pids="$pids $!"
for _ in $(seq 100); do
	"$LANYARD" ls | grep -q busy && break
	sleep 0.1
done
"$LANYARD" check busy.yaml 2>&1 | note
tshark -D 2>/dev/null >list
grep -q 'lanyard:busy (lanyard lab busy, all ports)' list &&
    grep -q 'lanyard:busy:gw.inside (' list
is $? "tshark -D lists the running lab and its ports"
timeout 30 tshark -i lanyard:busy:gw.inside -c 10 -T fields \
    -e frame.interface_name -e icmp.type 2>/dev/null >frames
[ "$(grep -c '^gw.inside' frames)" = 10 ]
is $? "tshark -i captures ten frames at a port, live"
timeout 30 tshark -i lanyard:busy -c 40 -T fields -e frame.interface_name \
    2>/dev/null | sort -u >names
[ "$(tr '\n' ' ' <names)" = "a.eth0 b.eth0 gw.inside gw.outside " ]
is $? "and at all ports of the lab, by their names"
note <names
timeout 30 tshark -i lanyard:busy -f 'icmp[icmptype] == 8' -c 20 -T fields \
    -e icmp.type 2>/dev/null | sort -u >types
[ "$(cat types)" = 8 ]
is $? "its capture filter is applied by the lab"

# The same from the command line: everything, and points with filters.
timeout -s INT 2 "$LANYARD" capture busy -w all.pcapng 2>/dev/null
tshark -r all.pcapng -T fields -e frame.interface_name 2>/dev/null |
    sort | uniq -c | note
[ "$(tshark -r all.pcapng -T fields -e frame.interface_name 2>/dev/null |
    sort -u | wc -l)" = 4 ]
is $? "capture without a point is of the whole lab"
timeout -s INT 2 "$LANYARD" capture busy 'gw.inside icmp[icmptype] == 8' \
    'wan' -w some.pcapng 2>/dev/null
tshark -r some.pcapng -T fields -e frame.interface_name -e icmp.type \
    2>/dev/null | sort -u >some
! grep -q 'gw.inside.0' some && grep -q 'gw.inside.8' some &&
    grep -q 'wan.gw.outside.0' some && grep -q 'wan.b.eth0.8' some
is $? "a point has its filter, and a node means all its ports"
note <some
"$LANYARD" capture busy gw.insid -w x.pcapng 2>err
[ $? = 2 ] && grep -q 'did you mean "gw.inside"' err && [ ! -e x.pcapng ]
is $? "a wrong name is told, and no file is made"
