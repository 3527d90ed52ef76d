#!/bin/sh
# After an installation or an upgrade. dpkg says "configure" and the version before, if there was one; rpm says how many versions
# are there now. Everything may be done again, and works without a running systemd, as in a container or a chroot.
set -e

case "$1" in
configure) before=$2 ;;
abort-*) before=same ;;
1) before= ;;
[2-9]) before=some ;;
*) exit 0 ;;
esac

accounts() {
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers meterd.conf
		return
	fi
	for group in render video; do
		getent group "$group" >/dev/null || groupadd -r "$group"
	done
	for user in meterd meterd-hub; do
		getent passwd "$user" >/dev/null || useradd -r -M -U -d "/var/lib/$user" -s /usr/sbin/nologin "$user"
	done
	usermod -a -G render,video meterd
}

directories() {
	if command -v systemd-tmpfiles >/dev/null; then
		systemd-tmpfiles --create meterd.conf
		return
	fi
	for user in meterd meterd-hub; do
		install -d -o "$user" -g "$user" -m 0700 "/var/lib/$user"
	done
}

# What is there already gets its group now; what comes later, when it comes.
devices() {
	[ -S /run/udev/control ] || return 0
	udevadm control --reload || return 0
	udevadm trigger --subsystem-match=powercap --subsystem-match=hwmon --subsystem-match=ipmi --subsystem-match=kfd || return 0
	udevadm settle --timeout=10 || true
}

# meterd is enabled when it is first installed, as the distribution has it: by policy on Debian, by preset on Fedora. What the
# administrator decided afterwards stays. The hub is enabled by hand.
switch_on() {
	if command -v deb-systemd-helper >/dev/null; then
		deb-systemd-helper unmask meterd.service >/dev/null || true
		if deb-systemd-helper --quiet was-enabled meterd.service; then
			deb-systemd-helper enable meterd.service >/dev/null || true
		fi
		deb-systemd-helper update-state meterd.service >/dev/null || true
	elif [ -z "$before" ] && command -v systemctl >/dev/null; then
		systemctl preset meterd.service || true
	fi
}

# A host without a meter, or with a mistake in its configuration, is no reason to leave the package half installed.
start() {
	[ -d /run/systemd/system ] || return 0
	systemctl daemon-reload || true
	if [ -n "$before" ]; then
		if command -v deb-systemd-invoke >/dev/null; then
			deb-systemd-invoke restart meterd.service || failed
		else
			systemctl try-restart meterd.service || failed
		fi
		systemctl try-restart meterd-hub.service || true
	elif command -v deb-systemd-invoke >/dev/null; then
		deb-systemd-invoke start meterd.service || failed
	fi
}

failed() {
	echo "meterd is installed, but did not start: journalctl -u meterd says why, meterd probe what can be metered" >&2
}

accounts
directories
devices
switch_on
start
