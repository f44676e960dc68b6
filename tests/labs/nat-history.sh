#!/bin/bash
# lanyard pcap nat: the table that follows from a capture is the one that the
# router had, in virtual time to the last digit.
. "$(dirname "$0")/tap.sh"
need nat-history jq

# The table of a run in virtual time, when it ends, and that of its last frame.
at_end() { # NAME
	(cd "$tmp" && "$LANYARD" run "$1.yaml" --virtual-time --seed 7 --json) \
	    >"$tmp/$1.json" 2>"$tmp/$1.log"
	is $? "$1: the lab meets its expectations"
	note <"$tmp/$1.log"
	jq -S .tables.nat "$tmp/$1.json" >"$tmp/$1.live"
	"$LANYARD" pcap nat "$tmp/virtual.pcapng" --json | jq -S . \
	    >"$tmp/$1.then"
	[ "$(jq length "$tmp/$1.live")" = "$2" ] &&
	    cmp "$tmp/$1.live" "$tmp/$1.then"
	is $? "$1: $2 entries, as the router had them"
	diff "$tmp/$1.live" "$tmp/$1.then" | note
}
cp topologies/virtual.yaml "$tmp/whole.yaml"
at_end whole 2

# What a capture says of a frame in its middle is what a run says that ends
# there.
sed '/^  - {within/d; /^  - {always/d' topologies/virtual.yaml |
    sed 's/^expect:/&\n  - {within: 60s, at: gw.outside, verdict: nat-unsolicited, frames: ">=3"}/' \
    >"$tmp/third.yaml"
"$LANYARD" pcap nat "$tmp/virtual.pcapng" --json >"$tmp/all"
mv "$tmp/virtual.pcapng" "$tmp/long.pcapng"
at_end third 2
frames=$("$LANYARD" pcap nat "$tmp/virtual.pcapng" | sed -n 's/.* at frame //p')
"$LANYARD" pcap nat "$tmp/long.pcapng" --at "$frames" --json | jq -S . |
    cmp - "$tmp/third.live"
is $? "a longer capture tells the same of that frame ($frames)"

# Entries end by their timers, and what only comes or goes does not keep them.
sed 's/udp-idle: 30s/udp-idle: 2s, icmp-idle: 3s/' topologies/virtual.yaml \
    >"$tmp/short.yaml"
at_end short 0
sed 's/udp-idle: 30s/udp-idle: 9s, udp-one-way: 7s, refresh: inbound/' \
    topologies/virtual.yaml >"$tmp/inbound.yaml"
at_end inbound 1

# VMs: TCP in several states, UDP both ways, ping; in real time, so what is left
# differs by how long it takes to ask.
cat >"$tmp/vms.yaml" <<Y
lab: history
switches:
  lan:
  internet:
routers:
  gw:
    ports:
      inside:  {switch: lan, address: 10.0.0.1/24}
      outside: {switch: internet, address: 203.0.113.1/24}
    nat: {outside: outside, filtering: endpoint-independent}
vms:
  alice:  {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.100/24, gateway: 10.0.0.1}}}
  bob:    {guest: tiny, ports: {eth0: {switch: lan, address: 10.0.0.101/24, gateway: 10.0.0.1}}}
  server: {guest: tiny, ports: {eth0: {switch: internet, address: 203.0.113.10/24, gateway: 203.0.113.1}}}
captures:
  - {at: [gw.inside, gw.outside], file: vms.pcapng}
  - {at: [gw.outside], file: outside.pcapng}
Y
(cd "$tmp" && exec "$LANYARD" run vms.yaml --for 60s) >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 "$LANYARD" show history nat
vm() { "$LANYARD" exec history "$@" >>"$tmp/out" 2>&1; }
vm alice -- ping -c 2 -i 0.1 203.0.113.10
vm alice -- nc -p 5000 203.0.113.10 7 hello
vm alice -- nc -p 5001 203.0.113.10 81 nobody there
vm alice -- nc -u -w 0.2 -p 5003 203.0.113.10 7 hello
vm alice -- nc -u -w 0.2 -p 5004 203.0.113.10 9 discarded
vm alice -- ping -c 1 -s 3000 203.0.113.10
vm server -- nc -u -w 0.2 -p 6000 203.0.113.1 5003 from outside
vm server -- nc -u -w 0.2 -p 6001 203.0.113.1 5999 to nobody
# neighbours by their outer ends, both ways
vm bob -- nc -u -w 0.1 -p 7001 203.0.113.1 5003 hello alice
vm alice -- nc -u -w 0.1 -p 5003 203.0.113.1 7001 hello bob
vm alice -- nc -u -w 0.1 -p 5011 203.0.113.1 7001 and again
(sleep 0.3; vm bob -- nc -w 1 -p 7000 203.0.113.10 9) &
wait $!
rows='map(del(.left_s))'
"$LANYARD" show history nat --json >"$tmp/live"
"$LANYARD" show history nat refusals --json >"$tmp/both" &&
    jq -e '(.nat | length) >= 8 and any(.refusals[]; .to | endswith(":5999"))' \
	"$tmp/both" >"$tmp/out"
is $? "entries and refusals are shown together"
sleep 0.5 # what is captured is in the file
"$LANYARD" pcap nat "$tmp/vms.pcapng" --json >"$tmp/then"
"$LANYARD" pcap nat "$tmp/vms.pcapng" | note
[ "$(jq length "$tmp/live")" -ge 8 ] &&
    diff <(jq -S "$rows" "$tmp/live") <(jq -S "$rows" "$tmp/then") >"$tmp/diff"
is $? "VMs: ends, states, counts and causes are those of the router"
note <"$tmp/diff"
jq -n --slurpfile a "$tmp/live" --slurpfile b "$tmp/then" -e '
    [$a[0], $b[0]] | transpose | all((.[0].left_s - .[1].left_s) | fabs < 3)' \
    >"$tmp/out"
is $? "... and what was left of their time, but for the last seconds"

# One side alone tells what it can.
beyond='map(select(.remote | startswith("203.0.113.10")) |
    {id, outside, remote, state, out_frames, in_frames})'
"$LANYARD" pcap nat "$tmp/outside.pcapng" --json >"$tmp/half"
diff <(jq -S "$beyond" "$tmp/live") <(jq -S "$beyond" "$tmp/half") \
    >"$tmp/diff" && jq -e 'all(.inside == null)' "$tmp/half" >"$tmp/out"
is $? "of one side alone, what can be seen from there"
note <"$tmp/diff"
"$LANYARD" pcap nat "$tmp/long.pcapng" --at 100000 2>"$tmp/why"
[ $? = 2 ] && grep -q 'there is no frame 100000; the last is ' "$tmp/why"
is $? "a frame that is not there is said not to be"
"$LANYARD" pcap nat "$tmp/vms.yaml" 2>"$tmp/why"
[ $? = 2 ]
is $? "what is no capture is refused"
