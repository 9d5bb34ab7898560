#!/usr/bin/env bash
# tools.sh node|chromium: make sure that a tool is there, through apt where this is root on Debian
# or its like. Says what is missing and exits with 77 where it cannot be had.
set -euo pipefail

have() {
  case $1 in
    node) command -v node && command -v npm ;;
    chromium) [ -n "${CHROMIUM:-}" ] || command -v chromium || command -v chromium-browser ;;
    *) echo "tools.sh: unknown tool '$1'; give node or chromium" >&2; exit 2 ;;
  esac > /dev/null
}

have "$1" && exit 0
case $1 in
  node) packages="nodejs npm" ;;
  chromium) packages="chromium" ;;
esac
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get > /dev/null; then
  echo "$1 is not installed, and only root on Debian gets it by itself; install: $packages" >&2
  exit 77
fi
echo "installing $packages through apt"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # a list of packages
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends $packages; } > /dev/null
then
  echo "apt-get could not install: $packages" >&2
  exit 77
fi
have "$1"
