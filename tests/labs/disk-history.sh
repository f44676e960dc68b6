#!/bin/bash
# Random histories of disks beside a model, judged by QEMU and libqcow; see
# disk-model.  HISTORIES=200 for more of them, STEPS for longer ones, SEED for
# others.
. "$(dirname "$0")/tap.sh"
for program in qemu-img qemu-io; do need disk-history $program; done
/usr/bin/python3 -c 'import pyqcow' 2>/dev/null ||
    skip_all "disk-history: needs python3-libqcow, which is missing"
model=$PWD/tests/labs/disk-model
cd "$tmp" || exit 1
seed=${SEED:-1} n=${HISTORIES:-5} right=0 judged=0 qcow=0
for s in $(seq "$seed" $((seed + n - 1))); do
	rm -rf history
	mkdir history
	if (cd history && timeout 300 "$model" "$LANYARD" "$s" "${STEPS:-40}") \
	    >out 2>&1; then
		right=$((right + 1))
		judged=$((judged + $(sed 's/.* \([0-9]*\) images judged.*/\1/' out)))
		qcow=$((qcow + $(sed -n 's/.* \([0-9]*\) read by libqcow.*/\1/p' \
		    out | grep . || echo 0)))
	else
		note <out
	fi
done
[ "$right" = "$n" ]
is $? "$right of $n random histories go as their model does"
[ "$judged" -gt 0 ] && [ "$qcow" -gt 0 ]
is $? "$judged images judged by qemu-img, $qcow of them by libqcow, too"
