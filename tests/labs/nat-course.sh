#!/bin/bash
# The course about NAT: each lab meets its own expectations, and can be drawn.
# They mostly wait, so some run at a time.
. "$(dirname "$0")/tap.sh"
at_a_time=6

run() {
	mkdir "$tmp/$1"
	(cd "$tmp/$1" && "$LANYARD" run "$OLDPWD/topologies/nat/$1.yaml") \
	    >"$tmp/$1/log" 2>&1
	echo $? >"$tmp/$1/status"
}

names=
for name in $(cd topologies/nat && ls -- *.yaml | sed 's/\.yaml$//'); do
	if grep -q 'guest: linux' "topologies/nat/$name.yaml" &&
	    ! [ -f "$BUILD/guest/linux/initrd" ]; then
		skip "$name: needs the Linux guest; make guest makes it"
		continue
	fi
	names="$names $name"
done
for name in $names; do
	"$LANYARD" check "topologies/nat/$name.yaml" >"$tmp/check" 2>&1
	is $? "$name: check finds nothing wrong"
	note <"$tmp/check"
	"$LANYARD" draw "topologies/nat/$name.yaml" >"$tmp/draw" 2>&1
	is $? "$name: draw"
	while [ "$(jobs -pr | wc -l)" -ge $at_a_time ]; do sleep 0.1; done
	run "$name" &
done
wait
for name in $names; do
	is "$(cat "$tmp/$name/status")" "$name: meets its expectations"
	[ "$(cat "$tmp/$name/status")" = 0 ] || note <"$tmp/$name/log"
done

# While a lab runs, its NAT becomes another: the mapping lives on, and admits fewer.
sed '/^expect:/,$d' topologies/nat/1-ei-ei.yaml >"$tmp/live.yaml"
(cd "$tmp" && exec "$LANYARD" run live.yaml --for 20s) >"$tmp/live.log" 2>&1 &
pids=$!
change() { "$LANYARD" set nat-1-ei-ei gw "$@" 2>"$tmp/why"; }
mapped() { "$LANYARD" show nat-1-ei-ei nat | grep -q '203.0.113.1:5000'; }
until_true 10 mapped
until_true 5 change nat.preset=symmetric
is $? "set: another preset while it runs"
until_true 10 eval '"$LANYARD" show nat-1-ei-ei refusals | grep -q nat-filtered'
is $? "set: who was admitted is refused"
! change nat.ports=overloading nat.mapping=address-dependent
is $? "set: what cannot be is refused"
grep -q address-and-port-dependent "$tmp/why"
is $? "set: and why"
! "$LANYARD" set nat-1-ei-ei lan nat.mapping=address-dependent 2>"$tmp/why"
is $? "set: of a switch is refused"

# Ports are forwarded, and not any more, while it runs.
change nat.forward=tcp:8080=10.0.0.100:80
is $? "set: a port is forwarded"
pins() { "$LANYARD" show nat-1-ei-ei nat | grep -c pinned; }
"$LANYARD" show nat-1-ei-ei nat |
    grep -q '10.0.0.100:80 .*203.0.113.1:8080.*the lab forwards the port'
is $? "set: and shown with why"
! change nat.forward=tcp:8080=10.0.0.101:80
is $? "set: one that is taken is refused"
grep -q 'has another mapping' "$tmp/why"
is $? "set: and why"
! change nat.forward=tcp:8081=10.0.0.101:80 nat.mapping=address-dependent
is $? "set: a forward stands alone"
change nat.unforward=tcp:8080 && [ "$(pins)" = 0 ]
is $? "set: it ends"
! change nat.unforward=tcp:8080
is $? "set: once"
