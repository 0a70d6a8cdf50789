# A bare Debian in a folder, for scripts that try things where nothing was installed by hand;
# source it after lib.sh. Needs root, debootstrap and a Debian mirror.
# shellcheck shell=bash

debianRelease=bookworm
debianMirror=${QUERN_DEBIAN_MIRROR:-http://deb.debian.org/debian}

# makeDebian NAME: a new one in $debian, removed when the script ends.
makeDebian() {
  [ "$(id -u)" = 0 ] || die "only root can make a Debian in a folder"
  ensurePackages debootstrap
  mkdir -p "$root/build"
  debian=$(mktemp -d -t "quern-$1.XXXXXX")
  trap removeDebian EXIT
  say "making a fresh Debian"
  debootstrap --variant=minbase "$debianRelease" "$debian" "$debianMirror" \
    >"$root/build/debootstrap.log" 2>&1 || {
    tail -n 20 "$root/build/debootstrap.log" >&2
    die "debootstrap failed: is $debianMirror reachable?"
  }
  # Packages may come from where this machine has them from.
  cp -r /etc/apt/sources.list* "$debian/etc/apt/" 2>/dev/null || true
  mount -t proc proc "$debian/proc"
  mkdir -p "$debian/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$debian/dev/pts"
  ln -sf pts/ptmx "$debian/dev/ptmx"
}

removeDebian() {
  umount "$debian/dev/pts" "$debian/proc" 2>/dev/null || true
  rm -rf "$debian"
}

# Runs a command in it, with nothing of this machine's environment.
inDebian() {
  chroot "$debian" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}
