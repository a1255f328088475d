#!/bin/sh
# Makes this clone ready, then runs a script or a tool with the repository's own Node.
#
#   sh scripts/run.sh scripts/x.ts arguments…    a file, sought in the repository first, then in the working directory
#   sh scripts/run.sh --bin tool arguments…      a program of node_modules/.bin, or any other on PATH
#
# "Ready" means that node_modules holds what package-lock.json names; otherwise npm puts it there, once, however many
# start at the same time. Everything this file says goes to stderr: stdout belongs to the program.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
modules=$root/node_modules
stamp=$modules/.cache/installed
lock=$root/.cache/install.lock

say() { printf 'bowline: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# What node_modules must have been made from; another platform needs other binaries.
wanted() { printf '%s %s' "$(cksum <"$root/package-lock.json")" "$(uname -sm)"; }

# Installed by this script, or by a developer's own `npm install`, whose record is then newer than the lock file.
is_ready() {
  [ -d "$modules" ] || return 1
  if [ -f "$stamp" ]; then
    read -r seen <"$stamp" || true
    [ "$seen" != "$(wanted)" ] || return 0
  fi
  [ -n "$(find "$modules/.package-lock.json" -newer "$root/package-lock.json" 2>/dev/null)" ] || return 1
  write_stamp
}

# Renamed into place, so that no reader sees half of it.
write_stamp() {
  mkdir -p "$modules/.cache"
  printf '%s\n' "$(wanted)" >"$stamp.$$"
  mv -f "$stamp.$$" "$stamp"
}

# A symbolic link is made in one step and carries its owner's process id. A lock whose owner is gone is taken over.
take_lock() {
  mkdir -p "$root/.cache"
  said=
  until ln -s "$$" "$lock" 2>/dev/null; do
    owner=$(readlink "$lock" || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then
      # Only one of several waiters can move it; whoever then holds another's lock gives it back.
      mv "$lock" "$lock.$$" 2>/dev/null || continue
      if [ "$(readlink "$lock.$$")" = "$owner" ]; then rm -f "$lock.$$"; else mv "$lock.$$" "$lock"; fi
      continue
    fi
    [ -n "$said" ] || say "waiting for the installation that process ${owner:-unknown} has begun"
    said=1
    sleep 1
  done
  trap 'rm -f "$lock"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

drop_lock() {
  rm -f "$lock"
  trap - EXIT HUP INT TERM
}

# `npm install --no-save` takes what the lock file names and never writes it. Not `npm ci`: where the registry lacks a binary
# for some other platform, npm leaves it out of the lock file, and `npm ci` then refuses that very file (npm/cli#9846).
# No install scripts run: none of our tools needs one, and npm 12 refuses them anyway.
install() {
  command -v npm >/dev/null 2>&1 || die "npm is not on PATH. Install Node 20 or newer with npm, then run this again."
  say "installing the tools of this repository into node_modules (once, 500 MB on disk) …"
  log=$root/.cache/install.log
  begun=$(date +%s)
  if ! (cd "$root" && npm install --no-save --include=dev --include=optional --ignore-scripts --no-audit --no-fund \
    --loglevel=error) >"$log" 2>&1 </dev/null; then
    cat "$log" >&2
    die "npm install failed; its output is above. It needs the npm registry (npm config get registry) and 600 MB of disk."
  fi
  rm -f "$log"
  # On a system whose C library can't run the binary (musl), the link must not stand before the system's own node.
  if [ -e "$modules/.bin/node" ] && ! "$modules/.bin/node" -e 0 >/dev/null 2>&1; then rm -f "$modules/.bin/node"; fi
  write_stamp
  say "installed in $(($(date +%s) - begun)) s"
}

[ $# -gt 0 ] || die "usage: sh scripts/run.sh (FILE | --bin TOOL) [ARGUMENT…]"

if ! is_ready; then
  take_lock
  is_ready || install
  drop_lock
fi

case $PATH in
  "$modules/.bin:"*) ;;
  *) PATH=$modules/.bin:$PATH ;;
esac
export PATH

# Where no binary of Node came from npm, the system's serves, if it is new enough to run TypeScript.
if [ ! -x "$modules/.bin/node" ]; then
  age='const [a, b] = process.versions.node.split("."); a > 22 || (a == 22 && b >= 18) ? "" : process.version'
  found=$(node -p "$age" 2>&1) || found=missing
  [ -z "$found" ] || die "node_modules has no Node 24 for $(uname -sm), and node on PATH is $found." \
    "Install Node 22.18 or newer. On Linux and macOS (x64, arm64) remove node_modules and run this again instead."
fi

# exec, so that signals and Ctrl-C reach the program itself.
if [ "$1" = --bin ]; then
  shift
  [ $# -gt 0 ] || die "usage: sh scripts/run.sh --bin TOOL [ARGUMENT…]"
  command -v "$1" >/dev/null 2>&1 || die "no program \"$1\" in node_modules/.bin or on PATH"
  exec "$@"
fi

file=$1
shift
case $file in
  /*) ;;
  *) [ ! -f "$root/$file" ] || file=$root/$file ;;
esac
[ -f "$file" ] || die "no file \"$file\" in $root or in the working directory"
exec node "$file" "$@"
