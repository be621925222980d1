#!/bin/busybox sh
# shellcheck shell=dash
# The first process of a machine, in its initramfs: makes the host's files the root, read-only with a layer in memory on
# top, so that every program of the host runs as it is; then hands over to the agent.
#
# The kernel's command line says the rest: lab.agent=PROGRAM lab.modules=DIRECTORY lab.dir=DIRECTORY, the last of which is
# the test's own directory, writable and at the same path as on the host.
set -e
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
while read -r module; do
  $b insmod "/modules/$module"
done </modules/order
for word in $($b cat /proc/cmdline); do
  case $word in
    lab.agent=*) agent=${word#*=} ;;
    lab.modules=*) modules=${word#*=} ;;
    lab.dir=*) dir=${word#*=} ;;
  esac
done
p9=trans=virtio,version=9p2000.L,msize=512000
$b mount -t 9p -o $p9,ro,cache=loose host /host
$b mount -t tmpfs -o size=75% tmpfs /overlay
$b mkdir /overlay/upper /overlay/work
$b mount -t overlay -o lowerdir=/host,upperdir=/overlay/upper,workdir=/overlay/work overlay /new
# The host's /run says what runs on the host: the machine has its own.
$b mount -t tmpfs tmpfs /new/run
$b mkdir -p /new/run/netns /new/run/lock
$b mkdir -p "/new$dir" /new/lib/modules
# No cache: what one side writes the other one sees.
$b mount -t 9p -o $p9 lab "/new$dir"
$b mount -o bind "/host$modules" /new/lib/modules
for mount in proc sys dev; do
  $b mount -o move /$mount /new/$mount
done
$b mkdir -p /new/dev/pts
$b mount -t devpts devpts /new/dev/pts
$b mount -t debugfs debugfs /new/sys/kernel/debug
exec $b switch_root /new "$agent"
