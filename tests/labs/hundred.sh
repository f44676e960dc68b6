#!/bin/bash
# A hundred VMs on a tree of switches: all get an address and ping the server.
. "$(dirname "$0")/tap.sh"
need_kvm hundred
cp topologies/hundred.yaml "$tmp/"
cd "$tmp" || exit 1
start=$(date +%s%N)
"$LANYARD" run hundred.yaml >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
# The proportional set size of the VM processes, while they run.
vms() { pgrep -P $lab | wc -l; }
most=0
pss=0
while kill -0 $lab 2>/dev/null; do
	n=$(vms)
	if [ "$n" -ge "$most" ]; then
		most=$n
		sum=$(for p in $(pgrep -P $lab); do
			sed -n 's/^Pss: *\([0-9]*\).*/\1/p' \
			    /proc/"$p"/smaps_rollup 2>/dev/null
		done | awk '{ s += $1 } END { print s + 0 }')
		[ "$sum" = 0 ] || pss=$((sum / (most > 0 ? most : 1)))
	fi
	sleep 1
done
wait $lab
is $? "all hundred get an address and ping the server"
tail -n 20 "$tmp/log" | note
[ "$most" -ge 100 ]
is $? "there were $most VM processes"
figure "memory per VM process (PSS, guest RAM included): $pss KiB"
figure "from start until all answered and the lab was down:" \
    "$((($(date +%s%N) - start) / 1000000)) ms"
