#!/bin/bash
# What a VM costs beside its guest: memory of its processes beyond guest RAM, and
# the time from exec to the guest's first instruction, with a processor of its
# own as far as that can be had.
# OVERHEAD_RUNS (9): how often the time is measured.
. "$(dirname "$0")/tap.sh"
need overhead python3
need_root overhead # to see the memory of a process that is confined
# Others that use the processors are none of its cost.
alone=
! chrt -f 50 true 2>/dev/null || alone="chrt -f 50"
cat >"$tmp/lab.yaml" <<'Y'
lab: overhead
switches:
  lan:
vms:
  a: {guest: tiny, ENGINE, ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}
  b: {guest: tiny, ENGINE, ports: {eth0: {switch: lan, address: 10.0.0.2/24}}}
Y
for engine in emulate kvm; do
	if [ $engine = kvm ] && ! [ -w /dev/kvm ]; then
		skip "engine kvm: needs /dev/kvm, which cannot be opened"
		continue
	fi
	sed "s/ENGINE/engine: $engine/" "$tmp/lab.yaml" >"$tmp/$engine.yaml"
	"$LANYARD" run "$tmp/$engine.yaml" >"$tmp/log" 2>&1 &
	lab=$!
	pids="$pids $lab"
	until_true 20 "$LANYARD" exec overhead a -- ping -c 3 10.0.0.2
	is $? "two VMs talk on engine $engine"
	note <"$tmp/log"
	# The process, and its porter, which is its child.
	"$LANYARD" show overhead vms --json >"$tmp/vms"
	python3 - "$tmp/vms" "$engine" <<'P'
import json, re, sys
pid = json.load(open(sys.argv[1]))[0]["pid"]
with open(f"/proc/{pid}/task/{pid}/children") as f:
    pids = [pid] + [int(p) for p in f.read().split()]
total = ram = 0
for p in pids:
    name = ""
    for line in open(f"/proc/{p}/smaps"):
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            name = line.split(None, 5)[-1] if len(line.split()) > 5 else ""
        elif line.startswith("Pss:"):
            if "guest-ram" in name:
                ram += int(line.split()[1])
            else:
                total += int(line.split()[1])
print(f"# figure: engine {sys.argv[2]}: a tiny VM's {len(pids)} processes take "
      f"{total} KiB (PSS) beyond the {ram} KiB of guest RAM in use")
sys.exit(total > 5 * 1024)
P
	is $? "its processes take at most 5 MiB beyond guest RAM on $engine"
	kill -INT $lab
	wait $lab

	$alone python3 - "$LANYARD" "$engine" "$tmp/first.elf" "${OVERHEAD_RUNS:-9}" <<'P'
import os, statistics, struct, subprocess, sys, time
program, engine, path, runs = sys.argv[1:4] + [int(sys.argv[4])]
alone = os.sched_getscheduler(0) == os.SCHED_FIFO
# mov al, 'x'; mov dx, 0x3f8; out dx, al; mov edx, 0xf4; out dx, al; hlt
code = bytes.fromhex("b078 66baf803 ee baf4000000 ee f4")
size = 64 + 56 + len(code)
elf = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
elf += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x100000 + 120, 64, 0, 0, 64,
                   56, 1, 0, 0, 0)
elf += struct.pack("<IIQQQQQQ", 1, 7, 0, 0x100000, 0x100000, size, size, 4096)
open(path, "wb").write(elf + code)
took = []
for _ in range(runs):
    start = time.monotonic()
    vm = subprocess.Popen(
        [program, "vm", "--engine", engine, "--kernel", path, "--memory", "16M",
         "--exit-port"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    byte = os.read(vm.stdout.fileno(), 1)
    took.append((time.monotonic() - start) * 1000)
    if byte != b"x" or vm.wait() != (ord("x") << 1 | 1) & 0xff:
        sys.exit(1)
load = open("/proc/loadavg").read().split()[0]
how = "a processor of its own" if alone else "no processor of its own"
print(f"# figure: engine {engine}: the guest's first byte arrives "
      f"{statistics.median(took):.1f} ms after the process was asked for "
      f"(median of {runs}, {min(took):.1f} to {max(took):.1f}, {how}, load {load})")
# The kernel makes threads for KVM, which wait for others all the same.
sys.exit(alone and min(took) > 10)
P
	is $? "its first instruction comes within 10 ms on $engine"
done
