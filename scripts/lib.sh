# Functions shared by the scripts beside this file; source it, do not run it.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for the scripts that source this

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian's own Python: the onnx and numpy packages belong to it, and another
# python3 that comes first on PATH does not see them.
python=/usr/bin/python3

# Prints a line of progress on stderr.
say() { printf '== %s\n' "$*" >&2; }

# Ends the script with a reason.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# Prints the comment block at the top of the calling script as its help text.
printHelp() { sed -n '2,/^[^#]/{s/^# \{0,1\}//;t show;b;:show;p}' "$0"; }

# Prints those of the named Debian packages that are not installed.
missingPackages() {
  local installed
  installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
    awk '$2 == "installed" { print $1 }' || true)
  printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$installed") || true
}

# Installs those of the named Debian packages that are missing; does nothing,
# and needs no rights, when there are none.
ensurePackages() {
  command -v dpkg-query >/dev/null ||
    die "this is not a Debian system; install the equivalents of: $*"
  local -a missing=() asRoot=()
  mapfile -t missing < <(missingPackages "$@")
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "run me as root or install sudo; missing packages: ${missing[*]}"
    asRoot=(sudo)
  fi
  say "installing ${#missing[@]} packages: ${missing[*]}"
  local -a apt=("${asRoot[@]}" env DEBIAN_FRONTEND=noninteractive
    apt-get -q -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update </dev/null >&2 ||
    die "apt-get update failed: is the package mirror reachable?"
  "${apt[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null >&2 ||
    die "apt-get install failed (Quern needs Debian 12 or newer); wanted: ${missing[*]}"
}

# Lets ccache keep what is compiled with a precompiled header, and share the rest
# between check-outs in different folders.
export CCACHE_BASEDIR="${CCACHE_BASEDIR:-$root}"
export CCACHE_SLOPPINESS="${CCACHE_SLOPPINESS:-pch_defines,time_macros}"

# Whether configureAndBuild configures the tests, too.
withTests=ON

# configureAndBuild PRESET [CMAKE BUILD ARGUMENTS...]: incremental.
configureAndBuild() {
  local preset=$1 log="$root/build/configure-$1.log"
  shift
  cd "$root"
  mkdir -p build
  say "configuring build/$preset"
  cmake --preset "$preset" -DQUERN_BUILD_TESTS="$withTests" -Wno-dev >"$log" 2>&1 || {
    cat "$log" >&2
    die "cmake could not configure preset $preset"
  }
  say "building build/$preset"
  cmake --build --preset "$preset" "$@" >&2 || die "the build of build/$preset failed"
}
