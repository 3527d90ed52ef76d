#!/bin/sh
# Before a removal, for which dpkg says "remove" and rpm 0. An upgrade lets the old version measure until the new one is in place.
set -e

case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

[ -d /run/systemd/system ] || exit 0
if command -v deb-systemd-invoke >/dev/null; then
	deb-systemd-invoke stop meterd.service meterd-hub.service || true
else
	systemctl disable --now meterd.service meterd-hub.service || true
fi
