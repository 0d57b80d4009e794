#!/usr/bin/env bash
# Installs the Debian packages that agon is built from. Asks dpkg first and calls apt only for what is
# missing, so that a second run costs milliseconds and needs neither root nor a network.
#
#   scripts/install_deps.sh [build] [test] [fmt] [dev] [bench] [model] [page]      (default: build)
set -euo pipefail

usage() {
  cat <<'END'
usage: scripts/install_deps.sh [--list] [GROUP...]

Groups: build (default)  what the program is compiled from
        test             what `make test` needs on top
        fmt              clang-format, for `make fmt`
        dev              clang, clang-tidy and the sanitizer runtimes
        bench            what `make bench` needs
        model            what `make model` needs
        page             a browser, to look at the HTML report without a screen
--list prints the packages and installs nothing.
END
}

packages_of() {
  case "$1" in
    build) echo cmake ninja-build g++ make pkg-config ccache zstd \
             libxgboost-dev libcli11-dev libfmt-dev libsimdjson-dev nlohmann-json3-dev libeigen3-dev \
             libicu-dev libxxhash-dev libzstd-dev zlib1g-dev libtbb-dev libssl-dev libcurl4-openssl-dev ;;
    test) echo libgtest-dev libgmock-dev librapidcheck-dev libsodium-dev python3 python3-venv curl openssl man-db groff-base chromium ;;
    fmt) echo clang-format-19 ;;
    dev) echo clang-19 clang-format-19 clang-tidy-19 libclang-rt-19-dev lld-19 ;;
    bench) echo libbenchmark-dev python3 python3-venv ;;
    model) echo python3 python3-venv ;;
    page) echo chromium fonts-inter fonts-urw-base35 fonts-noto-core ;;
    *) echo "install_deps.sh: no group called '$1'" >&2; usage >&2; exit 2 ;;
  esac
}

list=0
groups=()
for argument in "$@"; do
  case "$argument" in
    -h | --help) usage; exit 0 ;;
    --list) list=1 ;;
    *) groups+=("$argument") ;;
  esac
done
[ ${#groups[@]} -gt 0 ] || groups=(build)

wanted=()
for group in "${groups[@]}"; do
  names=$(packages_of "$group")
  for name in $names; do
    [[ " ${wanted[*]-} " == *" $name "* ]] || wanted+=("$name")
  done
done
if [ "$list" = 1 ]; then
  printf '%s\n' "${wanted[@]}"
  exit 0
fi

give_up() {
  {
    echo "install_deps.sh: $1"
    echo "Needed (Debian 12 names): ${missing[*]}"
    echo "$2"
  } >&2
  exit 1
}

missing=("${wanted[@]}")
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  give_up "this is no Debian system, so packages can't be installed from here." \
    "Install their counterparts by hand, then run make with SKIP_DEPS=1."
fi

find_missing() {
  local name state
  missing=()
  for name in "${wanted[@]}"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$name")
  done
}
find_missing
[ ${#missing[@]} -gt 0 ] || exit 0

command_line="apt-get update && apt-get install --no-install-recommends ${missing[*]}"
as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null ||
    give_up "packages are missing, and this is neither root nor is there sudo." "As root, run: $command_line"
  # Without a terminal sudo can't ask for a password: better to say so than to hang.
  if [ -t 0 ]; then as_root=(sudo); else as_root=(sudo -n); fi
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@"
}
install_missing() { apt install --no-install-recommends "${missing[@]}"; }

all_known() {  # Does the local package list know a version of every missing package?
  local name
  for name in "${missing[@]}"; do
    apt-cache policy "$name" 2>/dev/null | grep -q '^ *Candidate: [^(]' || return 1
  done
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
# An old list may name versions that the mirror no longer has, so a failure is tried again after an update.
if ! { all_known && install_missing >"$log" 2>&1; }; then
  if ! { apt update && install_missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    find_missing
    give_up "apt-get could not install everything (its last words are above)." "As root, run: $command_line"
  fi
fi
find_missing
[ ${#missing[@]} -eq 0 ] || give_up "apt-get reported success, yet packages are missing." "As root, run: $command_line"
