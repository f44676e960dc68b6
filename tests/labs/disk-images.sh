#!/bin/bash
# Images that qemu-img makes; see disk-images.  IMAGES=1 for all of them.
. "$(dirname "$0")/tap.sh"
for program in qemu-img qemu-io; do need disk-images $program; done
/usr/bin/python3 -c 'import pyqcow' 2>/dev/null ||
    skip_all "disk-images: needs python3-libqcow, which is missing"
images=$PWD/tests/labs/disk-images
mkdir "$tmp/images"
cd "$tmp/images" || exit 1
timeout 900 "$images" "$LANYARD" "${IMAGES:-7}" >"$tmp/out" 2>&1
status=$?
cat "$tmp/out"
tests=$(grep -c -E '^(not )?ok' "$tmp/out")
[ "$tests" -gt 0 ] && { [ $status = 0 ] || [ $status = 1 ]; }
is $? "all of that came to its end"
