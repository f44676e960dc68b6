# Completion of lanyard's command lines for bash: what may follow is asked of
# the program itself, and is a file where it has nothing to say.
_lanyard() {
	local IFS=$'\n'
	COMPREPLY=($(compgen -W "$("$1" complete \
	    "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "$2"))
}
complete -o default -F _lanyard lanyard
