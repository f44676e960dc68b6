#!/bin/sh
# Assembles the Linux guest from Debian packages, as any user and without
# installing one of them.  Usage: vmm/linux/image.sh DIRECTORY AGENT
#
# Leaves in DIRECTORY:
#   vmlinuz   Debian's cloud kernel, as it is
#   initrd    a cpio archive, not compressed: unpacking costs a guest more time
#             than reading; busybox, the virtio modules, iperf3, mke2fs, e2fsck,
#             the agent
#   cmdline   what the kernel is to be told before all else
#   packages/ what was downloaded; asked for once, until it is removed
#
# The package archive is the one that apt is configured for.  Where apt's lists
# are missing or old, others are fetched into DIRECTORY/packages.
#
# Module signatures go: the kernel does not insist, and checking one costs ten
# million instructions.
set -eu
here=$(dirname "$0")
out=$1
agent=$2

# In this order; one that the kernel has built in is no file.
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev
    virtio_pci failover net_failover virtio_net virtio_blk virtio_console
    virtio-rng virtio_balloon"
# Packages of programs that busybox has not.
programs="iperf3 e2fsprogs"

die() {
	echo "make guest: $*" >&2
	exit 1
}

for program in apt-get apt-cache dpkg-deb strip readelf; do
	command -v $program >/dev/null ||
	    die "needs $program: the guest is made of Debian packages, on Debian"
done
mkdir -p "$out/packages"
cache=$(cd "$out/packages" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# ---- packages: their files in $cache, the files' names in $cache/list ----

# What apt is told besides; APT_CONFIG works for apt-get and apt-cache alike.
export APT_CONFIG="$work/apt.conf"
echo 'Acquire::Retries "1";' >"$APT_CONFIG"
[ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >>"$APT_CONFIG"

depends() {
	apt-cache depends "$1" 2>/dev/null |
	    sed -n 's/^ *\(Pre\)\{0,1\}Depends: \([a-z0-9][^ ]*\)$/\2/p'
}

# The names of all packages that we take from.
names() {
	kernel=$(depends linux-image-cloud-amd64 | grep '^linux-image-' |
	    head -n 1)
	[ -n "$kernel" ] || return 1
	echo "$kernel busybox-static"
	# programs, and the libraries under them
	found=$programs
	todo=$programs
	while [ -n "$todo" ]; do
		next=
		for package in $todo; do
			for library in $(depends "$package" | grep '^lib'); do
				case " $found " in *" $library "*) continue ;; esac
				found="$found $library"
				next="$next $library"
			done
		done
		todo=$next
	done
	echo "$found"
}

download() (
	cd "$cache"
	wanted=$(names) || {
		echo "E: apt knows of no linux-image-cloud-amd64" >>"$work/why"
		return 1
	}
	# shellcheck disable=SC2086 # several words
	# Elsewhere: what is here already would not be named.
	(cd "$work" && apt-get download --print-uris $wanted) \
	    >"$work/uris" 2>"$work/why" &&
	    apt-get -qq download $wanted >"$work/why" 2>&1 || return 1
	# 'URI' FILE SIZE HASH
	cut -d ' ' -f 2 "$work/uris" >list.new
	while read -r file; do
		[ -s "$file" ] || {
			echo "E: $file was not downloaded" >"$work/why"
			return 1
		}
	done <list.new
	echo "$programs" >for
	mv list.new list
)

# The machine's lists may be missing or old, and only root may renew them.
private_lists() {
	mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
	cat >>"$APT_CONFIG" <<A
Dir::State::lists "$cache/apt/lists";
Dir::Cache "$cache/apt";
A
	apt-get -qq update >"$work/why" 2>&1
}

have() {
	[ -s "$cache/list" ] || return 1
	[ "$(cat "$cache/for" 2>/dev/null)" = "$programs" ] || return 1
	while read -r file; do
		[ -s "$cache/$file" ] || return 1
	done <"$cache/list"
}

have || download || { private_lists && download; } ||
    die "cannot get the packages: $(sed -n 's/^[EW]: //p' "$work/why" |
	head -n 1); connect to a Debian package archive (/etc/apt), then try again"

# ---- their contents, in $work/tree ----

mkdir "$work/tree"
while read -r file; do
	dpkg-deb -x "$cache/$file" "$work/tree" 2>"$work/why" ||
	    die "$cache/$file: $(tail -n 1 "$work/why"); remove it and try again"
done <"$cache/list"

# tree PATTERN: the file in the tree whose path ends so, or nothing
tree() { find "$work/tree" -path "*/$1" ! -type d -print -quit; }

# ---- the root file system, in $work/root ----

root=$work/root
mkdir -p "$root/bin" "$root/lib64" "$root/lib/x86_64-linux-gnu" \
    "$root/lib/modules" "$root/etc" "$root/run/resolv" "$root/var/log" \
    "$root/proc" "$root/sys" "$root/dev" "$root/root" "$root/tmp" "$root/mnt"
ln -s bin "$root/sbin"
ln -s . "$root/usr"
ln -s ../run "$root/var/run"

busybox=$(tree bin/busybox)
[ -n "$busybox" ] || die "$cache: busybox-static holds no bin/busybox"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
	[ -e "$root/bin/$applet" ] || ln -s busybox "$root/bin/$applet"
done

: >"$root/lib/modules/order"
for name in $modules; do
	file=$(tree "$name.ko*")
	case $file in
	*.ko) strip --strip-debug -o "$root/lib/modules/$name.ko" "$file" ;;
	*.ko.xz)
		xz -dc "$file" >"$work/module.ko"
		strip --strip-debug -o "$root/lib/modules/$name.ko" \
		    "$work/module.ko"
		;;
	*)
		grep -q "/$name\.ko" "$work"/tree/lib/modules/*/modules.builtin ||
		    die "the kernel has no module $name"
		continue
		;;
	esac
	echo "$name.ko" >>"$root/lib/modules/order"
done

# program FILE TO: with the libraries that it needs
program() {
	[ -n "$1" ] || die "$cache: no $2 in the packages"
	cp -L "$1" "$root/$2"
	for library in $(readelf -d "$1" |
	    sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
		[ -e "$root/lib/x86_64-linux-gnu/$library" ] ||
		    program "$(tree "lib/*/$library")" "lib/x86_64-linux-gnu/$library"
	done
}
program "$(tree bin/iperf3)" bin/iperf3
# Busybox makes ext2 only, and does not check.
rm -f "$root/bin/mke2fs"
program "$(tree sbin/mke2fs)" bin/mke2fs
program "$(tree sbin/e2fsck)" bin/e2fsck
ln -sf mke2fs "$root/bin/mkfs.ext4"
ln -sf e2fsck "$root/bin/fsck.ext4"
ln -s ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$root/lib64/"

cp "$agent" "$root/bin/lanyard-agent"
ln -sf lanyard-agent "$root/bin/poweroff"
ln -sf lanyard-agent "$root/bin/reboot"
cp "$here/init" "$root/init"
cp "$here/lease" "$here/inittab" "$here/profile" "$root/etc/"
echo "root:x:0:0:root:/root:/bin/sh" >"$root/etc/passwd"
echo "root:x:0:" >"$root/etc/group"
chmod 755 "$root/init" "$root/etc/lease" "$root/bin/lanyard-agent" \
    "$root/bin/iperf3" "$root/bin/mke2fs" "$root/bin/e2fsck" \
    "$root/bin/busybox"

# ---- the archive: the same bytes from the same packages ----

find "$root" -exec touch -h -d @0 {} +
(cd "$root" && find . | LC_ALL=C sort |
    "$busybox" cpio -o -H newc -R 0:0 --ignore-devno --renumber-inodes \
	>"$work/initrd" 2>"$work/why") ||
    die "cpio: $(tail -n 1 "$work/why")"
chmod 644 "$work/initrd"
cp "$(tree 'boot/vmlinuz-*')" "$out/vmlinuz.new"
cp "$work/initrd" "$out/initrd.new"
cp "$here/cmdline" "$out/cmdline"
mv "$out/vmlinuz.new" "$out/vmlinuz"
mv "$out/initrd.new" "$out/initrd"
echo "$out: Linux $(tree 'boot/vmlinuz-*' | sed 's/.*vmlinuz-//')," \
    "initrd of $(($(wc -c <"$out/initrd") / 1024)) KiB"
