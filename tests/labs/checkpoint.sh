#!/bin/bash
# A Debian guest that is stopped in the middle of TCP transfers through a NAT,
# again and again, and goes on from its checkpoint in another process each time:
# the transfers complete and no byte is wrong.  And the tiny guest from one
# engine to the other.
# CHECKPOINT_TIMES (3): how often.
. "$(dirname "$0")/tap.sh"
for program in make python3; do need checkpoint $program; done
times=${CHECKPOINT_TIMES:-3}
make_guest checkpoint
cat >"$tmp/moves.yaml" <<'EOF'
#   alice -- lan -- gw (NAT) -- internet -- server
lab: moves
switches: {lan: , internet: }
routers:
  gw:
    ports:
      inside:  {switch: lan, address: 10.0.0.1/24, dhcp: 10.0.0.100-10.0.0.199}
      outside: {switch: internet, address: 203.0.113.1/24}
    nat: {outside: outside}
vms:
  alice:  {guest: linux, engine: emulate, memory: 128M, balloon: 0K, disks: [{file: alice.qcow2, size: 64M}], ports: {eth0: {switch: lan, rate: 4Mbit/s}}}
  server: {guest: linux, engine: emulate, memory: 256M, ports: {eth0: {switch: internet, address: 203.0.113.10/24}}}
EOF
"$LANYARD" run "$tmp/moves.yaml" --for 3600s >"$tmp/log" 2>&1 &
pids="$pids $!"
in_lab() { "$LANYARD" exec moves "$@" 2>>"$tmp/err"; }
process() { "$LANYARD" show moves vms --json | python3 -c "
import json, sys
print([r['pid'] for r in json.load(sys.stdin) if r['vm'] == 'alice'][0])"; }
now() { date +%s%N; }

# As much as passes in four seconds, for each time and some more, each way; what
# is left goes without a limit.
down=$((260000 * (times + 2)))
up=$down
until_true 60 in_lab server -- \
    "mkdir -p /www && seq $down >/www/file && httpd -h /www && iperf3 -s -D -F /got" &&
    until_true 30 in_lab alice -- "ip -4 -o addr show dev eth0 | grep -q 'inet 10'" &&
    in_lab alice -- "mkfs.ext4 -q /dev/vda && mkdir -p /mnt && mount -t ext4 /dev/vda /mnt && seq $up >/mnt/file"
is $? "two Debian guests are up, with a NAT between them"

# move NAME: alice stops at a checkpoint and goes on in another process
move() {
	before=$(process)
	t0=$(now)
	"$LANYARD" checkpoint --stop moves alice "$1" 2>>"$tmp/err" || return 1
	t1=$(now)
	kill -9 "$before" 2>/dev/null # if it is still there
	t2=$(now)
	"$LANYARD" restore moves alice "$1" 2>>"$tmp/err" || return 1
	t3=$(now)
	echo $(((t1 - t0) / 1000000)) >>"$tmp/saved"
	echo $(((t3 - t2) / 1000000)) >>"$tmp/restored"
	[ "$(process)" != "$before" ]
}

# iperf3's own writes of 128 KiB would lose bytes if cut short.
in_lab alice -- "(wget -q -O - http://203.0.113.10/file | md5sum >/tmp/sum; echo done >>/tmp/sum) >/dev/null 2>&1 &"
in_lab alice -- "(iperf3 -c 203.0.113.10 -F /mnt/file -l 1448 -t 3600 >/tmp/iperf 2>&1; echo \$? >/tmp/iperf.status) >/dev/null 2>&1 &"
is $? "alice fetches a file, and iperf3 sends another one from her disk"
moved=0
for i in $(seq "$times"); do
	sleep 1
	move "m$i" || break
	# Its agent answers, and the transfers were really under way.
	in_lab alice -- "[ ! -s /tmp/sum ] && [ ! -s /tmp/iperf.status ]" || break
	moved=$((moved + 1))
done
[ $moved = "$times" ]
is $? "... is stopped $times times meanwhile, and goes on ($moved)"
"$LANYARD" set moves alice.eth0 rate=none
until_true $((30 * (times + 2))) in_lab alice -- "grep -q done /tmp/sum"
is $? "... and has all of it"
[ "$(in_lab alice -- "head -n 1 /tmp/sum" | cut -c 1-32)" = \
    "$(seq $down | md5sum | cut -c 1-32)" ]
is $? "... and no byte is wrong"
until_true $((30 * (times + 2))) in_lab alice -- "grep -q '^0' /tmp/iperf.status"
is $? "... and iperf3 completes"
# It ends with its last write, not with what arrives of it.
whole=$(seq $up | wc -c)
got=$(in_lab server -- "stat -c %s /got")
[ "${got:-0}" -gt $((whole * 4 / 5)) ] &&
    [ "$(in_lab server -- md5sum /got | cut -c 1-32)" = \
	"$(seq $up | head -c "$got" | md5sum | cut -c 1-32)" ]
is $? "... of which no byte is wrong either ($got of $whole have arrived)"
in_lab alice -- umount /mnt
sort -n "$tmp/saved" | awk '{v[NR]=$1} END {print "# figure: a checkpoint of 128 MiB takes " v[int((NR+1)/2)] " ms (median of " NR ")"}'
sort -n "$tmp/restored" | awk '{v[NR]=$1} END {print "# figure: going on from it takes " v[int((NR+1)/2)] " ms (median of " NR ")"}'

# ---- what goes on is left behind by what is restored ----

# when WORD: into memory and onto the disk, and there past any cache
when() {
	in_lab alice -- "echo $1 >/tmp/when && echo $1 | dd of=/dev/vda conv=fsync,notrunc 2>/dev/null && sync"
}
when "then" && "$LANYARD" checkpoint moves alice "then"
is $? "a checkpoint of a guest that goes on"
when later
kill -9 "$(process)"
until_true 10 eval '! in_lab alice -- true'
"$LANYARD" restore moves alice "then" 2>"$tmp/out"
is $? "... brings it back after its process was killed"
note <"$tmp/out"
[ "$(in_lab alice -- cat /tmp/when)" = "then" ]
is $? "... as it was then"
[ "$(in_lab alice -- "echo 3 >/proc/sys/vm/drop_caches; head -n 1 /dev/vda")" = "then" ]
is $? "... and so its disk"
[ ! -e "$tmp/moves.checkpoints/lanyard.disks" ] && [ -e "$tmp/lanyard.disks" ]
is $? "... beside which its checkpoints are"

# ---- one that is off ----

state() { "$LANYARD" show moves vms --json | python3 -c "
import json, sys
print([r['state'] for r in json.load(sys.stdin) if r['vm'] == 'alice'][0])"; }
when before
in_lab alice -- poweroff
until_true 20 eval '[ "$(state)" = off ]' &&
    "$LANYARD" checkpoint moves alice asleep 2>"$tmp/out"
is $? "a checkpoint of a guest that is off"
note <"$tmp/out"
"$LANYARD" restore moves alice "then" &&
    [ "$(in_lab alice -- "head -n 1 /dev/vda")" = "then" ] && when after
is $? "... which goes on from an earlier one"
"$LANYARD" restore moves alice asleep &&
    until_true 60 in_lab alice -- true &&
    [ "$(in_lab alice -- "ls /tmp/when 2>/dev/null; head -n 1 /dev/vda")" = "before" ]
is $? "... and starts anew from this one, with its disk as it was"

# ---- what cannot be ----

"$LANYARD" checkpoint moves alice "then" 2>"$tmp/out"
[ $? = 1 ] && grep -q 'is a checkpoint already' "$tmp/out"
is $? "a name is used once"
"$LANYARD" restore moves alise "then" 2>"$tmp/out"
[ $? = 2 ] && grep -q 'did you mean "alice"' "$tmp/out"
is $? "a VM that is not there is not restored"
[ -s "$tmp/err" ] && sort "$tmp/err" | uniq -c | head -n 20 | note

# ---- without a lab, from engine to engine, and other machines ----

vm() {
	rm -f "$tmp/agent" "$tmp/con" "$tmp/ctl"
	back=
	[ "$1" != restore ] || { back="restore $2"; shift 2; }
	"$LANYARD" vm $back --name mover --agent "$tmp/agent" --console "$tmp/con" \
	    --control "$tmp/ctl" --checkpoints "$tmp/kept" "$@" \
	    </dev/null >"$tmp/vm" 2>&1 &
	vm=$!
	pids="$pids $vm"
}
engines=emulate
tsc=
[ -w /dev/kvm ] && engines="emulate kvm" && tsc=--tsc-host
for from in $engines; do
	vm --engine "$from" $tsc
	tests/labs/agent "$tmp/agent" 30 >/dev/null &&
	    "$LANYARD" vm save --stop "$tmp/ctl" "$from" 2>"$tmp/out"
	is $? "tiny stops on $from"
	note <"$tmp/out"
	wait $vm
	for to in $engines; do
		vm restore "$from" --engine "$to"
		until_true 10 test -S "$tmp/ctl" -o ! -d "/proc/$vm" &&
		    tests/labs/agent "$tmp/agent" 30 uptime >"$tmp/out" 2>&1
		is $? "... and goes on on $to"
		cat "$tmp/out" "$tmp/vm" | note
		seconds=$(sed -n 's/^up \([0-9]*\)\..*/\1/p' "$tmp/out")
		[ "${seconds:-99}" -lt 60 ]
		is $? "... and so its clock"
		kill $vm 2>/dev/null
		wait $vm
	done
done
# refused PATTERN OPTION...
refused() {
	pattern=$1
	shift
	vm --restore emulate --engine emulate "$@"
	wait $vm
	[ $? = 2 ] && grep -q "$pattern" "$tmp/vm"
	is $? "refused: $(cat "$tmp/vm")"
}
refused 'memory in bytes was 16777216 and is 33554432' --memory 32M
refused 'the number of CPUs was 1 and is 2' --vcpus 2
refused 'the number of balloons was 0 and is 1' --balloon 0M
refused 'is no checkpoint' --restore nothing
printf 'lanyard machine\n\377' >"$tmp/kept/mover@emulate~config"
refused 'is cut off'
