#!/bin/bash
# FTP across the router, by vsftpd, curl and lftp: passive mode as it is, active
# mode only with the rule that is for it, in each form that an end is written
# in; and a server inside, in both modes.
#
#   client ── tap ── lan ── gw ── wan ── tap ── server
. "$(dirname "$0")/tap.sh"
need_root nat-ftp
for program in ip python3 vsftpd curl lftp hping3 tcpdump; do
	need nat-ftp $program
done
[ -w /dev/net/tun ] || skip_all "nat-ftp: needs /dev/net/tun"
namespace router || skip_all "nat-ftp: network namespaces are not allowed here"
router=$ns
namespace client; client=$ns
namespace server; server=$ns

cat >"$tmp/ftp.yaml" <<Y
lab: ftp
switches:
  lan:
  wan:
routers:
  gw:
    ports:
      inside: {switch: lan, address: 10.0.0.1/24}
      outside: {switch: wan, address: 203.0.113.1/24}
    nat: {outside: outside}
plugs:
  client: {switch: lan, locator: "tap:lyf0"}
  server: {switch: wan, locator: "tap:lyf1"}
captures:
  - {at: [gw.inside, gw.outside], file: $tmp/ftp.pcapng}
Y
ip netns exec "$router" "$LANYARD" run "$tmp/ftp.yaml" >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
until_true 10 ip -n "$router" link show lyf1 || {
	not_ok "the lab starts"
	note <"$tmp/log"
	exit 1
}
attach lyf0 "$client" 10.0.0.10/24
attach lyf1 "$server" 203.0.113.10/24
ip -n "$client" route add default via 10.0.0.1

mkdir "$tmp/files" "$tmp/files/in" "$tmp/empty"
head -c 300000 /dev/urandom >"$tmp/files/file"
chmod 755 "$tmp" "$tmp/files" "$tmp/empty"
chown ftp "$tmp/files/in"
# serve NAMESPACE: an FTP server there
serve() {
	cat >"$tmp/$1.conf" <<-C
	listen=YES
	background=NO
	anonymous_enable=YES
	anon_root=$tmp/files
	anon_upload_enable=YES
	write_enable=YES
	connect_from_port_20=YES
	secure_chroot_dir=$tmp/empty
	seccomp_sandbox=NO
	xferlog_enable=NO
	C
	ip netns exec "$1" vsftpd "$tmp/$1.conf" >"$tmp/served" 2>&1 &
	pids="$pids $!"
	until_true 5 ip netns exec "$1" sh -c 'ss -Hltn | grep -q :21'
}
# get NAMESPACE SERVER OPTIONS...: the file, by curl
get() {
	where=$1 from=$2
	shift 2
	rm -f "$tmp/got"
	ip netns exec "$where" curl -sS -m 8 -o "$tmp/got" "$@" \
	    "ftp://$from/file" >"$tmp/curl" 2>&1 &&
	    cmp -s "$tmp/got" "$tmp/files/file"
}
serve "$server"
get "$client" 203.0.113.10
is $? "passive mode needs nothing (EPSV)"
get "$client" 203.0.113.10 --disable-epsv
is $? "passive mode needs nothing (PASV)"
! get "$client" 203.0.113.10 --ftp-port - --disable-eprt
is $? "active mode fails (PORT)"
! get "$client" 203.0.113.10 --ftp-port - --eprt
is $? "active mode fails (EPRT)"
note <"$tmp/curl"
"$LANYARD" set ftp gw nat.ftp=true
is $? "lanyard set lets FTP through"
for form in --eprt --disable-eprt; do
	get "$client" 203.0.113.10 --ftp-port - $form
	is $? "active mode works with nat.ftp, $form"
	note <"$tmp/curl"
done
get "$client" 203.0.113.10 --disable-epsv
is $? "passive mode works as before"
ip netns exec "$client" curl -sS -m 8 --ftp-port - -T "$tmp/files/file" \
    ftp://203.0.113.10/in/up >"$tmp/curl" 2>&1 &&
    cmp -s "$tmp/files/in/up" "$tmp/files/file"
is $? "active mode uploads"
# Many commands on one connection, whose numbers move with each.
timeout 30 ip netns exec "$client" lftp -c "set ftp:passive-mode no
set ftp:use-mode-z no; set net:max-retries 1; set net:timeout 5
open 203.0.113.10
$(for i in 1 2 3 4 5 6 7 8; do echo "get file -o $tmp/lftp$i; cls -l"; done)" \
    >"$tmp/lftp" 2>&1
for i in 1 2 3 4 5 6 7 8; do cmp -s "$tmp/lftp$i" "$tmp/files/file" || break; done
[ "$i" = 8 ] && cmp -s "$tmp/lftp8" "$tmp/files/file"
is $? "lftp gets eight files and lists, in active mode on one connection"
tail -n 5 "$tmp/lftp" | note
"$LANYARD" show ftp nat | note
"$LANYARD" show ftp nat | grep -q 'asked for it in FTP'
is $? "show nat tells which entry FTP asked for"

# Commands in pieces, as by telnet: all at once, and each when the last has come.
typed() {
	rm -f "$tmp/typed"
	timeout 30 ip netns exec "$client" "$(dirname "$0")/ftp-typist" \
	    203.0.113.10 file "$tmp/typed" "$@" >"$tmp/typist" 2>&1 &&
	    cmp -s "$tmp/typed" "$tmp/files/file"
}
for pieces in 1 "7 nagle"; do
	typed $pieces
	is $? "active mode works with commands in pieces of $pieces bytes"
	note <"$tmp/typist"
done
# The other way round: what is inside is reached by a mapping that its host
# makes, from port 21.
serve "$client"
"$LANYARD" set ftp gw nat.filtering=endpoint-independent
ip netns exec "$client" hping3 -q -c 1 -S -s 21 -k -p 9 203.0.113.10 \
    >"$tmp/hping" 2>&1
get "$server" 203.0.113.1 --disable-epsv --ftp-skip-pasv-ip
is $? "a server inside is reached in passive mode (227)"
get "$server" 203.0.113.1 --disable-epsv --no-ftp-skip-pasv-ip
is $? "and tells its outside address"
get "$server" 203.0.113.1
is $? "a server inside is reached in passive mode (229)"
"$LANYARD" set ftp gw nat.ftp=false nat.filtering=address-and-port-dependent
! get "$client" 203.0.113.10 --ftp-port -
is $? "active mode fails again without nat.ftp"
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
tcpdump -n -r "$tmp/ftp.pcapng" -vv 2>"$tmp/err" | grep -c 'cksum.*incorrect' |
    grep -qx 0
is $? "no frame of the capture has a wrong checksum"
