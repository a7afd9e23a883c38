#!/bin/sh
# Install those of the given programs that are missing: `install_packages.sh nginx shellcheck`.
#
# Needs apt, and root or sudo, unless all of them are installed. deploy/debian-packages.txt maps programs to packages.
set -eu

list=$(dirname "$0")/debian-packages.txt
# Debian's folders for servers, which are not in an ordinary user's PATH
PATH=$PATH:/usr/sbin:/sbin
for folder in /usr/lib/postgresql/*/bin; do
    PATH=$PATH:$folder
done
missing=''
for program in "$@"; do
    package=$(awk -v wanted="$program" '$1 == wanted { print $2 }' "$list")
    if [ -z "$package" ]; then
        echo "error: $list has no package for $program" >&2
        exit 1
    fi
    command -v "$program" > /dev/null 2>&1 || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get > /dev/null 2>&1; then
    echo "error: install$missing yourself: this system has no apt" >&2
    exit 1
fi
if [ "$(id -u)" = 0 ]; then
    root=''
elif command -v sudo > /dev/null 2>&1; then
    root=sudo
else
    echo "error: install$missing as root: apt-get install$missing" >&2
    exit 1
fi

echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
$root apt-get update -qq
# shellcheck disable=SC2086 # a list of packages; the output is printed only after a failure
if ! output=$($root apt-get install --yes --no-install-recommends -qq $missing 2>&1); then
    echo "$output" >&2
    echo "error: apt-get could not install$missing" >&2
    exit 1
fi
