#!/bin/sh
# Makes the packages of meterd and runner, .deb and .rpm, from the working tree: build.sh VERSION DIRECTORY. make packages calls it.
#
# The same sources, Go and C compiler give the same bytes. runner is static and made for amd64 and arm64; meterd loads the libraries of
# NVIDIA and AMD through cgo, so for another architecture than this machine's it needs a C compiler for it: CC_arm64, CC_amd64. ARCHS names fewer.
set -eu

: "${2:?usage: build.sh VERSION DIRECTORY}"
GO=${GO:-go}
NFPM=${NFPM:-$GO run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2}
MAINTAINER=${MAINTAINER:-AgentWatt maintainers <maintainers@agentwatt.example>}
cd "$(dirname "$0")/.."
: "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || echo 0)}"
export SOURCE_DATE_EPOCH
umask 022

version=$(packaging/version.sh "$1" "$SOURCE_DATE_EPOCH")
mkdir -p "$2"
out=$(cd "$2" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
host=$($GO env GOHOSTARCH)

compile() { # PROGRAM DIRECTORY
	# Lazy binding is what the vendors' libraries need: hardening flags of the environment must not make it -z now.
	CGO_LDFLAGS='-Wl,-z,relro -Wl,-z,lazy' $GO build -trimpath -buildvcs=false \
		-ldflags "-s -w -X main.version=$version" -o "$2/$1" "./$1"
}

pages() { # PROGRAM DIRECTORY: what the program says of itself; it has to run here
	mkdir -p "$2/man" "$2/completion"
	"$2/$1" man "$2/man"
	gzip -9n "$2"/man/*
	for shell in bash zsh fish; do "$2/$1" completion $shell >"$2/completion/$1.$shell"; done
}

papers() { # PROGRAM DIRECTORY
	{
		printf 'agentwatt-%s (%s-1) unstable; urgency=medium\n\n  * Version %s; the history is in the repository.\n\n' "$1" "$version" "$version"
		printf ' -- %s  %s\n' "$MAINTAINER" "$(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")"
	} | gzip -9n >"$2/changelog.gz"
	$GO list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' "./$1" | sort -u |
		while read -r module v dir; do
			printf '==== %s %s\n\n' "$module" "$v"
			find "$dir" -maxdepth 1 -type f \( -iname 'licen[cs]e*' -o -iname 'copying*' -o -iname 'notice*' \) | sort | xargs -r cat
		done | gzip -9n >"$2/licenses.gz"
}

pack() { # PROGRAM ARCHITECTURE DIRECTORY
	glibc=$(readelf -V "$3/$1" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
	sed -e "s|\${STAGE}|$3|g; s|\${ARCH}|$2|g; s|\${VERSION}|$version|g; s|\${MAINTAINER}|$MAINTAINER|g; s|\${GLIBC}|${glibc#GLIBC_}|g" \
		-e "s|\${MTIME}|$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)|g" "packaging/$1.yaml" >"$3/nfpm.yaml"
	for kind in deb rpm; do $NFPM package -f "$3/nfpm.yaml" -p $kind -t "$out/" >/dev/null; done
	echo "$out: agentwatt-$1 $version $2"
}

compiler() { # ARCHITECTURE: the C compiler for it
	case "$1" in
	"$host") echo "${CC:-cc}" ;;
	arm64) echo "${CC_arm64:-aarch64-linux-gnu-gcc}" ;;
	amd64) echo "${CC_amd64:-x86_64-linux-gnu-gcc}" ;;
	esac
}

make_package() { # PROGRAM ARCHITECTURE
	dir=$stage/$1-$2
	mkdir -p "$dir"
	if [ "$1" = runner ]; then
		GOARCH=$2 CGO_ENABLED=0 compile runner "$dir"
	elif command -v "$(compiler "$2")" >/dev/null; then
		GOARCH=$2 CGO_ENABLED=1 CC=$(compiler "$2") compile meterd "$dir"
	else
		echo "SKIPPED: agentwatt-meterd for $2: no C compiler $(compiler "$2") (Debian: gcc-aarch64-linux-gnu; or set CC_$2)" >&2
		return
	fi
	if [ "$2" = "$host" ]; then
		pages "$1" "$dir"
		papers "$1" "$dir"
		if [ "$1" = meterd ]; then "$dir/meterd" config >"$dir/meterd.yaml"; fi
	else # the pages are the same
		for made in "$stage/$1-$host"/*; do [ -e "$dir/${made##*/}" ] || cp -R "$made" "$dir/"; done
	fi
	pack "$1" "$2" "$dir"
}

for program in meterd runner; do
	make_package $program "$host"
	for arch in ${ARCHS:-amd64 arm64}; do
		[ "$arch" = "$host" ] || make_package $program "$arch"
	done
done
