#!/bin/bash
# Installs, upgrades, removes and purges the Debian package under a systemd of its own, while requests are made. As root
# on Debian or Ubuntu; the machine itself is left alone: everything happens over a copy of its file system in memory
# (an overlay), in namespaces of its own, with no network but the loopback interface.
set -euo pipefail
cd "$(dirname "$0")/.."
if ((EUID)); then
	echo 'packaging/test.sh needs root: it mounts, and starts a systemd in namespaces of its own' >&2
	exit 1
fi

shell=(packaging/*.sh packaging/testdata/*.sh packaging/debian/{postinst,prerm,postrm})
for script in "${shell[@]}"; do
	"$(sed -n '1s/^#!//p' "$script")" -n "$script"
done
if command -v shellcheck >/dev/null; then
	# SC2015: A && B || fail is meant.
	shellcheck --external-sources --exclude SC2015 "${shell[@]}"
fi

# The order of versions is that of history.
newer=
for described in v0.2.0 v0.1.0-12-gabc1234 v0.1.0-3-gffff123-dirty v0.1.0-3-gffff123 v0.1.0 v0.1.0-rc1 0000000; do
	version=$(packaging/version.sh "$described")
	dpkg --validate-version "$version"
	if [[ $newer ]] && ! dpkg --compare-versions "$version" lt "$newer"; then
		echo "$described is $version, which is not before $newer" >&2
		exit 1
	fi
	newer=$version
done

debs=$(mktemp -d)
group=
cleanup() {
	if [[ ${space:-} ]]; then
		kill -KILL "$space" 2>/dev/null || true
		wait "$space" 2>/dev/null || true
	fi
	# A group can be removed once the kernel has let go of its last process.
	for _ in {1..50}; do
		[[ -d $group ]] || break
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.1
	done
	rm -rf "$debs"
}
trap cleanup EXIT

for n in 1 2; do
	mv "$(packaging/deb.sh "v0.$n.0" "$debs")" "$debs/$n.deb"
done
if command -v lintian >/dev/null; then lintian --allow-root --fail-on error,warning "$debs/1.deb"; fi

group=$(findmnt --noheadings --first-only --output TARGET --types cgroup2)/traffic-management-test-$$
mkdir "$group"
(
	echo "$BASHPID" >"$group/cgroup.procs"
	exec unshare --mount --pid --net --uts --ipc --cgroup --fork --kill-child packaging/testdata/boot.sh "$debs"
) &
space=$!
inside() {
	nsenter --target "$(pgrep --parent "$space")" --all "$@"
}
for _ in {1..600}; do
	if ! kill -0 "$space" 2>/dev/null; then
		echo 'the first part, without systemd, failed' >&2
		exit 1
	fi
	if inside systemctl is-active --quiet bed.target 2>/dev/null; then break; fi
	sleep 0.1
done
if ! inside /bed/service.sh; then
	inside journalctl --no-pager --lines 60 --unit traffic-management.service >&2 || true
	exit 1
fi
echo 'the package installs, upgrades without a failed request, and leaves nothing behind'
