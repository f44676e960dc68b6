#!/bin/bash
# SIP across the router: who registers from inside, by sipp, cannot be called
# unless the rule for it is set; then a call and its media come in, by the ends
# that are written in its messages, and calls go out.
#
#   client ── tap ── lan ── gw ── wan ── tap ── server
. "$(dirname "$0")/tap.sh"
need_root nat-sip
for program in ip sipp python3 tcpdump; do need nat-sip $program; done
[ -w /dev/net/tun ] || skip_all "nat-sip: needs /dev/net/tun"
namespace router || skip_all "nat-sip: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns

cat >"$tmp/sip.yaml" <<Y
lab: sip
switches:
  lan:
  wan:
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside, ports: random}
plugs:
  client: {switch: lan, locator: "tap:lyp0"}
  server: {switch: wan, locator: "tap:lyp1"}
captures:
  - {at: gw.outside, file: $tmp/sip.pcapng}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/sip.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyp1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
attach lyp0 "$client" 10.0.0.10/24
attach lyp1 "$server" 203.0.113.10/24
ip -n "$client" route add default via 10.0.0.1

cat >"$tmp/register.xml" <<'X'
<?xml version="1.0"?>
<scenario name="register">
  <send retrans="500"><![CDATA[

    REGISTER sip:[remote_ip] SIP/2.0
    Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
    From: <sip:alice@[remote_ip]>;tag=[call_number]
    To: <sip:alice@[remote_ip]>
    Call-ID: [call_id]
    CSeq: 1 REGISTER
    Contact: <sip:alice@[local_ip]:[local_port]>
    Max-Forwards: 70
    Expires: 3600
    Content-Length: 0

  ]]></send>
  <recv response="200"/>
</scenario>
X
inside() {
	timeout 20 ip netns exec "$client" sipp -nostdin -i 10.0.0.10 -p 5060 \
	    "$@" >"$tmp/sipp" 2>&1 </dev/null
}
# A registrar is there, and sipp registers with it.  A line to descriptor 9 has it
# call.
mkfifo "$tmp/go"
registers() {
	ip netns exec "$server" tests/labs/sip-caller 203.0.113.10 5060 \
	    <"$tmp/go" >"$tmp/caller" 2>&1 &
	caller=$!
	pids="$pids $caller"
	exec 9>"$tmp/go"
	until_true 5 grep -q ready "$tmp/caller"
	inside -sf "$tmp/register.xml" -m 1 -timeout 8 203.0.113.10:5060
}
found() { grep -q "^$1 $2\$" "$tmp/caller"; }

registers
is $? "sipp registers"
found contact '10\.0\.0\.10:5060'
is $? "by an address that cannot be called"
note <"$tmp/caller"
exec 9>&-
wait $caller
"$LANYARD" set sip gw nat.sip=true
is $? "lanyard set lets SIP through"
registers
is $? "sipp registers, and knows its own Via again"
found contact '203\.0\.113\.1:[0-9]*' && found via '203\.0\.113\.1:[0-9]*'
is $? "by its outside end"
ip netns exec "$client" sipp -nostdin -sn uas -i 10.0.0.10 -p 5060 -mp 6000 \
    -rtp_echo -m 1 -timeout 15 >"$tmp/uas" 2>&1 </dev/null &
uas=$!
pids="$pids $uas"
until_true 5 ip netns exec "$client" sh -c 'ss -Hlun | grep -q :6000'
echo >&9
wait $caller
found bye 200
is $? "who registered is called, answers, and hangs up"
found media '203\.0\.113\.1:[0-9]*' && found length right
is $? "its media is wanted at the outside address"
found echoed 10
is $? "the media comes in, and back"
note <"$tmp/caller"
"$LANYARD" show sip nat | note
"$LANYARD" show sip nat | grep -q 'asked for it in SIP'
is $? "show nat tells which entry SIP asked for"
exec 9>&-
wait $uas

ip netns exec "$server" sipp -nostdin -sn uas -i 203.0.113.10 -p 5060 -m 5 \
    -timeout 15 >"$tmp/uas" 2>&1 </dev/null &
uas=$!
pids="$pids $uas"
until_true 5 ip netns exec "$server" sh -c 'ss -Hlun | grep -q :5060'
inside -sn uac -m 5 -r 10 -d 100 -timeout 10 203.0.113.10:5060
is $? "five calls go out"
wait $uas
is $? "and are answered outside"
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
tcpdump -n -A -r "$tmp/sip.pcapng" 'udp and src host 203.0.113.1' \
    >"$tmp/text" 2>"$tmp/err"
[ "$(grep -c '^c=IN IP4 203\.0\.113\.1' "$tmp/text")" -ge 6 ] &&
    ! grep -q '^c=IN IP4 10\.' "$tmp/text"
is $? "no session names an inside address"
