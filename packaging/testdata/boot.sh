#!/bin/bash
# Usage: boot.sh DEBS, in namespaces of its own — makes a root of the machine's files, tries the packages in it as in a
# container without systemd, and becomes a systemd that starts nothing but what is asked of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
debs=$1

mount --make-rprivate /
memory=$(mktemp -d)
mount -t tmpfs tmpfs "$memory"
root=$memory/root
mkdir "$memory"/{changed,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$memory/changed,workdir=$memory/work" overlay "$root"
mkdir "$root/bed"
cp "$here"/*.sh "$debs"/*.deb "$root/bed"

for dir in run tmp dev; do
	mount -t tmpfs -o mode=0755 tmpfs "$root/$dir"
done
chmod 1777 "$root/tmp"
for node in null zero full random urandom tty; do
	touch "$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root"/dev/{shm,pts}
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
# What the kernel shares with the machine is not for this systemd to set.
mount -t proc proc "$root/proc"
mount --bind -o ro "$root/proc/sys" "$root/proc/sys"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
ip link set lo up

# Nothing of what the machine itself would start, or forbids its packages to.
rm -rf "$root"/{etc,lib,usr/lib}/systemd/system/*.wants "$root/etc/fstab" "$root/usr/sbin/policy-rc.d"
cat >"$root/etc/systemd/system/bed.target" <<'END'
[Unit]
Requires=basic.target
Wants=systemd-journald.service
After=basic.target systemd-journald.service
END

cd "$root"
mkdir old
pivot_root . old
umount --lazy old
rmdir old
chroot . /bed/container.sh
export container=test
exec chroot . /lib/systemd/systemd --system --unit bed.target --log-target journal
