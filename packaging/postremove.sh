#!/bin/sh
# After a removal ("remove" of dpkg, 0 of rpm) or a purge. Readings are evidence, and the host's key proves them: both stay until somebody
# deletes them on purpose. So do the users that own them, whose numbers must not go to others.
set -e

case "$1" in
remove | purge | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi

# The counters are root's alone again.
if [ "$1" != purge ] && getent group meterd >/dev/null; then
	for class in powercap hwmon; do
		find "/sys/class/$class/" -follow -maxdepth 2 -type f -group meterd \
			-exec chgrp root {} + -exec chmod 0400 {} + 2>/dev/null || true
	done
	if [ -S /run/udev/control ]; then
		udevadm control --reload || true
		udevadm trigger --subsystem-match=ipmi --subsystem-match=kfd || true
	fi
fi

if [ "$1" = purge ]; then
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper purge meterd.service meterd-hub.service >/dev/null || true
	fi
	for dir in /etc/meterd/calibrations /etc/meterd/credentials /etc/meterd /var/lib/meterd /var/lib/meterd-hub; do
		[ -d "$dir" ] || continue
		rmdir "$dir" 2>/dev/null || echo "$dir is kept: it has what no package put there. To delete it: rm -r $dir" >&2
	done
fi
