#!/bin/sh
# Makes a version that dpkg and rpm take, and order right, of what git describe says. Without a tag it is the time of the commit
# that tells which is newer.
#
#   v1.2.3 -> 1.2.3     v1.2.3-rc1 -> 1.2.3~rc1     v1.2.3-5-g0abc -> 1.2.3+5.g0abc     0abc, 86400 -> 0.0.0+19700102000000.g0abc
set -eu

usage='usage: version.sh VERSION SECONDS_SINCE_1970'
said=${1:?$usage}
time=$(date -u -d "@${2:?$usage}" +%Y%m%d%H%M%S)
case "$said" in
v[0-9]* | [0-9]*.*) said=${said#v} ;;
*) said=0.0.0-$time-g$said ;;
esac
# A count of commits, and what was built from changed files, go behind +; the name of a candidate behind ~, which comes before the release.
version=$(printf '%s' "$said" | sed -e 's/-\([0-9][0-9]*\)-g/+\1.g/' \
	-e 's/^\([^+]*\)-dirty$/\1+dirty/' -e 's/-dirty$/.dirty/' -e 's/-/~/g')
case "$version" in
*[!0-9A-Za-z.+~]*) echo "version.sh: $1 cannot be made a version: give VERSION=1.2.3" >&2 && exit 1 ;;
esac
printf '%s\n' "$version"
