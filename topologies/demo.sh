#!/bin/sh
# What `make demo` shows: the NAT lab as a picture, then alive with real VMs.
# Usage: demo.sh PATH-OF-LANYARD
set -eu
lanyard=$1
lab=$(dirname "$0")/nat.yaml

if ! "$lanyard" doctor --quiet kvm; then
	echo "The demo runs real virtual machines and needs KVM; see above." >&2
	exit 1
fi
echo "The lab, $lab:"
echo
"$lanyard" draw "$lab"
echo
"$lanyard" run "$lab"

echo
echo "nat.pcapng opens in Wireshark; the comment of each frame is its verdict."
