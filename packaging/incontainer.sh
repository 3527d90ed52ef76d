#!/bin/bash
# What packaging/test.sh does inside the booted container: as its root, with a real systemd.
set -u
export DEBIAN_FRONTEND=noninteractive

fail() {
	echo "FAIL: $*"
	journalctl -u meterd --no-pager -n 40
	exit 1
}
ok() { echo "ok: $*"; }
pid() { systemctl show -p MainPID --value meterd; }
wait_for() { # SECONDS COMMAND...
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}
other() { [ "$(pid)" != "$1" ] && [ "$(pid)" != 0 ] && systemctl is-active -q meterd; }
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups "$@"; }

# A host without any meter: the package installs all the same, and says so.
dpkg -i /test/old.deb >/tmp/install 2>&1 || fail "install: $(cat /tmp/install)"
grep -q 'meterd is installed, but did not start' /tmp/install || fail "no word of a host without meters: $(cat /tmp/install)"
systemctl is-enabled -q meterd || fail "not enabled"
getent passwd meterd | grep -q nologin || fail "no user meterd"
[ "$(stat -c '%U %a' /var/lib/meterd)" = "meterd 700" ] || fail "store: $(stat -c '%U %a' /var/lib/meterd)"
ok "installed on a host without meters"

# With a meter, simulated: it is READY when systemctl returns.
sed -i 's/^    devices: 0 .*/    devices: 2 # edited/' /etc/meterd/meterd.yaml
mkdir -p /etc/systemd/system/meterd.service.d
printf '[Service]\nWatchdogSec=3s\n' >/etc/systemd/system/meterd.service.d/test.conf
systemctl daemon-reload
systemctl restart meterd || fail "start"
[ "$(systemctl show -p Type --value meterd)" = notify ] || fail "not of type notify"
meterd top -n 1 | grep -q 'SIMULATED accelerator' || { sleep 2; meterd top -n 1 | grep -q 'SIMULATED accelerator'; } || fail "does not meter: $(meterd top -n 1)"
wait_for 10 sh -c 'systemctl show -p StatusText --value meterd | grep -q "meters of"' || fail "status text: $(systemctl show -p StatusText meterd)"
proc=/proc/$(pid)
[ "$(stat -c '%U' "$proc")" = meterd ] || fail "runs as $(stat -c '%U' "$proc")"
grep -q '^CapEff:	0000000000000000$' "$proc/status" || fail "capabilities: $(grep Cap "$proc/status")"
grep -q '^Seccomp:	2$' "$proc/status" || fail "no seccomp filter"
ok "starts, notifies READY, meters: $(systemctl show -p StatusText --value meterd); no capability, seccomp"

# A new configuration is taken, a bad one is not.
before=$(pid)
sed -i 's/^    devices: 2 # edited/    devices: 3 # edited/' /etc/meterd/meterd.yaml
systemctl reload meterd || fail "reload"
wait_for 10 sh -c 'meterd top -n 1 | grep -q SIM-2' || fail "the new configuration is not in force"
cp /etc/meterd/meterd.yaml /tmp/good.yaml
echo 'nonsense: 1' >>/etc/meterd/meterd.yaml
systemctl reload meterd && fail "a bad configuration was taken"
[ "$(pid)" = "$before" ] && systemctl is-active -q meterd || fail "a bad configuration ended it"
cp /tmp/good.yaml /etc/meterd/meterd.yaml
ok "reload takes a good configuration and refuses a bad one"

# It hangs: the watchdog starts another one.
before=$(pid)
sleep 4
[ "$(pid)" = "$before" ] || fail "the watchdog ended a meterd that was alive"
kill -STOP "$before"
wait_for 40 other "$before" || fail "the watchdog did nothing"
ok "the watchdog replaced a meterd that hung"

# Nobody else reads secrets, or publishes.
for file in /var/lib/meterd/host.key /var/lib/meterd/jetstream /var/lib/meterd/control /etc/meterd/credentials; do
	as_nobody cat "$file" >/dev/null 2>&1 && fail "nobody reads $file"
	as_nobody ls "$file" >/dev/null 2>&1 && fail "nobody lists $file"
done
as_nobody meterd reload -c /etc/meterd/meterd.yaml >/dev/null 2>&1 && fail "nobody may reload"
printf 'CONNECT {"verbose":false}\r\nPUB power.forged.nvml 3\r\nabc\r\nPUB $JS.API.STREAM.PURGE.POWER 0\r\n\r\nPING\r\n' >/tmp/attack
answer=$(as_nobody timeout 3 bash -c 'exec 3<>/dev/tcp/127.0.0.1/4222; cat /tmp/attack >&3; timeout 2 cat <&3')
[ "$(grep -c 'Permissions Violation for Publish' <<<"$answer")" = 2 ] || fail "nobody may publish: $answer"
ss=$(grep -v '^ *sl' /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk '$4 == "0A" || $5 == "0A"' | grep -v '0100007F:' | grep -v '00000000000000000000000001000000:')
[ -z "$ss" ] || fail "listens beyond loopback: $ss"
ok "an unprivileged user reads no secret and publishes nothing; nothing listens beyond loopback"

systemd-analyze verify --man=no /usr/lib/systemd/system/meterd.service /usr/lib/systemd/system/meterd-hub.service >/tmp/verify 2>&1 || fail "verify: $(cat /tmp/verify)"
grep -v 'nvidia\|time-sync' /tmp/verify | grep -q . && fail "verify: $(cat /tmp/verify)"
for unit in meterd meterd-hub; do
	systemd-analyze security --offline=true --threshold=20 --no-pager "/usr/lib/systemd/system/$unit.service" >/tmp/security || fail "exposure: $(tail -n 1 /tmp/security)"
	ok "$unit: $(tail -n 1 /tmp/security | tr -d '→')"
done

# An upgrade keeps what was edited, and the readings; what was killed before is on record.
before=$(pid)
dpkg -i --force-confdef --force-confold /test/new.deb >/tmp/install 2>&1 || fail "upgrade: $(cat /tmp/install)"
grep -q 'devices: 3 # edited' /etc/meterd/meterd.yaml || fail "the configuration was not kept"
wait_for 20 other "$before" || fail "not restarted by the upgrade"
sleep 2
meterd export -o /tmp/archive || fail "export"
meterd verify /tmp/archive >/tmp/verified || fail "verify: $(cat /tmp/verified)"
grep -q 'not-stopped' /tmp/verified || fail "the run that hung is not on record: $(cat /tmp/verified)"
ok "upgraded, configuration kept, readings intact: $(head -n 1 /tmp/verified)"

dpkg -i /test/runner.deb >/dev/null && runner --version >/dev/null && dpkg -P agentwatt-runner >/dev/null || fail "runner"
ok "runner installs, runs, goes"

dpkg -r agentwatt-meterd >/tmp/remove 2>&1 || fail "remove: $(cat /tmp/remove)"
systemctl is-active -q meterd && fail "still runs"
[ ! -e /usr/bin/meterd ] && [ -e /etc/meterd/meterd.yaml ] && [ -e /var/lib/meterd/host.key ] || fail "removal took or left the wrong files"
dpkg -P agentwatt-meterd >/tmp/remove 2>&1 || fail "purge: $(cat /tmp/remove)"
[ ! -e /etc/meterd/meterd.yaml ] && [ -e /var/lib/meterd/host.key ] || fail "purge took or left the wrong files"
grep -q '/var/lib/meterd is kept' /tmp/remove || fail "purge does not say what it keeps: $(cat /tmp/remove)"
ok "removed and purged; the readings and the key stay until somebody deletes them"
echo "ALL PASSED"
