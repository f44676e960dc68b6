#!/bin/bash
# nbd.sh [DEPTH...]: our NBD server beside qemu-nbd on the same images, in turns
# (medians of 5 ratios within a turn): fio, 4 KiB at random, a second each.
#
# Needs qemu-utils, libnbd-bin and fio.  Images of 256 MiB with DEPTH (0 32)
# backing files; IN_FLIGHT (16) requests.  CPU time is the server's.
set -u
for program in qemu-nbd qemu-img qemu-io nbdinfo fio; do
	command -v $program >/dev/null || { echo "needs $program"; exit 0; }
done
cd "$(dirname "$0")/../.." || exit 1
lanyard=$(realpath "${LANYARD:-${BUILD:-build}/lanyard}")
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

# measure CACHE NAME IMAGE FIO-ARGUMENTS...: CACHE warm or cold
measure() {
	local cache=$1 name=$2 image=$3 n turn who start
	shift 3
	for turn in 1 2 3 4 5; do
		for who in ours qemu; do
			cp --reflink=auto "$image" turn.qcow2
			serve $who turn.qcow2
			sync -f .
			for file in turn.qcow2 L*.qcow2; do
				if [ "$cache" = warm ]; then
					cat "$file" >/dev/null
				else
					dd if="$file" iflag=nocache count=0 status=none
				fi
			done
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
print(f"{sys.argv[1]:30} ours {med(ours, 2):>7.0f}/s {med(ours, 3):>4.0f} us"
      f"   qemu-nbd {med(qemu, 2):>7.0f}/s {med(qemu, 3):>4.0f} us"
      f"   ratio {ratio:.2f}", flush=True)
P
}

head -c 256M /dev/urandom >data
qemu-img convert -f raw -O qcow2 data L0.qcow2
rm data
layer=0
for depth in ${*:-0 32}; do
	while [ $layer -lt "$depth" ]; do
		qemu-img create -q -f qcow2 -b L$layer.qcow2 -F qcow2 \
		    L$((layer + 1)).qcow2
		layer=$((layer + 1))
		qemu-io -f qcow2 -c "write -q -P $((layer % 250)) $((layer * 7 % 256))M 64k" \
		    -c "write -q -P 1 $((layer * 13 % 256))M 64k" L$layer.qcow2
	done
	image=L$depth.qcow2
	for n in ${IN_FLIGHT:-16}; do
		measure warm "depth $depth, read, $n deep" $image \
		    --rw=randread --iodepth=$n
		measure cold "depth $depth, cold read, $n deep" $image \
		    --rw=randread --iodepth=$n
		measure warm "depth $depth, write, $n deep" $image \
		    --rw=randwrite --iodepth=$n
	done
done
