# What must hold after a power cut.  Sourced with BRIG, BRIG_BASE, BRIG_RUN, BRIG_CONF and MOUNT set, and a workload.
# shellcheck shell=sh disable=SC2015

brig() { timeout 60 "$BRIG" -q "$@"; }

# digest DIR [WITHOUT]: names, types, modes, owners, link targets and contents of the files of a directory.  Of files
# that are different each time they are made (FRESH) only whether they are empty.
digest() {
	(cd "$1" && find . -regextype posix-extended -path "./${2:-.none}" -prune -o -printf '%P %y %m %U:%G %l\n' \
		\( -not -type f -o -empty -printf 'empty %P\n' -o -regex "\./(.*/)?($FRESH)" -o -exec sha256sum {} + \)) |
		LC_ALL=C sort | sha256sum | cut -c1-16
}

field() { sed -n "s/^ *\"$2\": \"\{0,1\}\([^\",]*\)\"\{0,1\},\{0,1\}\$/\1/p" "$1"; }

# Everything that counts, one fact a line.
observe() {
	for t in "$BRIG_BASE"/templates/*/; do
		t=$(basename "$t")
		[ ! -L "$BRIG_BASE/templates/$t/current" ] ||
			echo "template $t current $(readlink "$BRIG_BASE/templates/$t/current")"
		for r in "$BRIG_BASE/templates/$t"/[!.]*/; do
			[ -d "$r" ] && [ ! -L "${r%/}" ] || continue
			r=$t/$(basename "$r")
			if brig template verify "$r" >/dev/null 2>&1; then
				echo "release $r whole"
			else
				echo "release $r DAMAGED"
			fi
		done
	done
	for l in "$BRIG_BASE"/j/*; do
		[ -L "$l" ] && echo "link $(basename "$l") $(readlink "$l")"
	done
	for f in "$BRIG_BASE"/js/.brig/*.json; do
		j=$(basename "$f" .json)
		# a jail is one fact: its release and its configuration change together
		if [ -d "$BRIG_BASE/js/$j" ]; then
			echo "jail $j $(field "$f" template)/$(field "$f" release) etc $(digest "$BRIG_BASE/js/$j/etc")"
			echo "waits $j $(waiting "$j")"
		fi
	done
	for d in "$BRIG_BASE"/js/[!.]*/; do
		[ -d "$d" ] || continue
		echo "space $(basename "$d") $(stat -c '%a %u:%g' "$d") $(digest "$d" etc)" # an upgrade leaves it alone
	done
	for f in "$(dirname "$BRIG_CONF")"/jail.conf.d/*.conf; do
		[ ! -f "$f" ] || echo "defined $(basename "$f") $(sha256sum <"$f" | cut -c1-16)"
	done
	echo "modes $(stat -c '%a %u:%g' "$BRIG_BASE/js" "$BRIG_BASE/js/.brig" | tr '\n' ' ')"
}

# What waits for a decision in a jail; a workload with merges says how to see it.
waiting() { :; }

# Each jail has a range of ids, and no other has it.
ids_unique() {
	for f in "$BRIG_BASE"/js/.brig/*.json; do
		[ -f "$f" ] || continue
		j=$(basename "$f" .json)
		[ -d "$BRIG_BASE/js/$j" ] || continue
		id=$(field "$f" idbase)
		[ $((id % 65536)) = 0 ] || echo "ids of $j: $id"
		echo "$id" >>"$1"
		[ "$(find "$BRIG_BASE/js/.brig/ids" -type l -lname "$j" | wc -l)" -ge 1 ] || echo "ids of $j: not kept"
	done
	sort "$1" | uniq -d | sed 's/^/ids twice: /'
}

leftovers() {
	find "$BRIG_BASE" "$(dirname "$BRIG_CONF")" \( -name '.new*' -o -name '.old*' -o -name '.tmp*' -o \
		-name '.brig-*' \) -printf 'left over: %P\n'
}

# agrees STATES K: what is observed ($3) is, fact by fact, as after step K or as after step K + 1.
agrees() {
	next=$1/$(($2 + 1))
	[ -f "$next" ] || next=$1/$2
	LC_ALL=C sort "$1/$2" "$next" | uniq >"$3.may"
	LC_ALL=C sort "$1/$2" "$next" | uniq -d >"$3.must"
	LC_ALL=C sort "$3" | LC_ALL=C comm -23 - "$3.may" | sed 's/^/neither before nor after: /'
	LC_ALL=C sort "$3" | LC_ALL=C comm -13 - "$3.must" | sed 's/^/lost: /'
}

# call FUNCTION: its output only when it fails
call() {
	"$@" >"$TMP/out" 2>&1 || {
		echo "$*: exit $?"
		sed 's/^/  /' "$TMP/out"
	}
}

# as_after STATES K WHAT: exactly so
as_after() {
	observe >"$TMP/now" 2>&1
	LC_ALL=C sort "$TMP/now" >"$TMP/now.sorted"
	LC_ALL=C sort "$1/$2" | diff - "$TMP/now.sorted" | sed -n "s/^\([<>]\)/$3: \1/p"
}

# violations STATES K: prints what is wrong with a disk on which K steps had returned with success.  TMP is a
# directory for its notes.
violations() {
	: >"$TMP/ids"
	n=$STEPS
	# commands that look, and then any that changes something: what is to be repaired is repaired
	call brig list
	call brig template list
	call brig stop -a
	observe >"$TMP/seen" 2>&1
	agrees "$1" "$2" "$TMP/seen"
	ids_unique "$TMP/ids"
	if [ "$2" -lt "$STEPS" ]; then
		n=$(($2 + 1))
		# the same command again: it finishes
		if command -v "again$n" >/dev/null; then
			call "again$n"
		else
			call "step$n"
		fi
		as_after "$1" "$n" "step $n again"
	fi
	leftovers
	if command -v "undo$n" >/dev/null; then
		call "undo$n"
		as_after "$1" "$((n - 1))" "step $n undone"
		leftovers
	fi
}
