#!/bin/sh
# Makes small_root.ext4.gz, the root file system of tests/support/small_image.py, anew: by mke2fs, as images are.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
site=$root/usr/share/paver/venv/lib/python3.13/site-packages
mkdir -p "$root/var/lib/dpkg" "$site/some_thing-2.0.dist-info" "$root/usr/local/bin" "$root/many" "$root/etc"
cat >"$root/var/lib/dpkg/status" <<END
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2.37-2+b10
Description: a shell
 Version: none of this line's business

Package: libstdc++6
Status: install ok installed
Version: 1:14.2.0-19

Package: odd
Status: install ok installed
Version: 1.0~rc1

Package: gone
Status: deinstall ok config-files
Version: 1
END
echo "Name: some_thing" >"$site/some_thing-2.0.dist-info/METADATA"
(cd "$here/../.." && .venv/bin/python -c 'import sys; from tests.support import small_image; sys.stdout.buffer.write(small_image.go_program())') >"$root/usr/local/bin/tool"
ln -s ../usr/local/bin "$root/etc/relative"
ln -s /etc/relative/tool "$root/etc/absolute"
ln -s loop "$root/etc/loop"
ln -s "$(printf 'a%.0s' $(seq 80))" "$root/etc/long"
i=0; while [ $i -lt 60 ]; do : >"$root/many/a-file-with-a-rather-long-name-$i"; i=$((i + 1)); done
truncate -s 200000 "$root/holes"; printf end >>"$root/holes"
export SOURCE_DATE_EPOCH=1764201600
mke2fs -q -F -t ext4 -b 1024 -N 160 -O ^has_journal,^resize_inode,^metadata_csum_seed -U 6f1d3a54-6c0d-5f0b-9c7e-7c9f6f1a2b01 \
  -E hash_seed=6f1d3a54-6c0d-5f0b-9c7e-7c9f6f1a2b01,root_owner=0:0 -d "$root" "$work/image" 320k
gzip -9n <"$work/image" >"$here/small_root.ext4.gz"
