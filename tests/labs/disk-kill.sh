#!/bin/bash
# A server of disks is killed while it works: nothing that it had acknowledged
# is lost; see disk-killer.  KILLS=500 for more of it.
. "$(dirname "$0")/tap.sh"
for program in qemu-img python3; do need disk-kill $program; done
killer=$PWD/tests/labs/disk-killer
cd "$tmp" || exit 1
timeout 3000 "$killer" "$LANYARD" "${KILLS:-12}" "${SEED:-1}" >out 2>&1
is $? "killed while it works, a server loses nothing that it acknowledged"
grep -q '^[0-9]* kills' out && figure "$(cat out)" || note <out
