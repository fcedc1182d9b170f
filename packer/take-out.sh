#!/bin/sh
# Brings what the machine changed since $SINCE out of it, as the tar $CHANGES: first `paths`, a list of all that is
# there, each ended by a zero byte; then, below `./`, every file whose inode was touched. The base's have an older change time,
# which nothing but the kernel sets.
set -eu
umask 022
ssh -i "$KEY" -p "$PORT" -o BatchMode=yes -o LogLevel=ERROR -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
  "root@$HOST" "SINCE=$SINCE sh -eu" >"$CHANGES.part" <<'GUEST'
mkdir -m 700 /run/packer/out /run/packer/root
# The disk as it is below what is mounted on it: an automount cannot even be opened where there is nothing to mount.
mount --bind / /run/packer/root
cd /run/packer/root
find . -xdev -fprint0 /run/packer/out/paths -newerct "@$SINCE" -fprint0 /run/packer/out/changed
code=0
tar --create --format=pax --numeric-owner --xattrs --xattrs-include='*' --no-recursion --warning=no-file-changed --warning=no-file-ignored \
  --directory=/run/packer/out paths --directory=/run/packer/root --null --files-from=/run/packer/out/changed || code=$?
# 1: a log grew while it was read. Logs are not kept.
[ "$code" -le 1 ]
GUEST
mv "$CHANGES.part" "$CHANGES"
