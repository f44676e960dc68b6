#!/bin/bash
# WiFi in monitor mode: captures of every kind of frame, beside what tshark
# decodes; and a live interface of radiotap frames, both ways.
. "$(dirname "$0")/tap.sh"
need wifi python3 tshark
export LC_ALL=C
here=$PWD/tests/labs/wifi
cd "$tmp" || exit 1
bssid=02:00:00:00:00:a0

# ---- captures ----

for link in 127 105; do
	"$here/frames.py" "$tmp/air.pcap" $link
	cat >"$tmp/air.yaml" <<-END
	lab: air
	switches:
	  lan:
	plugs:
	  air: {locator: "wifi:$tmp/air.pcap?bssid=$bssid", switch: lan}
	hosts:
	  h: {switch: lan, address: 192.0.2.9/24}
	captures:
	  - {at: [air.radio, air.eth0], file: out.pcapng}
	END
	rm -f "$tmp/out.pcapng"
	"$LANYARD" run "$tmp/air.yaml" --for 1s >"$tmp/log" 2>&1
	is $? "link type $link: a lab plays the capture"
	"$here/agree.py" "$tmp/air.pcap" "$tmp/out.pcapng" $bssid >"$tmp/agree" 2>&1
	is $? "... and agrees with tshark frame by frame"
	note <"$tmp/agree"
done
tshark -r "$tmp/out.pcapng" -T fields -e frame.encap_type -e frame.interface_name \
    2>/dev/null | sort | uniq -c >"$tmp/kinds"
[ "$(awk '$2 != 1 && $3 == "air.radio"' "$tmp/kinds" | wc -l)" = 1 ] &&
    grep -q '1.*air.eth0' "$tmp/kinds"
is $? "one file holds both kinds of frames, each on its interface"
note <"$tmp/kinds"
# The filter is one of the air's; and a file of one kind of frames is refused.
sed -i 's/air.radio, air.eth0/air.radio wlan type mgt/' "$tmp/air.yaml"
"$LANYARD" run "$tmp/air.yaml" --for 1s >"$tmp/log" 2>&1 &&
    [ "$(tshark -r "$tmp/out.pcapng" -T fields -e wlan.fc.type 2>/dev/null | sort -u)" = 0 ]
is $? "a capture's filter speaks of 802.11"
sed -i 's/out.pcapng/out.pcap/' "$tmp/air.yaml"
! "$LANYARD" run "$tmp/air.yaml" --for 1s >"$tmp/log" 2>&1 &&
    grep -q 'name it .pcapng' "$tmp/log"
is $? "a file that cannot hold them is refused, and what to do is said"
note <"$tmp/log"
# refused LOCATOR WORDS
refused() {
	sed "s|wifi:[^\"]*|wifi:$1|" "$tmp/air.yaml" >"$tmp/bad.yaml"
	! "$LANYARD" run "$tmp/bad.yaml" --for 1s >"$tmp/log" 2>&1 &&
	    grep -q "$2" "$tmp/log"
	is $? "refused: $2"
	note <"$tmp/log"
}
sed -i 's/out.pcap/out.pcapng/' "$tmp/air.yaml"
refused "$tmp/air.pcap?bssid=1" "is no access point's address"
refused "$tmp/air.pcap" "is no access point's address"
refused "$tmp/none.pcap?bssid=$bssid" "No such file"
refused "$tmp/air.pcap?bssid=$bssid\&channel=6" "a file has no channel"
refused "mon0?bssid=$bssid\&channel=15" "use 1 to 14, or 36 to 177"
[ "$(id -u)" = 0 ] && refused "lo?bssid=$bssid" "the kernel has no WiFi"

# ---- live ----

[ "$(id -u)" = 0 ] || { skip "live: needs root"; exit 0; }
[ -c /dev/net/tun ] || { skip "live: needs /dev/net/tun"; exit 0; }
namespace air || { skip "live: cannot make network namespaces"; exit 0; }
mac=02:00:00:00:00:fa
ip netns exec "$ns" "$here/air.py" mon0 $bssid $mac 192.0.2.77 "$tmp/report" \
    >"$tmp/up" 2>&1 &
pids="$pids $!"
until_true 10 grep -q up "$tmp/up" || {
	note <"$tmp/up"
	skip "live: the kernel has no TAP of another link type"
	exit 0
}
cat >"$tmp/live.yaml" <<END
lab: live
switches:
  lan:
bridges:
  air: {mode: monitor, nic: mon0, bssid: "$bssid", switch: lan}
vms:
  alice: {guest: tiny, ports: {eth0: {switch: lan, address: 192.0.2.5/24}}}
captures:
  - {at: [air.radio, air.eth0], file: live.pcapng}
expect:
  - {within: 60s, vm: alice, run: ping -c 3 192.0.2.77}
END
ip netns exec "$ns" "$LANYARD" run "$tmp/live.yaml" >"$tmp/log" 2>&1
is $? "live: a guest pings a station by an interface of radiotap frames"
note <"$tmp/log"
sleep 0.3
python3 - "$tmp/report" <<'END'
import json, sys
heard = json.load(open(sys.argv[1]))
print(heard)
assert heard['arp'] >= 1 and heard['echo'] >= 3 and heard['broadcast'] >= 1
END
is $? "... the access point heard what was sent"
for verdict in wifi-echo wifi-management wifi-protected; do
	grep -q " $verdict " "$tmp/log"
	is $? "... $verdict was counted"
done
pings() {
	tshark -r "$tmp/live.pcapng" -Y "icmp && frame.interface_name==$1" \
	    -T fields -e icmp.type -e ip.src -e ip.dst -e icmp.seq 2>/dev/null | sort
}
pings '"air.radio"' >"$tmp/a" && pings '"air.eth0"' >"$tmp/b"
[ "$(wc -l <"$tmp/a")" = 6 ] && diff "$tmp/a" "$tmp/b" >"$tmp/diff"
is $? "... and the pings in the air are those on the cable"
note <"$tmp/diff"
[ "$(tshark -r "$tmp/live.pcapng" -Y 'wlan.fc.tods==1 && icmp' -T fields \
    -e wlan.bssid -e wlan.da 2>/dev/null | sort -u)" = "$bssid	$mac" ]
is $? "... sent to the access point, for the station"
