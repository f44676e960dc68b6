#!/bin/sh
# What `make demo` shows: the NAT lab as a picture, then alive with real VMs.
# Usage: demo.sh PATH-OF-LANYARD
set -eu
lanyard=$1
lab=$(dirname "$0")/nat.yaml

echo "The lab, $lab:"
echo
"$lanyard" draw "$lab"
echo
"$lanyard" run "$lab"

echo
echo "nat.pcapng opens in Wireshark; the comment of each frame is its verdict."
