#!/bin/sh
# Installs the packages of the kinds given (build, test, lint, bench) that are
# missing.  Says nothing and needs no rights when none is.
set -eu
here=$(dirname "$0")
missing=
for kind in "$@"; do
	for package in $(sed -n "s/^$kind //p" "$here/packages"); do
		status=$(dpkg-query -W -f '${db:Status-Status}' "$package" \
		    2>/dev/null || true)
		[ "$status" = installed ] || missing="$missing $package"
	done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then
	sudo=
elif command -v sudo >/dev/null; then
	sudo=sudo
else
	echo "missing packages:$missing; install them as root, or install sudo" >&2
	exit 1
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
apt="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y"
log=$(mktemp)
# Some are servers, which tests start for themselves, where nobody else is: the
# system is not to start them as well.
policy=/usr/sbin/policy-rc.d
if [ -e $policy ]; then
	trap 'rm -f "$log"' EXIT
else
	trap 'rm -f "$log"; $sudo rm -f $policy' EXIT
	trap 'exit 1' INT TERM
	printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
	$sudo chmod 755 $policy
fi
# Package lists may be missing or old: refresh them when the first try fails.
if ! { $apt install --no-install-recommends $missing >"$log" 2>&1 ||
    { $apt update >"$log" 2>&1 &&
	$apt install --no-install-recommends $missing >"$log" 2>&1; }; }; then
	cat "$log" >&2
	exit 1
fi
