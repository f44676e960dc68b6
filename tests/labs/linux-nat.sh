#!/bin/bash
# topologies/linux-nat.yaml: three Debian guests on our emulator.  They are up
# within 30 seconds, and move a file and a stream through the NAT.
. "$(dirname "$0")/tap.sh"
need linux-nat make
make_guest linux-nat
cp topologies/linux-nat.yaml "$tmp/"
cd "$tmp" || exit 1
"$LANYARD" run linux-nat.yaml >"$tmp/log" 2>&1
is $? "the lab meets its expectations"
note <"$tmp/log"
# "[  7.39 s] alice is ready, 7.39 s after its start"
ready=$(sed -n 's/^\[ *\([0-9.]*\) s\] [a-z]* is ready.*/\1/p' "$tmp/log" |
    sort -n | tail -n 1)
[ "$(grep -c ' is ready, ' "$tmp/log")" = 3 ] && [ "${ready%.*}" -lt 30 ]
is $? "all three are up within 30 s"
figure "three Debian guests are up after $ready s on $(nproc) processors," \
    "load $(cut -d ' ' -f 1 /proc/loadavg)"
# "[  5]   0.00-0.22   sec  19.9 MBytes   767 Mbits/sec      receiver"
grep 'bits/sec .*receiver' "$tmp/log" | grep -v matches |
    sed -E 's/^.* ([0-9.]+ .bits\/sec).*/# figure: iperf3 from guest to guest through the NAT: \1/'
grep -qE '^  alice .* emulate ' "$tmp/log"
is $? "they ran on our emulator"
