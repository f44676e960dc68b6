#!/bin/bash
# make install puts everything under DESTDIR and PREFIX and nothing elsewhere.
. "$(dirname "$0")/tap.sh"
make -s install BUILD="$BUILD" DESTDIR="$tmp/root" PREFIX=/opt/lanyard \
    >"$tmp/log" 2>&1
is $? "make install"
note <"$tmp/log"
"$tmp/root/opt/lanyard/bin/lanyard" --version >/dev/null
is $? "the installed program runs"
[ -f "$tmp/root/opt/lanyard/share/lanyard/lanyard.lua" ]
is $? "and Wireshark's fields"
[ -f "$tmp/root/opt/lanyard/share/bash-completion/completions/lanyard" ]
is $? "and the shell's completion"
for page in man/*.[1-9] "$BUILD"/man/*.[1-9]; do
	[ -f "$tmp/root/opt/lanyard/share/man/man${page##*.}/${page##*/}" ]
	is $? "${page##*/} is installed"
	mandoc -T lint -W warning "$page" >"$tmp/lint" 2>&1
	is $? "${page##*/} is a clean page"
	note <"$tmp/lint"
done
