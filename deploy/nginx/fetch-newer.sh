#!/bin/sh
# Unpack a newer nginx (Debian testing's, 1.30 or later) beside the installed one: `fetch-newer.sh .cache/nginx-newer`.
#
# The tests also load nginx.conf with the container image's version, and test features that only that version has.
# Nothing is installed: apt uses separate lists, and the program runs with the C library it was built for.
# Needs apt and dpkg (Debian or a relative), and no root.
set -eu

target=${1:?usage: fetch-newer.sh FOLDER}
[ ! -x "$target/nginx" ] || exit 0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/state/lists/partial" "$work/cache/archives/partial" "$work/debs" "$work/root"
cat > "$work/sources.list" << EOT
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian testing main
EOT

apt() {
    apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o Dir::State="$work/state" -o Dir::State::status="$work/state/status" -o Dir::Cache="$work/cache" \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none -o APT::Update::Post-Invoke-Success::= "$@"
}
: > "$work/state/status"
apt update
(cd "$work/debs" && apt download nginx libc6 libcrypt1 libpcre2-8-0 libssl3t64 zlib1g)
for package in "$work"/debs/*.deb; do
    dpkg-deb -x "$package" "$work/root"
done

loader=$(find "$work/root" -name 'ld-linux*' \( -type f -o -type l \) | head -n 1)
libraries=$(find "$work/root" -name 'libc.so.6' -exec dirname {} \; | head -n 1)
mkdir -p "$target/lib"
find "$libraries" "$work/root/usr/lib" -name '*.so*' -exec cp -L {} "$target/lib/" \;
cp -L "$loader" "$target/lib/loader"
cp "$work/root/usr/sbin/nginx" "$target/nginx.bin"
cat > "$target/nginx" << 'EOT'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
exec "$here/lib/loader" --library-path "$here/lib" "$here/nginx.bin" "$@"
EOT
chmod +x "$target/nginx"
"$target/nginx" -v
