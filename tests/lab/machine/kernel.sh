#!/bin/sh
# Makes what a machine of the lab boots: Debian's own kernel and modules, the out-of-tree drivers of the emulated
# hardware built from Debian's linux-source, and a small initramfs. kernel.sh DIRECTORY prints where the result is.
#
# A result is kept for as long as its inputs stay the same: "$1/<kernel>-<hash of the inputs>". The build tree stays too,
# so that a changed mlxfake.c costs seconds. Needs root for apt only; the image package is unpacked, never installed.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cache=$(cd "$1" && pwd)
cd "$cache"
exec 9>lock
flock 9

kernel=$here/../kernel
inputs="$here/kernel.sh $here/init.sh $kernel/rocker.patch"
for file in Makefile mlxfake.h main.c bus.c registers.c tables.c wires.c debugfs.c; do
  inputs="$inputs $kernel/mlxfake/$file"
done
# shellcheck disable=SC2086 # a list of words
hash=$(cat $inputs | sha256sum | cut -c1-12)
for result in *-"$hash"; do
  if [ -e "$result/inputs" ]; then
    echo "$cache/$result"
    exit
  fi
done

say() { echo "    lab: $*" >&2; }

# Headers, source and image must be of one version, and old ABIs leave the archive: the newest for which all three are there.
find_version() {
  for headers in $(apt-cache pkgnames linux-headers-6.1.0- | grep -E '^linux-headers-6\.1\.0-[0-9]+-amd64$' | sort -Vr); do
    abi=${headers#linux-headers-}
    version=$(apt-cache policy "$headers" | awk '/Candidate:/ { print $2 }')
    agree=yes
    for package in linux-source-6.1 "linux-image-$abi"; do
      apt-cache madison "$package" | awk -v want="$version" '$3 == want { found = 1 } END { exit !found }' || agree=no
    done
    [ $agree = yes ] && return
  done
  say "no Linux 6.1 whose headers, source and image agree: is this Debian 12 with its security archive?"
  return 1
}
# Old lists name packages that have left the archive.
apt-get update -qq >&2 || say "the package lists are as old as they were"
find_version
say "kernel $abi ($version)"
DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
  "linux-headers-$abi=$version" "linux-source-6.1=$version" >apt.log 2>&1 || { cat apt.log >&2; exit 1; }

image=$cache/image-$version
if [ ! -e "$image/vmlinux" ]; then
  say "unpack Debian's kernel image"
  rm -rf "$image"
  mkdir -p "$image/root"
  (cd "$image" && apt-get download -qq "linux-image-$abi=$version" 2>>../apt.log)
  dpkg-deb -x "$image"/linux-image-*.deb "$image/root"
  rm "$image"/linux-image-*.deb
  # The uncompressed kernel boots 3 s sooner: under TCG decompression is slow.
  "/usr/src/linux-headers-$abi/scripts/extract-vmlinux" "$image/root/boot/vmlinuz-$abi" >"$image/vmlinux.part" 2>/dev/null ||
    tar xJOf /usr/src/linux-source-6.1.tar.xz linux-source-6.1/scripts/extract-vmlinux |
    bash -s "$image/root/boot/vmlinuz-$abi" >"$image/vmlinux.part"
  mv "$image/vmlinux.part" "$image/vmlinux"
fi

build=$cache/build-$version
drivers=linux-source-6.1/drivers/net
if [ ! -e "$build/unpacked" ]; then
  say "unpack the drivers' sources"
  rm -rf "$build"
  mkdir -p "$build/spectrum/library" "$build/spectrum/fake"
  tar xJf /usr/src/linux-source-6.1.tar.xz -C "$build" --wildcards \
    "$drivers/ethernet/rocker/*" "$drivers/netdevsim/*" "$drivers/ethernet/mellanox/mlxsw/*" \
    "$drivers/ethernet/mellanox/mlxfw/mlxfw.h" linux-source-6.1/lib/objagg.c linux-source-6.1/lib/parman.c
  cp -r "$build/$drivers/ethernet/rocker" "$build/rocker.orig"
  # mlxsw's #include of ../mlxfw and its Makefile stay as they are: it is built where it was unpacked, through a link.
  ln -s "../$drivers/ethernet/mellanox/mlxsw" "$build/spectrum/mlxsw"
  mv "$build"/linux-source-6.1/lib/*.c "$build/spectrum/library/"
  echo 'obj-m += objagg.o parman.o' >"$build/spectrum/library/Makefile"
  echo 'obj-m += library/ mlxsw/ fake/' >"$build/spectrum/Makefile"
  touch "$build/unpacked"
fi

say "build rocker, netdevsim, mlxsw and mlxfake"
rm -rf "${build:?}/$drivers/ethernet/rocker"
cp -r "$build/rocker.orig" "$build/$drivers/ethernet/rocker"
patch -s -d "$build/linux-source-6.1" -p1 <"$kernel/rocker.patch"
for file in "$kernel"/mlxfake/*; do
  # Unchanged files keep their times, so that make leaves them alone.
  cmp -s "$file" "$build/spectrum/fake/${file##*/}" || cp "$file" "$build/spectrum/fake/"
done

make_modules() {
  folder=$1
  shift
  make -s -C "/usr/src/linux-headers-$abi" M="$folder" -j"$(nproc)" "$@" modules >"$build/make.log" 2>&1 || {
    cat "$build/make.log" >&2
    exit 1
  }
}
make_modules "$build/$drivers/ethernet/rocker" CONFIG_ROCKER=m
make_modules "$build/$drivers/netdevsim" CONFIG_NETDEVSIM=m
# Debian's configuration knows none of mlxsw's options: make needs them, and so do the sources' #ifs.
flags=
for option in MLXSW_CORE_MODULE MLXSW_CORE_HWMON MLXSW_CORE_THERMAL MLXSW_SPECTRUM_DCB MLXSW_SPECTRUM_MODULE \
  OBJAGG_MODULE PARMAN_MODULE; do
  flags="$flags -DCONFIG_$option=1"
done
make_modules "$build/spectrum" CONFIG_MLXSW_CORE=m CONFIG_MLXSW_CORE_HWMON=y CONFIG_MLXSW_CORE_THERMAL=y \
  CONFIG_MLXSW_SPECTRUM=m CONFIG_MLXSW_SPECTRUM_DCB=y KCFLAGS="$flags"

say "put it together"
result=$cache/$abi-$hash
part=$cache/part
rm -rf "$part" "$result"
mkdir -p "$part/modules"
ln "$image/vmlinux" "$part/vmlinux"
cp -al "$image/root/lib/modules/$abi" "$part/modules/$abi"
updates=$part/modules/$abi/updates
mkdir "$updates"
find "$build/$drivers" "$build/spectrum" -name '*.ko' | while read -r module; do
  strip -g -o "$updates/$(basename "$module")" "$module"
done
# depmod looks for lib/modules below its base.
base=$(mktemp -d)
mkdir "$base/lib"
ln -s "$part/modules" "$base/lib/modules"
# Hard links to the image's own lists would be written through.
rm -f "$part/modules/$abi"/modules.*dep* "$part/modules/$abi"/modules.*alias* "$part/modules/$abi"/modules.*symbols* \
  "$part/modules/$abi/modules.softdep" "$part/modules/$abi/modules.builtin.bin" "$part/modules/$abi/modules.devname" \
  "$part/modules/$abi/build" "$part/modules/$abi/source"
depmod -b "$base" "$abi"

# The initramfs: busybox, the modules that reach the host's files, and init.sh.
root=$base/root
mkdir -p "$root/bin" "$root/dev" "$root/proc" "$root/sys" "$root/modules" "$root/host" "$root/overlay" "$root/new"
cp /bin/busybox "$root/bin/"
for module in virtio_pci 9pnet_virtio 9p overlay virtio_console virtio_net; do
  modprobe -d "$base" -S "$abi" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
  cp "$file" "$root/modules/"
  basename "$file" >>"$root/modules/order"
done
cp "$here/init.sh" "$root/init"
chmod 755 "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$part/initramfs"
rm -rf "$base"

# Last, as the sign that it is whole; the tests compare it with what they were compiled with.
# shellcheck disable=SC2086 # a list of words
cat $inputs >"$part/inputs"
mv "$part" "$result"
echo "$result"
