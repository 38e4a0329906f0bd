# From the list of checks (NAME SECTION - | NAME SECTION excused REASON) and the results (COLUMN NAME WORD DETAIL) to
# the table, and to what is wrong.  -v columns="host brig ..."
function word(column, name) {
	return (column, name) in got ? got[column, name] : "-"
}
# A section's letters to what it is about.
function class(section) {
	if (section ~ /^F/)
		return 1
	if (section ~ /^K[1-4]$/)
		return 2
	if (section ~ /^K[56]$/)
		return 3
	if (section ~ /^K(7|13|20|21)$/)
		return 4
	if (section ~ /^K[89]$/)
		return 5
	if (section ~ /^K1[012]$/)
		return 6
	return 7
}
# hunt() is done for two columns only
function is_run(column, name) {
	return name != "joiner" || column == "host" || column == "exec"
}
function wrong(text) {
	bad[++n_bad] = text
}
FNR == NR {
	order[++n] = $1
	section[$1] = $2
	if ($3 == "excused")
		excuse[$1] = substr($0, index($0, " excused ") + 9)
	next
}
{
	got[$1, $2] = $3
	detail[$1, $2] = substr($0, length($1 $2 $3) + 4)
}
END {
	nc = split(columns, column, " ")
	printf "%-22s %-4s", "check", ""
	for (i = 1; i <= nc; i++) {
		printf " %-8s", column[i]
		has[column[i]] = 1
	}
	print ""
	for (k = 1; k <= n; k++) {
		name = order[k]
		missing = has["host"] && word("host", name) == "N/A"
		printf "%-22s %-4s", name, section[name]
		for (i = 1; i <= nc; i++) {
			c = column[i]
			w = word(c, name)
			if (w == "-" && is_run(c, name))
				wrong(c " " name ": no answer")
			if (c == "host" && w == "DENIED")
				wrong("host " name ": the control does not work: " detail[c, name])
			if (missing)
				w = "n/a"
			else if ((c == "brig" || c == "exec") && w == "ALLOWED") {
				if (name in excuse)
					w = "allowed"
				else
					wrong(c " " name ": ALLOWED: " detail[c, name])
			} else if ((c == "brig" || c == "exec") && w == "N/A")
				wrong(c " " name ": cannot tell: " detail[c, name])
			printf " %-8s", w
			count[c, w]++
			if (toupper(w) == "ALLOWED")
				of[class(section[name]), c]++
		}
		print ""
	}
	split("file system view|/proc, /sys, control groups|namespaces, call tables|sockets, shared memory|" \
		"calls, keys|terminals, other processes|rights, limits, clocks", about, "|")
	printf "\n%-27s\n", "allowed, by what it is about"
	for (k = 1; k <= 7; k++) {
		printf "%-27s", about[k]
		for (i = 1; i <= nc; i++)
			printf " %-8d", of[k, column[i]]
		print ""
	}
	printf "%-27s", "ALLOWED"
	for (i = 1; i <= nc; i++)
		printf " %-8d", count[column[i], "ALLOWED"] + count[column[i], "allowed"]
	printf "\n%-27s", "DENIED"
	for (i = 1; i <= nc; i++)
		printf " %-8d", count[column[i], "DENIED"]
	print "\n"
	for (k = 1; k <= n; k++)
		if (order[k] in excuse)
			print "allowed " order[k] ": " excuse[order[k]]
	for (k = 1; k <= n; k++)
		if (word("host", order[k]) == "N/A")
			print "n/a " order[k] ": " detail["host", order[k]]
	for (i = 1; i <= n_bad; i++)
		print "WRONG " bad[i]
	exit n_bad > 0
}
