#!/bin/bash
# A hundred VMs on a tree of switches: all get an address and ping the server.
# Then once more without an end, to see what they take.
. "$(dirname "$0")/tap.sh"
cp topologies/hundred.yaml "$tmp/"
cd "$tmp" || exit 1
start=$(date +%s%N)
"$LANYARD" run hundred.yaml >"$tmp/log" 2>&1
is $? "all hundred get an address and ping the server"
tail -n 20 "$tmp/log" | note
figure "from start until all had answered and the lab was down:" \
    "$((($(date +%s%N) - start) / 1000000)) ms"

sed '/^expect:/,$d' hundred.yaml >idle.yaml
"$LANYARD" run idle.yaml >"$tmp/log" 2>&1 &
lab=$!
pids="$pids $lab"
all_ready() { [ "$("$LANYARD" show hundred vms | grep -c ready)" -ge 100 ]; }
until_true 120 all_ready
is $? "all hundred are ready at the same time"
sleep 3
vms=$(pgrep -P $lab)
n=$(echo "$vms" | wc -l)
[ "$n" -ge 100 ]
is $? "there are $n VM processes"
pss=$(for p in $vms; do
	sed -n 's/^Pss: *\([0-9]*\).*/\1/p' "/proc/$p/smaps_rollup"
done | awk '{ s += $1 } END { print s + 0 }')
figure "memory per VM process (PSS, guest RAM included): $((pss / n)) KiB"
kill -INT $lab
wait $lab
is $? "the lab ends with status 0"
