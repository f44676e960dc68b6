#!/bin/bash
# VLANs between our switch and Open vSwitch (userspace datapath): a trunk with a
# native VLAN, and a provider's trunk with customers' tunnels at both ends.
#
#   h10 h20 h30 ── lan ══ trunk 10,20 native 30 ══ Open vSwitch ── p10 p20 p30
#   hc ── cust ══ tunnel 100: lan ══ 802.1ad 100 ══ Open vSwitch ── cp: tunnel 100
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/ovs"
need_root vlan-peers
for program in ip ovs-vswitchd ovsdb-server ping python3; do
	need vlan-peers $program
done
[ -w /dev/net/tun ] || skip_all "vlan-peers: needs /dev/net/tun"
namespace lan || skip_all "vlan-peers: network namespaces are not allowed here"
lan=$ns
namespace ovs; ovs=$ns
frames=tests/labs/switch/frames.py

cat >"$tmp/vlans.yaml" <<Y
lab: vlan-peers
switches:
  lan:
  cust: {uplinks: lan}
plugs:
  trunk: {switch: lan, locator: "tap:lyv0", trunk: "10,20", native: 30}
  provider: {switch: lan, locator: "tap:lyv1", trunk: 100, tags: 802.1ad}
hosts:
  h10: {switch: lan, address: 10.0.10.1/24, vlan: 10}
  h20: {switch: lan, address: 10.0.20.1/24, vlan: 20}
  h30: {switch: lan, address: 10.0.30.1/24, vlan: 30}
  hc: {switch: cust, address: 10.0.7.1/24, vlan: 7}
  hn: {switch: cust, address: 10.0.8.1/24, vlan: 8}
events:
  - {at: 0s, set: lan.cust, tunnel: 100}
  - {at: 0s, set: cust.lan, trunk: 7, native: 8}
Y
ip netns exec "$lan" "$LANYARD" run "$tmp/vlans.yaml" >"$tmp/log" 2>&1 &
pids="$pids $!"
for i in 0 1; do
	until_true 10 ip -n "$lan" link show lyv$i
	ip -n "$lan" link set lyv$i netns "$ovs"
	ip -n "$ovs" link set lyv$i up
done
ovs_start "$ovs" ||
    { not_ok "Open vSwitch starts"; note <"$tmp/ovs/vswitchd.log"; exit 1; }
ovs_vsctl set Open_vSwitch . other_config:vlan-limit=2
ovs_vsctl add-br br0 -- set bridge br0 datapath_type=netdev \
    -- add-port br0 lyv0 -- set port lyv0 vlan_mode=native-untagged tag=30 \
    trunks=10,20,30 \
    -- add-port br0 p10 tag=10 -- set interface p10 type=internal \
    -- add-port br0 p20 tag=20 -- set interface p20 type=internal \
    -- add-port br0 p30 tag=30 -- set interface p30 type=internal
ovs_vsctl add-br br1 -- set bridge br1 datapath_type=netdev \
    -- add-port br1 lyv1 -- set port lyv1 trunks=100 \
    other_config:qinq-ethtype=802.1ad \
    -- add-port br1 cp -- set interface cp type=internal \
    -- set port cp vlan_mode=dot1q-tunnel tag=100 \
    other_config:qinq-ethtype=802.1ad
is $? "Open vSwitch has the same VLANs"
for v in 10 20 30; do
	ip -n "$ovs" addr add 10.0.$v.2/24 dev p$v
	ip -n "$ovs" link set p$v up
done
ip -n "$ovs" addr add 10.0.8.2/24 dev cp
ip -n "$ovs" link set cp up
for v in 10 20 30; do
	ip netns exec "$ovs" ping -c 3 -i 0.2 -W 2 10.0.$v.1 >"$tmp/ping" 2>&1
	is $? "VLAN $v: a ping there and back"
	note <"$tmp/ping"
done
"$LANYARD" show vlan-peers macs --json >"$tmp/macs"
for v in 10 20 30; do
	mac=$(ip -n "$ovs" link show p$v | sed -n 's/.*ether \([^ ]*\).*/\1/p')
	python3 - "$tmp/macs" "$mac" $v <<'P'
import json, sys
rows = [r for r in json.load(open(sys.argv[1])) if r["mac"] == sys.argv[2]]
assert [(r["switch"], r["vlan"], r["port"]) for r in rows] == \
    [("lan", int(sys.argv[3]), "lan.trunk.eth0")], rows
P
	is $? "its address was learned in VLAN $v, and in no other"
done
# On the wire: tags of 10 and 20, none of 30; a tag of 30 or 40 is refused.
me=020000000077
who() { # VLAN-TAG-HEX IP-HEX, an address 10.0.X.1: asked for by 10.0.X.2
	printf 'ffffffffffff%s%s08060001080006040001%s0a00%s02000000000000%s%036d' \
	    $me "$1" $me "${2:4:2}" "$2" 0
}
drops() {
	"$LANYARD" show vlan-peers drops --json | python3 -c '
import json, sys
print(sum(r["frames"] for r in json.load(sys.stdin)
          if r["node"] == "lan" and r["reason"] == sys.argv[1]))' "$1"
}
before=$(drops vlan)
ip netns exec "$ovs" python3 $frames send lyv0 "$(who 81000028 0a002801)"
sleep 0.2
[ "$(drops vlan)" -gt "$before" ]
is $? "a VLAN that the trunk does not carry is refused by name"
# A customer's untagged frames, through both tunnels.
ip netns exec "$ovs" ping -c 3 -i 0.2 -W 2 10.0.8.1 >"$tmp/ping" 2>&1
is $? "QinQ: an untagged ping through the provider's VLAN"
note <"$tmp/ping"
# And with the customer's own tag 7, which comes back.
ip netns exec "$ovs" python3 $frames read cp 3 >"$tmp/answers" &
sleep 0.5
ip netns exec "$ovs" python3 $frames send cp "$(who 81000007 0a000701)"
wait $!
grep -q "^$me[0-9a-f]\{12\}810000070806" "$tmp/answers"
is $? "QinQ: a customer's tag goes through and comes back"
note <"$tmp/answers"
