#!/bin/bash
# The capture of topologies/nat.yaml, read by tshark.
. "$(dirname "$0")/tap.sh"
need capture tshark
cp topologies/nat.yaml "$tmp/"
cd "$tmp" || exit 1
"$LANYARD" run nat.yaml >"$tmp/log" 2>&1
is $? "the NAT lab meets its expectations"
note <"$tmp/log"
shark() { tshark -r "$tmp/nat.pcapng" "$@" 2>/dev/null; }
[ "$(shark | wc -l)" -gt 0 ]
is $? "tshark reads the capture"
shark -T fields -e frame.interface_name | sort -u >"$tmp/names"
[ "$(tr '\n' ' ' <"$tmp/names")" = "gw.inside gw.outside " ]
is $? "the interfaces are named gw.inside and gw.outside"
bad=$(shark -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE \
    -o udp.check_checksum:TRUE -Y 'ip.checksum.status == 0 or
    tcp.checksum.status == 0 or udp.checksum.status == 0 or
    icmp.checksum.status == 0' | wc -l)
[ "$bad" = 0 ]
is $? "no bad checksum in the capture"
[ "$(shark -Y 'not frame.comment' | wc -l)" = 0 ]
is $? "every frame has its verdict as comment"
shark -Y 'icmp.type == 8' -T fields -e frame.interface_name -e ip.src \
    -e ip.dst -e icmp.seq -e frame.comment >"$tmp/echo"
head -n 4 "$tmp/echo" | note
grep -qP '^gw.inside\t10\.0\.0\.\d+\t203\.0\.113\.10\t' "$tmp/echo" &&
    grep -qP '^gw.outside\t203\.0\.113\.1\t203\.0\.113\.10\t' "$tmp/echo"
is $? "an echo request is on both sides, before and after translation"
[ "$(shark -Y 'frame.interface_name == "gw.outside" and ip.addr == 10.0.0.0/8' \
    -T fields -e icmp.type | grep -vc '^3\|^11' || true)" = 0 ]
is $? "no inside address is seen outside"
shark -Y 'frame.comment contains "nat-unsolicited"' | grep -q .
is $? "the refused packet is in the capture with its reason"
# Each request comes before its translation, and time does not run backwards.
shark -T fields -e frame.time_epoch | sort -c -n
is $? "time does not run backwards"
# While the next hop is being resolved several requests may wait, so: of those
# seen so far, never more outside than inside.
shark -Y 'icmp.type == 8' -T fields -e frame.interface_name |
    awk '/inside/ { n++ } /outside/ && --n < 0 { exit 1 }'
is $? "each request comes before its translation"
