# tap.sh - for scripts that test from outside: TAP lines, root, namespaces.
# Source it; it makes $tmp and cleans up after the script.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
LANYARD=${LANYARD:-$PWD/$BUILD/lanyard}
tests=0
tmp=$(mktemp -d)
export XDG_RUNTIME_DIR=$tmp/run
mkdir -m 700 "$XDG_RUNTIME_DIR"
namespaces=
pids=

finish() {
	status=$?
	for p in $pids; do kill "$p" 2>/dev/null; done
	for p in $pids; do wait "$p" 2>/dev/null; done
	for n in $namespaces; do ip netns del "$n" 2>/dev/null; done
	rm -rf "$tmp"
	echo "1..$tests"
	exit $status
}
trap finish EXIT
trap 'exit 1' INT TERM

ok() { tests=$((tests + 1)); echo "ok $tests - $*"; }
not_ok() { tests=$((tests + 1)); echo "not ok $tests - $*"; }
# is STATUS NAME: the status of the command before
is() { if [ "$1" = 0 ]; then shift; ok "$@"; else shift; not_ok "$@"; fi; }
skip() { tests=$((tests + 1)); echo "ok $tests # SKIP $*"; }
skip_all() { skip "$@"; exit 0; }
note() { sed 's/^/# /'; }
figure() { echo "# figure: $*"; }

# A namespace of this script's own; the name is left in $ns.
namespace() {
	ns=lyd-$1-$$
	ip netns add "$ns" || return 1
	namespaces="$namespaces $ns"
	ip -n "$ns" link set lo up
}

# attach TAP NAMESPACE ADDRESS: from the namespace $router, where the lab runs.
attach() {
	ip -n "$router" link set "$1" netns "$2"
	ip -n "$2" addr add "$3" dev "$1"
	ip -n "$2" link set "$1" up
}

need_root() { [ "$(id -u)" = 0 ] || skip_all "$1: needs root"; }
# The Linux guest, in $BUILD/guest/linux.  Only a package archive that cannot
# be reached is a reason to skip.
make_guest() {
	make BUILD="$BUILD" guest >"$tmp/make" 2>&1 && return
	why=$(grep -m 1 '^make guest: cannot get' "$tmp/make") && skip_all "$1: $why"
	not_ok "make guest makes the Linux guest"
	note <"$tmp/make"
	exit 1
}
need() {
	command -v "$2" >/dev/null || skip_all "$1: needs $2, which is missing"
}

# until_true SECONDS COMMAND...: tries every 0.1 s
until_true() {
	end=$(($(date +%s) + $1))
	shift
	while ! "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.1
	done
}
