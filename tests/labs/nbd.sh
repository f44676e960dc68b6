#!/bin/bash
# Programs that we did not write use our NBD server, and agree with qemu-img on
# what is in the image that it serves.
. "$(dirname "$0")/tap.sh"
for program in qemu-img qemu-io nbdinfo nbdcopy nbdkit fio python3; do
	need nbd $program
done
client=$PWD/tests/labs/nbd-client
cd "$tmp" || exit 1
sock=$tmp/nbd.sock
uri="nbd+unix:///disk?socket=$sock"
server=

# serve IMAGE OPTION...: $uri is ready when it returns
serve() {
	rm -f ready
	"$LANYARD" disk serve --socket "$sock" "$@" >ready 2>log &
	server=$!
	pids="$pids $server"
	until_true 10 test -s ready
}
# unserve SIGNAL: the status is the server's
unserve() {
	kill -"${1:-TERM}" "$server"
	wait "$server"
}
q() { qemu-io -f qcow2 "$@" >/dev/null 2>&1; }
claim() { what=$1; shift; "$@" >out 2>&1; status=$?; is $status "$what"
	[ $status = 0 ] || note <out; }
refused() { ! "$@"; }
make_images() {
	rm -f ./*.qcow2
	qemu-img create -q -f qcow2 base.qcow2 8M
	q -c 'write -P 9 0 2M' -c 'write -P 3 4M 100k' base.qcow2
	qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2
	q -c 'write -P 1 64k 64k' -c 'write -z 1M 128k' top.qcow2
}

# ---- reading ----

make_images
qemu-img convert -O raw top.qcow2 ref.raw
qemu-img map --output=json top.qcow2 >qmap.json
serve top.qcow2
claim "the server says where it is, and its socket is its owner's" bash -c \
    "[ \$(cat ready) = 'nbd+unix:///?socket=$sock' ] &&
    [ \$(stat -c %a '$sock') = 600 ]"
nbdinfo --json "$uri" >info.json
claim "nbdinfo reads the size, and that it may flush, trim, zero and share" \
    python3 - <<'P'
import json
e = json.load(open("info.json"))["exports"][0]
assert e["export-size"] == 8 << 20, e
assert e["block_size_minimum"] == 1 and e["block_size_maximum"] == 32 << 20, e
assert not e["is_read_only"], e
for can in "cache df fast_zero flush fua multi_conn trim zero".split():
    assert e["can_" + can], (can, e)
assert "base:allocation" in e["contexts"], e
P
nbdinfo --map --json "$uri" >map.json
claim "nbdinfo --map has data and zeros where qemu-img map has them" \
    python3 - <<'P'
import json
def states(extents, start, zero):
    out = []
    for e in extents:
        if out and out[-1][2] == zero(e) and out[-1][1] == e[start]:
            out[-1][1] += e["length"]
        else:
            out.append([e[start], e[start] + e["length"], zero(e)])
    return out
ours = states(json.load(open("map.json")), "offset", lambda e: e["type"] == 3)
qemu = states(json.load(open("qmap.json")), "start", lambda e: e["zero"])
assert ours == qemu, (ours, qemu)
assert any(zero for _, _, zero in ours) and len(ours) >= 5, ours
P
nbdinfo --map=qemu:allocation-depth --json "$uri" >depth.json
claim "allocation depth tells the overlay's clusters from the base's" \
    python3 - <<'P'
import json
d = {e["offset"]: e["type"] for e in json.load(open("depth.json"))}
assert d[0] == 2 and d[65536] == 1 and d[131072] == 2 and d[1 << 20] == 1, d
P
claim "nbdcopy reads the whole disk over four connections" bash -c \
    "nbdcopy --connections=4 '$uri' copy.raw && cmp copy.raw ref.raw"
claim "nbdcopy reads it without block status and structured replies" bash -c \
    "nbdcopy --no-extents --connections=1 --requests=1 '$uri' copy2.raw &&
    cmp copy2.raw ref.raw"
sync -f .
for i in 1 2 3; do
	for image in base top; do
		dd if=$image.qcow2 iflag=nocache count=0 status=none
	done
	nbdcopy --no-extents --request-size=4096 --requests=64 "$uri" cold$i.raw &&
	    cmp cold$i.raw ref.raw
done >out 2>&1
[ ! -s out ]
is $? "small reads that the page cache does not have, 64 in flight"
claim "qemu-img compares it with the image: equal" \
    qemu-img compare -q -f raw -F raw "$uri" ref.raw
claim "qemu-img convert through the server changes nothing" bash -c \
    "qemu-img convert -f raw -O qcow2 '$uri' conv.qcow2 &&
    qemu-img compare -q -f raw -F qcow2 ref.raw conv.qcow2"
claim "nbdkit's checkwrite finds no difference" nbdkit -U - \
    --filter=checkwrite nbd uri="$uri" --run "nbdcopy $tmp/ref.raw \"\$uri\""
claim "a read past the end is refused" \
    refused qemu-io -r -f raw -c "read 8M 4k" "$uri"
unserve INT
is $? "SIGINT ends it with status 0"
claim "nothing was changed" qemu-img compare -q ref.raw top.qcow2 -f raw -F qcow2

# ---- writing ----

serve top.qcow2
python3 - >ops <<'P'
import random
r = random.Random(7)
size = 8 << 20
model = bytearray(open("ref.raw", "rb").read())
for i in range(400):
    o = r.randrange(size - 1)
    n = min(r.choice([1, 512, 1000, 4096, 65536, 70000, 300000]), size - o)
    k = r.random()
    if k < .6:
        p = r.randrange(1, 255)
        print(f"write -q -P {p} {o} {n}")
        model[o:o + n] = bytes([p]) * n
    elif k < .7:
        p = r.randrange(1, 255)
        print(f"write -q -f -P {p} {o} {n}")
        model[o:o + n] = bytes([p]) * n
    elif k < .9:
        print(f"write -q -z {'-u' if r.random() < .5 else ''} {o} {n}")
        model[o:o + n] = bytes(n)
    else:
        print("flush")
open("model.raw", "wb").write(model)
P
claim "400 writes, zeroes and flushes of any alignment by qemu-io" bash -c \
    "qemu-io -f raw '$uri' <ops | (! grep -i -E 'fail|error')"
claim "read back, they are what a model has" \
    qemu-img compare -q -f raw -F raw model.raw "$uri"
claim "blkverify, in lock step with a raw twin, agrees" bash -c \
    "cp model.raw twin.raw && qemu-io -c 'write -P 5 100k 9k' -c 'discard 1M 1M' \
    -c 'write -P 6 1M 1M' -c 'read 0 8M' 'blkverify:$tmp/twin.raw:$uri' >v 2>&1 &&
    ! grep -q mismatch v"
claim "fio verifies random writes by crc32c, 16 in flight" fio --name=v \
    --ioengine=nbd --uri="$uri" --rw=randwrite --bsrange=512-64k --iodepth=16 \
    --size=8m --verify=crc32c --verify_fatal=1 --do_verify=1
claim "fio verifies mixed reads and writes of two jobs" fio --ioengine=nbd \
    --uri="$uri" --rw=randrw --bs=4k --iodepth=8 --size=4m --verify=crc32c \
    --verify_fatal=1 --do_verify=1 --name=a --name=b --offset=4m
qemu-img convert -f raw -O raw "$uri" last.raw
unserve
is $? "SIGTERM ends it with status 0"
claim "qemu-img check: the image is clean" qemu-img check -q top.qcow2
claim "what was read last is in the image" \
    qemu-img compare -q -f raw -F qcow2 last.raw top.qcow2

# ---- the whole protocol ----

make_images
serve top.qcow2
claim "each option and command, in order and out of it" \
    "$client" "$sock" all
unserve
is $? "and it ends well after that"
claim "the image is clean" qemu-img check -q top.qcow2

# ---- space comes back ----

qemu-img create -q -f qcow2 space.qcow2 64M
serve space.qcow2
qemu-io -f raw -c 'write -P 7 0 64M' -c flush "$uri" >/dev/null
before=$(stat -c %b space.qcow2)
qemu-io -f raw -d unmap -c 'discard 0 64M' -c flush -c flush "$uri" >/dev/null
after=$(stat -c %b space.qcow2)
[ "$after" -lt $((before / 10)) ]
is $? "a trim gives the space back ($((before / 2)) to $((after / 2)) KiB)"
unserve

# ---- snapshots of a disk that is being written ----

mkdir live
qemu-img create -q -f qcow2 live/d.qcow2 64M
serve live/d.qcow2
fio --name=v --ioengine=nbd --uri="$uri" --rw=randwrite --bs=4k --iodepth=16 \
    --size=64m --verify=crc32c --verify_fatal=1 --do_verify=1 >fio.out 2>&1 &
fio=$!
failed=0
for i in 1 2 3 4 5; do
	sleep 0.1
	"$LANYARD" disk snapshot "s$i" live/d.qcow2 || failed=1
done
is $failed "five snapshots while fio writes"
wait $fio
is $? "fio verifies what it wrote meanwhile"
unserve
is $? "and the server ends well"
failed=0
for image in live/*.qcow2; do
	qemu-img check -q "$image" || failed=1
done
[ "$(find live -name '*.qcow2' | wc -l)" = 6 ] || failed=1
is $failed "all six images are clean"

# ---- what is served for reading only, under one name ----

serve top.qcow2 --read-only --export disk
claim "read only: it says so, and refuses to write" bash -c \
    "nbdinfo --json '$uri' | grep -q '\"is_read_only\": true' &&
    ! qemu-io -f raw -c 'write 0 512' '$uri'"
claim "read only: a client that writes all the same is refused" \
    "$client" "$sock" read-only
claim "another name is unknown" bash -c \
    "! nbdinfo 'nbd+unix:///other?socket=$sock' >e 2>&1 &&
    grep -q 'No such file' e"
claim "nbdinfo --list names it" bash -c \
    "nbdinfo --list --json 'nbd+unix://?socket=$sock' | grep -q '\"disk\"'"
claim "an image that is served cannot be written meanwhile" \
    refused qemu-io -f qcow2 -c 'write 0 512' top.qcow2
claim "a second server does not take the socket over" bash -c \
    "! '$LANYARD' disk serve --read-only --socket '$sock' base.qcow2 2>e &&
    grep -q 'another process listens' e"
unserve
[ ! -e "$sock" ]
is $? "the socket goes with the server"

# ---- limits ----

serve top.qcow2 --connections 2
claim "two clients hold what there is, a third is turned away" \
    "$client" "$sock" limit
claim "and later ones are served" nbdinfo --size "$uri"
unserve
is $? "it ends well"
