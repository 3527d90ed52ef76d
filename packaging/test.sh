#!/bin/sh
# Tests the packages in DIRECTORY for real: test.sh DIRECTORY [ROOT]. make test-packages calls it. It needs root, debootstrap and
# systemd-container; where systemd cannot be booted in a container the test says so and is skipped, unless METER_REQUIRE names "nspawn".
#
# ROOT, if given, is a clean Debian with systemd that was made before; it is copied and left as it is.
set -eu

packages=$(cd "${1:?usage: test.sh DIRECTORY [ROOT]}" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
deb=$(ls "$packages"/agentwatt-meterd_*_amd64.deb)
runner=$(ls "$packages"/agentwatt-runner_*_amd64.deb)

skip() {
	case ",${METER_REQUIRE:-}," in *,nspawn,*) echo "FAIL: $1, and METER_REQUIRE names nspawn" >&2 && exit 1 ;; esac
	echo "SKIPPED: $1"
}

echo "== what the packages have"
for name in "$packages"/*.rpm; do
	if command -v rpm >/dev/null; then
		rpm -K --nosignature "$name"
		rpm -qpl "$name" >"$packages/list"
		rpm -qp --scripts "$name" >>"$packages/list"
		case "$name" in *meterd*)
			for want in /usr/bin/meterd /etc/meterd/meterd.yaml /usr/lib/systemd/system/meterd.service /usr/share/man/man8/meterd.8.gz \
				/usr/lib/udev/rules.d/70-meterd.rules /usr/lib/sysusers.d/meterd.conf /usr/share/bash-completion/completions/meterd systemd-sysusers; do
				grep -q -- "$want" "$packages/list" || { echo "FAIL: $name has no $want" >&2 && exit 1; }
			done ;;
		esac
		rm "$packages/list"
	else
		echo "SKIPPED: the contents of $name: no rpm here"
	fi
done
if command -v lintian >/dev/null; then
	lintian --fail-on error "$deb" "$runner" || { echo "FAIL: lintian" >&2 && exit 1; }
else
	echo "SKIPPED: lintian is not installed"
fi

# A container that was booted leaves its control groups behind, and the next one stumbles over them.
tidy() {
	find /sys/fs/cgroup -depth -type d \( -path '*/payload*' -o -path '*/supervisor*' \) -exec rmdir {} + 2>/dev/null || true
}

work=$(mktemp -d)
trap 'rm -rf "$work"; tidy' EXIT
root=$work/root
if ! [ "$(id -u)" = 0 ] || ! command -v systemd-nspawn >/dev/null; then
	skip "installing for real: root and systemd-nspawn are needed"
	exit 0
fi
if [ -n "${2:-}" ]; then
	cp -a "$2" "$root"
elif ! debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,udev bookworm "$root" >"$work/log" 2>&1; then
	tail -n 3 "$work/log"
	skip "installing for real: no clean Debian could be made"
	exit 0
fi

mkdir -p "$root/test"
cp "$deb" "$root/test/old.deb"
cp "$runner" "$root/test/runner.deb"
cp "$here/packaging/incontainer.sh" "$root/test/check.sh"
# The same package as a later version, for the upgrade.
dpkg-deb -R "$deb" "$work/later"
sed -i 's/^Version: .*/Version: 99.0.0-1/' "$work/later/DEBIAN/control"
dpkg-deb --root-owner-group -b "$work/later" "$root/test/new.deb" >/dev/null
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
TimeoutStartSec=5min
StandardOutput=file:/test/log
StandardError=file:/test/log
ExecStart=/bin/bash /test/check.sh
ExecStopPost=/bin/systemctl exit 0
[Install]
WantedBy=multi-user.target
UNIT
mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
ln -s ../check.service "$root/etc/systemd/system/multi-user.target.wants/check.service"

tidy
echo "== a clean Debian boots, installs, measures, upgrades, removes"
if ! timeout 400 systemd-nspawn --quiet --register=no --keep-unit --private-network -D "$root" --console=pipe -b systemd.unit=multi-user.target \
	</dev/null >"$work/boot" 2>&1 || ! [ -s "$root/test/log" ]; then
	tail -n 5 "$work/boot"
	if ! [ -s "$root/test/log" ]; then
		skip "installing for real: systemd does not boot in a container here"
		exit 0
	fi
fi
cat "$root/test/log"
grep -q '^ALL PASSED$' "$root/test/log"
