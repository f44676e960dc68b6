#!/bin/bash
# Every topology is a test: it runs and meets its own expectations.
. "$(dirname "$0")/tap.sh"
for file in topologies/*.yaml; do
	name=$(basename "$file" .yaml)
	"$LANYARD" check "$file" >"$tmp/check" 2>&1
	is $? "$name: check finds nothing wrong"
	note <"$tmp/check"
	"$LANYARD" draw "$file" >"$tmp/draw" 2>&1
	is $? "$name: draw"
	[ "$name" != hundred ] || continue
	mode=
	grep -q '^hosts:\|traffic:' "$file" && ! grep -q '^vms:' "$file" &&
	    mode=--virtual-time
	if grep -q 'guest: linux' "$file" &&
	    ! [ -f "$BUILD/guest/linux/initrd" ]; then
		skip "$name: needs the Linux guest; make guest makes it"
		continue
	fi
	inside=
	if grep -q '^bridges:' "$file"; then
		inside="$(pwd)/tests/labs/with-eth0"
		if ! $inside true 2>"$tmp/log"; then
			skip "$name: needs root, /dev/net/tun and a namespace: $(head -n 1 "$tmp/log")"
			continue
		fi
	fi
	(cp "$file" "$tmp/" && cd "$tmp" &&
	    $inside "$LANYARD" run $mode "$name.yaml") >"$tmp/log" 2>&1
	is $? "$name: meets its expectations"
	note <"$tmp/log"
done
