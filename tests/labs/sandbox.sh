#!/bin/bash
# Processes of VMs as they run in a lab and alone: every thread is confined,
# their sockets go when they do, back ends that come back are found from within.
. "$(dirname "$0")/tap.sh"
for program in python3; do need sandbox $program; done
case $BUILD in /*) build=$BUILD ;; *) build=$PWD/$BUILD ;; esac
cat >"$tmp/box.yaml" <<Y
lab: box
switches:
  lan:
vms:
  a: {kernel: $build/guest/tiny.elf, memory: 16M, engine: emulate, vcpus: 2, disks: [{file: a.qcow2}], ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}
  b: {guest: tiny, engine: emulate, ports: {eth0: {switch: lan, address: 10.0.0.2/24}}}
Y
"$LANYARD" disk create "$tmp/a.qcow2" 4M >"$tmp/out" 2>&1

"$LANYARD" doctor sandbox >"$tmp/out" 2>&1
is $? "this machine has what confines a VM"
note <"$tmp/out"
grep -q 'seccomp, no new privileges, no capabilities' "$tmp/out"
is $? "doctor says what"

# start OPTION...: the lab
start() {
	"$LANYARD" run "$@" "$tmp/box.yaml" >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 20 "$LANYARD" exec box a -- ping -c 1 10.0.0.2
}
stop() { kill -INT $lab; wait $lab; }
# vms KEY: of both
vms() {
	"$LANYARD" show box vms --json | python3 -c '
import json, sys
for vm in json.load(sys.stdin): print(vm[sys.argv[1]])' "$1"
}
# all_threads WORD VALUE: of both; a has 2 CPUs, a clock, a loop, snapshots
all_threads() {
	for pid in $(vms pid); do cat /proc/$pid/task/*/status; done |
	    grep "^$1:" >"$tmp/threads"
	[ "$(wc -l <"$tmp/threads")" -ge 8 ] &&
	    ! grep -v "^$1:[[:space:]]*$2\$" "$tmp/threads"
}

start
is $? "a lab runs in it"
note <"$tmp/log"
[ "$(vms sandbox | sort -u)" = "seccomp, no new privileges, no capabilities" ]
is $? "show vms says what is in force"
all_threads Seccomp 2
is $? "every thread has a filter"
all_threads NoNewPrivs 1
is $? "every thread gets no new privileges"
# Who makes snapshots of other people's images may: 0xa.
all_threads CapEff '000000000000000[0a]'
is $? "no thread has capabilities that it does not need"
for pid in $(vms pid); do
	grep -E '^Max (core|open files|address)' /proc/$pid/limits
	# Descriptors of others would be names that are none of these.
	find /proc/$pid/fd -type l -printf '%l\n' |
	    grep -vE '^(socket|anon_inode|/memfd:guest-ram|/dev/null|pipe):?|box/|a.qcow2|tiny.elf|/dev/kvm'
done >"$tmp/seen"
[ -s "$tmp/seen" ] && ! grep -E 'unlimited|^/' "$tmp/seen" >"$tmp/out"
is $? "memory has a limit, and no descriptor is another's"
note <"$tmp/out"
"$LANYARD" disk snapshot kept "$tmp/a.qcow2" >"$tmp/out" 2>&1
is $? "a snapshot is taken from within"
note <"$tmp/out"
"$LANYARD" exec box a -- ping -c 1 10.0.0.2 >"$tmp/out" 2>&1
is $? "and the guest goes on"
stop

start --no-sandbox
[ "$(vms sandbox | sort -u)" = none ]
is $? "without it, show vms says so"
stop
"$LANYARD" vm --engine emulate --no-sandbox --until-ready </dev/null \
    >/dev/null 2>"$tmp/err"
grep -q 'NO SANDBOX' "$tmp/err"
is $? "and vm does, loudly"

# ---- its limit leaves room for what a machine may be ----

truncate -s 1M "$tmp/small.raw"
disks=$(for i in 1 2 3 4 5 6 7 8; do echo "--disk $tmp/small.raw,ro"; done)
for engine in emulate kvm; do
	if [ $engine = kvm ] && ! [ -w /dev/kvm ]; then
		skip "engine kvm: needs /dev/kvm, which cannot be opened"
		continue
	fi
	# Most of which is promised only.
	"$LANYARD" vm --engine $engine --memory 1024G --vcpus 8 \
	    --control "$tmp/ctl" --checkpoints "$tmp/kept" --balloon 1M \
	    --kernel "$build/guest/tiny.elf" $disks --until-ready \
	    </dev/null 2>"$tmp/out" >/dev/null
	is $? "1024 GiB, 8 CPUs and 8 disks have room in it on $engine"
	note <"$tmp/out"
done

# ---- a back end that goes and comes back ----

cat >"$tmp/back.yaml" <<Y
lab: back
switches:
  lan:
routers:
  h: {ports: {in: {switch: lan, address: 10.0.0.9/24}}}
plugs:
  p: {switch: lan, locator: "vhost-user:$tmp/back.sock"}
Y
back() {
	"$LANYARD" run "$tmp/back.yaml" >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
}
reaches() { tests/labs/agent "$tmp/agent" 5 "ping -c 1 10.0.0.9" >/dev/null; }
back
"$LANYARD" vm --engine emulate --nic "socket=$tmp/back.sock" \
    --cmdline 'lanyard.eth0=10.0.0.1/24' --agent "$tmp/agent" \
    --console "$tmp/console" </dev/null >"$tmp/vm" 2>&1 &
vm=$!
pids="$pids $vm"
tests/labs/agent "$tmp/agent" 10
until_true 10 reaches
is $? "a VM alone reaches a router by its back end"
note <"$tmp/vm"
stop
back
until_true 10 reaches
is $? "and by one that took its place"
note <"$tmp/vm"
[ -S "$tmp/agent" ] && [ -S "$tmp/console" ]
there=$?
kill $vm
wait $vm
sleep 0.1
[ $there = 0 ] && [ ! -e "$tmp/agent" ] && [ ! -e "$tmp/console" ]
is $? "its sockets go when it ends"
stop
