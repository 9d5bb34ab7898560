#!/usr/bin/env bash
# Run a Python script on an emulated Arm core, with numpy and ai-edge-litert at hand:
#
#   tests/arm/emulate.sh FOLDER CPU SCRIPT [ARGUMENT...]
#
# FOLDER gets the arm64 Python and its packages the first time (about 60 MB are fetched). CPU is a
# name that qemu knows: cortex-a53 has no dot products, cortex-a76 has SDOT, and
# max,sve=off,sme=off the matrix products of i8mm. PYTHON is the host's Python, whose ai-edge-litert
# says which version to fetch. Status 77: not on this machine, and the last line on stderr says why.
set -euo pipefail
mkdir -p "$1"
folder=$(cd "$1" && pwd)
cpu=$2
shift 2
python=${PYTHON:-python3}
log=$folder/set_up.log

cannot() { echo "$1" >&2; exit 77; }

[ "$(uname -s)" = Linux ] || cannot "needs Debian; this is $(uname -s)"
grep -qx 'ID=debian' /etc/os-release || cannot "needs Debian, whose apt has arm64 packages"
[ "$(id -u)" = 0 ] || cannot "needs root, to install qemu and to mount an Arm core's /proc/cpuinfo"
unshare --mount true 2>/dev/null || cannot "this container may not mount; run it with CAP_SYS_ADMIN"

litert=$("$python" -c 'from importlib.metadata import version; print(version("ai-edge-litert"))')

# apt with a state of its own: the host's sources and keys, but another architecture, and a machine
# on which nothing is installed yet.
arm_apt() {
  apt-get -qq -y -o APT::Architecture=arm64 -o APT::Architectures::=arm64 \
    -o APT::Install-Recommends=false -o APT::Sandbox::User=root -o Debug::NoLocking=true \
    -o Dir::State="$folder/apt" -o Dir::State::status="$folder/apt/status" \
    -o Dir::Cache="$folder/apt" "$@"
}

set_up() {
  rm -rf "$folder/root" "$folder/apt"
  mkdir -p "$folder/root/site" "$folder/apt/lists/partial" "$folder/apt/archives/partial"
  : > "$folder/apt/status"
  arm_apt update
  arm_apt --download-only install python3 libstdc++6
  local package release
  for package in "$folder"/apt/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
  release=$(readlink "$folder/root/usr/bin/python3")
  "$python" -m pip install --quiet --no-compile --only-binary=:all: --implementation cp \
    --python-version "${release#python}" --platform manylinux2014_aarch64 \
    --platform manylinux_2_27_aarch64 --platform manylinux_2_28_aarch64 \
    --target "$folder/root/site" --upgrade "ai-edge-litert==$litert"
  rm -rf "$folder/apt"
}

if ! command -v qemu-aarch64-static > /dev/null; then
  { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install qemu-user-static; } \
    > "$log" 2>&1 || cannot "apt cannot install qemu-user-static; see $log"
fi
if [ "$(cat "$folder/ready" 2>/dev/null)" != "$litert" ]; then
  rm -f "$folder/ready"
  # In a shell of its own: inside a condition, set -e would not end it at the first error.
  export -f set_up arm_apt
  folder=$folder python=$python litert=$litert bash -euo pipefail -c set_up > "$log" 2>&1 \
    || cannot "apt or pip cannot fetch the arm64 packages; see $log"
  echo "$litert" > "$folder/ready"
fi

# LiteRT asks /proc/cpuinfo which core it runs on, and does not survive the answer of an x86 one. An
# A76 stands for all cores that are newer; what they can do, they say elsewhere.
case $cpu in
  cortex-a53) part=0xd03 dot= ;;
  *) part=0xd0b dot=asimddp ;;
esac
cat > "$folder/cpuinfo" << EOF
processor	: 0
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid $dot
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: $part
CPU revision	: 4

EOF
exec unshare --mount sh -c 'mount --bind "$0" /proc/cpuinfo && exec "$@"' "$folder/cpuinfo" \
  env -i PYTHONHOME="$folder/root/usr" PYTHONPATH="$folder/root/site" PYTHONDONTWRITEBYTECODE=1 \
  QEMU_LD_PREFIX="$folder/root" \
  qemu-aarch64-static -cpu "$cpu" "$(readlink -f "$folder/root/usr/bin/python3")" "$@"
