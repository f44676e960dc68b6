#!/bin/bash
# fio writes to a disk that is served and verifies what it reads by crc32c, while
# snapshots are taken; then all images are in order.
# FIO_SECONDS (6): how long; FIO_SNAPSHOT (1): seconds between two snapshots.
. "$(dirname "$0")/tap.sh"
for program in fio qemu-img; do need disk-fio $program; done
seconds=${FIO_SECONDS:-6} pause=${FIO_SNAPSHOT:-1}
cd "$tmp" || exit 1
uri="nbd+unix:///?socket=$tmp/s"
"$LANYARD" disk create d.qcow2 256M
"$LANYARD" disk serve --socket s d.qcow2 >ready &
server=$!
pids="$pids $server"
until_true 10 test -s ready
fio --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=4k-64k --iodepth=16 \
    --size=128m --offset_increment=128m --numjobs=2 --name=v \
    --time_based --runtime="$seconds" --verify=crc32c --verify_backlog=512 \
    --verify_fatal=1 --group_reporting --output-format=json --output=fio.json &
fio=$!
pids="$pids $fio"
taken=0 failed=0
end=$(($(date +%s) + seconds))
while [ "$(date +%s)" -lt "$end" ] && kill -0 $fio 2>/dev/null; do
	sleep "$pause"
	if "$LANYARD" disk snapshot "s$taken" d.qcow2 >out 2>&1; then
		taken=$((taken + 1))
	else
		failed=$((failed + 1))
		note <out
	fi
done
[ $failed = 0 ] && [ $taken -gt 1 ]
is $? "$taken snapshots while fio writes and verifies"
wait $fio
is $? "fio finds every block as it wrote it"
kill $server
wait $server
is $? "the server ends well"
bad=0
for image in *.qcow2; do
	qemu-img check -q "$image" && "$LANYARD" disk check "$image" >/dev/null ||
	    { bad=1; echo "$image" | note; }
done
[ $bad = 0 ] && [ "$(find . -name '*.qcow2' | wc -l)" = $((taken + 1)) ]
is $? "qemu-img check and disk check: all $((taken + 1)) images are in order"
figure "fio: $(python3 -c 'import json
j = json.load(open("fio.json"))["jobs"][0]
print(*("%d MiB %s" % (j[k]["io_bytes"] >> 20, w) for k, w in
    (("write", "written,"), ("read", "read and verified"))))'), \
$taken snapshots, load $(cut -d ' ' -f 1 /proc/loadavg)"
