#!/bin/bash
# Two runs in virtual time with one seed give the same bytes; another seed does
# not.
. "$(dirname "$0")/tap.sh"
for run in 1 2 3; do
	mkdir "$tmp/$run"
	cp topologies/virtual.yaml "$tmp/$run/"
	seed=7
	[ $run != 3 ] || seed=8
	(cd "$tmp/$run" && "$LANYARD" run virtual.yaml --virtual-time \
	    --seed $seed) >"$tmp/$run/log" 2>&1
	is $? "run $run in virtual time meets its expectations"
	note <"$tmp/$run/log"
done
files=$(cd "$tmp/1" && ls ./*.pcapng)
[ -n "$files" ]
is $? "the runs left captures"
for f in $files; do
	[ -s "$tmp/1/$f" ] && cmp "$tmp/1/$f" "$tmp/2/$f"
	is $? "$f is the same, byte by byte, in two runs with one seed"
	! cmp -s "$tmp/1/$f" "$tmp/3/$f"
	is $? "$f differs with another seed"
done
