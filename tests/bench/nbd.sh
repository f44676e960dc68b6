#!/bin/bash
# nbd.sh [DEPTH...]: our NBD server beside qemu-nbd on the same images, in turns
# (medians of 5 ratios within a turn): fio, 4 KiB at random, a second each.
#
# Needs qemu-utils and fio.  Images of 256 MiB; DEPTH (0 8 32) backing files.
set -u
cd "$(dirname "$0")/../.." || exit 1
lanyard=${LANYARD:-$PWD/${BUILD:-build}/lanyard}
seconds=${SECONDS_EACH:-1}
dir=$(mktemp -d)
server=
trap 'kill $server 2>/dev/null; wait; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
uri="nbd+unix:///?socket=$dir/sock"

# fio ARGUMENTS: IOPS of reads or writes
iops() {
	fio --name=b --ioengine=nbd --uri="$uri" --bs=4k --size=256m --norandommap \
	    --time_based --runtime="$seconds" --output-format=json \
	    --output=fio.json "$@" >/dev/null
	python3 -c 'import json
j = json.load(open("fio.json"))["jobs"][0]
print(round(j["read"]["iops"] + j["write"]["iops"]))'
}

# CPU time of the server, in 10 ms
ticks() { awk '{print $14 + $15}' "/proc/$server/stat"; }

# serve WHO IMAGE
serve() {
	rm -f sock ready
	if [ "$1" = ours ]; then
		"$lanyard" disk serve --socket sock "$2" >ready &
	else
		qemu-nbd -f qcow2 -k "$dir/sock" -t -e 8 --cache=writeback \
		    --aio=threads --discard=unmap "$2" &
	fi
	server=$!
	until nbdinfo --size "$uri" >/dev/null 2>&1; do sleep 0.05; done
}
unserve() {
	kill "$server"
	wait "$server" 2>/dev/null
	server=
}

# measure NAME IMAGE FIO-ARGUMENTS...
measure() {
	name=$1 image=$2
	shift 2
	for turn in 1 2 3 4 5; do
		for who in ours qemu; do
			cp --reflink=auto "$image" turn.qcow2
			serve $who turn.qcow2
			cat turn.qcow2 >/dev/null
			start=$(ticks)
			n=$(iops "$@")
			echo "$who $turn $n $((($(ticks) - start) * 10000 / (n * seconds)))"
			unserve
		done
	done >samples
	python3 - "$name" <<'P'
import statistics as s
import sys
rows = [line.split() for line in open("samples")]
ours = {r[1]: r for r in rows if r[0] == "ours"}
qemu = {r[1]: r for r in rows if r[0] == "qemu"}
def med(d, k): return s.median(int(r[k]) for r in d.values())
ratio = s.median(int(ours[t][2]) / int(qemu[t][2]) for t in ours)
print(f"{sys.argv[1]:28} ours {med(ours, 2):>7.0f}/s {med(ours, 3):>4.0f} us"
      f"   qemu-nbd {med(qemu, 2):>7.0f}/s {med(qemu, 3):>4.0f} us"
      f"   ratio {ratio:.2f}", flush=True)
P
}

head -c 256M /dev/urandom >data
qemu-img convert -f raw -O qcow2 data L0.qcow2
rm data
layer=0
for depth in ${*:-0 8 32}; do
	while [ $layer -lt "$depth" ]; do
		qemu-img create -q -f qcow2 -b L$layer.qcow2 -F qcow2 \
		    L$((layer + 1)).qcow2
		layer=$((layer + 1))
		qemu-io -f qcow2 -c "write -q -P $((layer % 250)) $((layer * 7 % 256))M 64k" \
		    -c "write -q -P 1 $((layer * 13 % 256))M 64k" L$layer.qcow2
	done
	image=L$depth.qcow2
	measure "depth $depth, read, 16 deep" $image --rw=randread --iodepth=16
	measure "depth $depth, read, 1 deep" $image --rw=randread --iodepth=1
	measure "depth $depth, write, 16 deep" $image --rw=randwrite --iodepth=16
	measure "depth $depth, write, 1 deep" $image --rw=randwrite --iodepth=1
done
