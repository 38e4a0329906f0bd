#!/usr/bin/env bats
# Templates from OCI image layouts: layers and their whiteouts, tags, upgrades; and layouts that want to hurt.

load lib

setup_file() {
	lab_setup
	mkdir "$LAB/victim" "$LAB/rootfs"
	echo precious >"$LAB/victim/file"
	find "$LAB/victim" -printf '%p %m %U %n %s %T@\n' >"$LAB/victim.before"
	# the tree of the busybox template before it was split
	cp -a "$BRIG_BASE/j/mroot/bin" "$LAB/rootfs/"
	mkdir -p "$LAB/rootfs/etc" "$LAB/rootfs/usr/bin" "$LAB/rootfs/usr/share/doc/old" "$LAB/rootfs/var/lib"
	echo 'root:x:0:0::/root:/bin/sh' >"$LAB/rootfs/etc/passwd"
	echo 'root:x:0:' >"$LAB/rootfs/etc/group"
	echo first >"$LAB/rootfs/usr/share/first"
	echo gone >"$LAB/rootfs/usr/share/gone"
	echo gone >"$LAB/rootfs/usr/share/doc/old/gone"
	tar -C "$LAB/rootfs" -cf "$LAB/base.tar" .
	arch=$(uname -m)
	case $arch in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; esac
	export ARCH=$arch
}
teardown_file() { lab_teardown; }
setup() {
	T=$BRIG_BASE/templates
	L=$LAB/layout
	rm -rf "$L"
	mkdir -p "$L/blobs/sha256"
	printf '{"imageLayoutVersion": "1.0.0"}' >"$L/oci-layout"
}
teardown() {
	find "$LAB/victim" -printf '%p %m %U %n %s %T@\n' | diff "$LAB/victim.before" -
	assert_tidy
}

# blob MEDIATYPE FILE [MORE]: into the layout; prints its descriptor
blob() {
	local hex
	hex=$(sha256sum <"$2" | cut -d' ' -f1)
	cp "$2" "$L/blobs/sha256/$hex"
	printf '{"mediaType": "%s", "digest": "sha256:%s", "size": %s%s}' "$1" "$hex" "$(stat -c %s "$2")" "${3:-}"
}

# layer DIR [gzip|zstd]: the tree as a layer
layer() {
	tar -C "$1" -cf "$LAB/layer" .
	pack "${2:-}"
}

# pack [gzip|zstd]: $LAB/layer as one
pack() {
	case ${1:-} in
	gzip) gzip -n <"$LAB/layer" >"$LAB/packed" ;;
	zstd) zstd_raw "$LAB/layer" >"$LAB/packed" ;;
	*) cp "$LAB/layer" "$LAB/packed" ;;
	esac
	blob "application/vnd.oci.image.layer.v1.tar${1:++$1}" "$LAB/packed"
}

# zstd_raw FILE: one frame with one block that is not compressed (RFC 8878), at most 128 KiB
zstd_raw() {
	local n
	n=$(stat -c %s "$1")
	[ "$n" -lt 131072 ]
	printf '\050\265\057\375\000\070'
	n=$((n << 3 | 1))
	# shellcheck disable=SC2059
	printf "$(printf '\\%03o' $((n & 255)) $((n >> 8 & 255)) $((n >> 16)))"
	cat "$1"
}

# manifest MORE LAYER...: prints its descriptor, with MORE in it
manifest() {
	local more=$1 config layers
	shift
	printf '{"architecture": "%s", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}' "${IMAGE_ARCH:-$ARCH}" >"$LAB/config"
	config=$(blob application/vnd.oci.image.config.v1+json "$LAB/config")
	layers=$(printf '%s, ' "$@")
	printf '{"schemaVersion": 2, "config": %s, "layers": [%s]}' "$config" "${layers%, }" >"$LAB/manifest"
	blob application/vnd.oci.image.manifest.v1+json "$LAB/manifest" "$more"
}

# index DESCRIPTOR...
index() {
	local all
	all=$(printf '%s, ' "$@")
	printf '{"schemaVersion": 2, "manifests": [%s]}' "${all%, }"
}

tag() { printf ', "annotations": {"org.opencontainers.image.ref.name": "%s"}' "$1"; }

base() {
	cp "$LAB/base.tar" "$LAB/layer"
	pack gzip
}

# image [LAYER...]: the base and these, alone in the layout
image() { index "$(manifest "" "$(base)" "$@")" >"$L/index.json"; }

# refused WORDS [SOURCE]: one line that has them, and nothing is left
refused() {
	run timeout 60 "$BRIG" -q template build wrong "${2:-oci:$L}"
	[ "$status" = 1 ]
	one_line "$output"
	[[ "$output" == *"template wrong: oci:$LAB/layout"*"$1"* ]] || { echo "$output"; false; }
	[ ! -e "$T/wrong" ]
}

# a tree of its own, empty
tree() {
	rm -rf "$LAB/tree"
	mkdir "$LAB/tree"
	D=$LAB/tree
}

@test "three layers, plain, gzip and zstd, with whiteouts; a jail runs on it" {
	tree
	mkdir -p "$D/usr/share/doc" "$D/etc"
	: >"$D/usr/share/.wh.gone"
	: >"$D/usr/share/doc/.wh..wh..opq"
	echo new >"$D/usr/share/doc/new"
	echo second >"$D/usr/share/second"
	second=$(layer "$D" zstd)
	tree
	mkdir -p "$D/usr/share/first" "$D/etc"
	echo third >"$D/usr/share/first/in"
	ln -s first/in "$D/usr/share/second"
	echo motd >"$D/etc/motd"
	third=$(layer "$D")
	image "$second" "$third"
	brig -q template build img "oci:$L"
	root=$T/img/current/root
	[ ! -e "$root/usr/share/gone" ]
	[ "$(ls -A "$root/usr/share/doc")" = new ]
	[ "$(cat "$root/usr/share/first/in")" = third ]
	[ "$(readlink "$root/usr/share/second")" = first/in ]
	[ "$(cat "$T/img/current/skel/etc/motd")" = motd ]
	[ -z "$(find "$T/img/current/" -name '.wh.*')" ]
	brig template verify img
	conf <<-EOF
		imgjail { template = img; persist; exec.clean; }
	EOF
	brig -q create imgjail
	brig -q start imgjail
	[ "$(brig exec imgjail cat /usr/share/second /etc/motd)" = "third
motd" ]
	brig -q stop imgjail
	brig -q destroy -y imgjail
}

@test "show prints the image's digest and tag; the same layout gives the same files" {
	m=$(manifest "$(tag v1)" "$(base)")
	index "$m" >"$L/index.json"
	digest=$(printf %s "$m" | sed 's/.*"digest": "\([^"]*\)".*/\1/')
	(cd "$LAB" && brig -q template build shown oci:layout:v1)
	brig template show shown | grep -qx "source  *oci:$L:v1"
	brig template show shown | grep -qx "image  *$digest"
	brig template show shown | grep -qx "tag  *v1"
	brig --json template show shown | grep -q "\"digest\": \"$digest\""
	sum() { brig --json template show shown | sed -n 's/.*"manifest_sha256": "\(.*\)".*/\1/p'; }
	before=$(sum)
	[ -n "$before" ]
	brig -q template build shown
	[ "$(brig template list shown | grep -c shown)" = 2 ]
	[ "$(sum)" = "$before" ]
	# other sources have no image
	run brig --json template show mroot
	[ "$status" = 0 ]
	[[ "$output" != *'"image"'* ]]
}

@test "upgrade builds the recorded tag again: the jail gets what it leads to now" {
	index "$(manifest "$(tag stable)" "$(base)")" "$(manifest "$(tag old)" "$(base)")" >"$L/index.json"
	brig -q template build up "oci:$L:stable"
	conf <<-EOF
		upjail { template = up; persist; exec.clean; }
	EOF
	brig -q create upjail
	brig -q start upjail
	run brig exec upjail cat /usr/share/release
	[ "$status" != 0 ]
	tree
	mkdir -p "$D/usr/share"
	echo two >"$D/usr/share/release"
	index "$(manifest "$(tag old)" "$(base)")" "$(manifest "$(tag stable)" "$(base)" "$(layer "$D")")" >"$L/index.json"
	brig -q upgrade up
	[ "$(brig exec upjail cat /usr/share/release)" = two ]
	brig template show up | grep -qx "tag  *stable"
	brig -q stop upjail
	brig -q destroy -y upjail
}

@test "tags: named, the only one, none, and which there are" {
	one=$(manifest "$(tag one)" "$(base)")
	two=$(manifest "$(tag library/two:2.0)" "$(base)")
	index "$one" "$two" >"$L/index.json"
	brig -q template build tagged "oci:$L:library/two:2.0"
	refused "has 2 images: say which by its tag, oci:DIR:TAG (its tags: 'one', 'library/two:2.0')"
	refused "there is no image with the tag 'three' (its tags: 'one', 'library/two:2.0')" "oci:$L:three"
	for bad in "oci:$L:" "oci:$L:-x" "oci:$L:a b" "oci:" "oci::x" "oci:/nonexistent" "oci:/etc/passwd"; do
		run brig -q template build wrong "$bad"
		[ "$status" = 1 ]
		one_line "$output"
		[[ "$output" == *"template wrong: oci:"* ]]
	done
	[ ! -e "$T/wrong" ]
}

@test "an index in the index: the image for this machine; none for it is an error" {
	tree
	mkdir "$D/etc"
	echo right >"$D/etc/which"
	right=$(manifest ", \"platform\": {\"os\": \"linux\", \"architecture\": \"$ARCH\"}" "$(base)" "$(layer "$D")")
	other=$(IMAGE_ARCH=mips manifest ', "platform": {"os": "linux", "architecture": "mips"}' "$(base)")
	index "$other" "$right" >"$LAB/nested"
	index "$(blob application/vnd.oci.image.index.v1+json "$LAB/nested" "$(tag all)")" >"$L/index.json"
	brig -q template build nested "oci:$L"
	[ "$(cat "$T/nested/current/skel/etc/which")" = right ]
	index "$other" >"$LAB/nested"
	index "$(blob application/vnd.oci.image.index.v1+json "$LAB/nested" "$(tag all)")" >"$L/index.json"
	refused "has no image for this machine (linux/$ARCH)"
	# an index need not say it; the configuration does
	index "$(IMAGE_ARCH=mips manifest "" "$(base)")" >"$L/index.json"
	refused "the image is for linux/mips, this machine is linux/$ARCH"
}

@test "a layer that writes or removes through a link of another layer: refused, nothing outside changes" {
	tree
	ln -s "$LAB/victim" "$D/x"
	link=$(layer "$D")
	for name in evil file .wh.file .wh..wh..opq; do
		tree
		mkdir "$D/x"
		: >"$D/x/$name"
		# without the directory itself, which would take the link's place
		tar -C "$D" -cf "$LAB/layer" "x/$name"
		image "$link" "$(pack gzip)"
		refused "'x/$name'"
	done
	# who unpacks one layer after the other writes there
	mkdir "$LAB/naive" "$LAB/victim2"
	ln -s "$LAB/victim2" "$LAB/naive/x"
	tar -C "$D" -c x/.wh..wh..opq | tar --keep-directory-symlink -C "$LAB/naive" -x
	[ -e "$LAB/victim2/.wh..wh..opq" ]
	rm -r "$LAB/naive" "$LAB/victim2"
	# with the directory the link goes, and what it led to stays
	tree
	mkdir "$D/x"
	: >"$D/x/.wh.file"
	echo inside >"$D/x/in"
	image "$link" "$(layer "$D")"
	brig -q template build replaced "oci:$L"
	[ "$(cat "$T/replaced/current/root/x/in")" = inside ]
}

@test "whiteouts of names that lead elsewhere are errors" {
	for name in .wh. .wh.. .wh... usr/.wh... .wh..wh.x; do
		tree
		mkdir "$D/usr"
		: >"$D/$name"
		image "$(layer "$D")"
		refused "is not a whiteout of a name"
	done
	tree
	mkdir "$D/.wh.a"
	: >"$D/.wh.a/b"
	tar -C "$D" -cf "$LAB/layer" .wh.a/b
	image "$(pack)"
	refused "leads through the name of a whiteout"
}

@test "digests: other content, other size, a missing blob, wrong words for it" {
	image
	cp -a "$L" "$LAB/good"
	layer_file=$L/blobs/sha256/$(sha256sum <"$LAB/packed" | cut -d' ' -f1)
	brig -q template build good "oci:$L"
	printf X | dd of="$layer_file" bs=1 seek=5000 conv=notrunc status=none
	refused "has another content: its digest is sha256:"
	echo >>"$layer_file"
	refused "bytes, its descriptor says"
	rm "$layer_file"
	refused "No such file or directory"
	for change in 's/sha256:/sha256:..\/..\//' 's/sha256:/sha512:/' 's/"digest": "sha256:\(.\)/"digest": "sha256:G/' \
		's/"size": /"size": -/' 's/"size": /"size": 0.5, "x": /' 's/"size": /"size": 99999999999999999999, "x": /' \
		's/"size": /"size": 1, "size": /' 's/"digest"/"Digest"/' 's/$/ x/' 's/image.manifest/image.strange/'; do
		rm -rf "$L"
		cp -a "$LAB/good" "$L"
		sed -i "$change" "$L/index.json"
		refused "index.json"
	done
	rm -rf "$L"
	mv "$LAB/good" "$L"
	brig -q template build good "oci:$L"
}

@test "the layout's own files as links, FIFOs, devices and directories" {
	image
	cp -a "$L" "$LAB/aside"
	blob=blobs/sha256/$(sha256sum <"$LAB/packed" | cut -d' ' -f1)
	for name in oci-layout index.json "$blob" blobs blobs/sha256; do
		for kind in link fifo device other; do
			rm -rf "$L"
			cp -a "$LAB/aside" "$L"
			rm -rf "${L:?}/$name"
			case $kind in
			link) ln -s "$LAB/aside/$name" "$L/$name" ;;
			fifo) mkfifo "$L/$name" ;;
			device) mknod "$L/$name" c 1 5 ;;
			other) if [ -d "$LAB/aside/$name" ]; then echo x >"$L/$name"; else mkdir "$L/$name"; fi ;;
			esac
			refused "${name%%/*}"
		done
	done
	# DIR itself may be one
	rm -rf "$L"
	mv "$LAB/aside" "$LAB/real"
	ln -s real "$L"
	brig -q template build linked "oci:$L"
	brig template show linked | grep -qx "source  *oci:$LAB/real"
	rm -rf "$L" "$LAB/real"
}

@test "bombs: layers that unpack to much more, an index of 100000, a thousand layers" {
	head -c 300M /dev/zero >"$LAB/zeros"
	tar -C "$LAB" -cf "$LAB/layer" zeros
	bomb=$(pack gzip)
	rm "$LAB/zeros" "$LAB/layer"
	[ "$(stat -c %s "$LAB/packed")" -lt 1000000 ]
	image "$bomb"
	refused "unpacks to more than 200 times"
	index "$(yes 7 | head -n 100000 | paste -sd, -)" >"$L/index.json"
	refused "more than 4096 manifests"
	yes '[' | head -n 1000000 | tr -d '\n' >"$L/index.json"
	refused "index.json:1: "
	head -c 5M /dev/zero | tr '\0' ' ' >"$L/index.json"
	refused "larger than 4 MiB"
	one=$(base)
	many=()
	for _ in $(seq 1001); do many+=("$one"); done
	index "$(manifest "" "${many[@]}")" >"$L/index.json"
	refused "more than 1000 layers"
}

@test "what is not in the layout is not fetched; unknown media types are named" {
	one=$(base)
	for change in 's/layer.v1/layer.nondistributable.v1/' 's/}$/, "urls": ["http:\/\/127.0.0.1\/layer"]}/'; do
		index "$(manifest "" "$(printf %s "$one" | sed "$change")")" >"$L/index.json"
		refused "brig fetches nothing"
	done
	index "$(manifest "" "$(printf %s "$one" | sed 's/+gzip/+xz/')")" >"$L/index.json"
	refused "mediaType 'application/vnd.oci.image.layer.v1.tar+xz' is not a layer's"
	index "$(manifest "" "$(printf %s "$one" | sed 's/+gzip//')")" >"$L/index.json"
	refused "Unrecognized archive format"
	index "$(manifest "" "$one")" >"$L/index.json"
	brig -q template build fetched "oci:$L"
}

@test "what an archive may not have a layer may not have: the same words" {
	tree
	mkdir "$D/usr"
	mknod "$D/usr/dev" c 1 3
	layer "$D" >/dev/null
	run brig -q template build wrong "tar:$LAB/layer"
	[ "$status" = 1 ]
	words=${output##*layer: }
	[[ "$words" == *"'./usr/dev' is a device node"* ]]
	image "$(layer "$D")"
	refused "$words"
	# overlayfs' own whiteout is a device, too
	rm "$D/usr/dev"
	mknod "$D/usr/share" c 0 0
	image "$(layer "$D")"
	refused "'./usr/share' is a device node"
}

@test "the file of a layer is written to while it is read: never anything but what its digest is of" {
	tree
	mkdir -p "$D/usr/share"
	head -c 3M /dev/urandom >"$D/usr/share/bulk"
	echo right >"$D/usr/share/word"
	tar -C "$D" -cf "$LAB/layer" usr/share/bulk usr/share/word
	one=$(pack)
	image "$one"
	file=$L/blobs/sha256/$(printf %s "$one" | sed 's/.*sha256:\([0-9a-f]*\).*/\1/')
	at=$(LC_ALL=C grep -abo right "$file" | tail -n 1 | cut -d: -f1)
	[ "$(dd if="$file" bs=1 skip="$at" count=5 status=none)" = right ]
	brig -q template build race "oci:$L" # as long as nobody writes
	(
		while :; do
			printf wrong | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
			printf right | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
			echo >>"$LAB/flips"
		done
	) &
	writer=$!
	failed=0
	for _ in $(seq 40); do
		[ "$failed" -lt 3 ] || break
		run timeout 60 "$BRIG" -q template build race "oci:$L"
		if [ "$status" = 0 ]; then
			[ "$(cat "$T/race/current/root/usr/share/word")" = right ] || break
		else
			[[ "$output" == *"has another content"* || "$output" == *"was changed while it was read"* ]] || break
			failed=$((failed + 1))
		fi
	done
	kill "$writer"
	wait "$writer" || true
	[ -z "$(find "$T/race/" -path '*/root/usr/share/word' -exec grep -L '^right$' {} +)" ]
	[ "$(wc -l <"$LAB/flips")" -gt 3 ] # it did write meanwhile
	[ "$failed" = 3 ]
}
