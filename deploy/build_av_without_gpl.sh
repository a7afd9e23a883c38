#!/bin/sh
# Replace PyAV in an environment with one that has no GPL code: `build_av_without_gpl.sh /opt/venv requirements.txt`.
#
# The wheel of PyAV on the package index contains the encoders libx264 and libx265, which are under the GPL.
# This builds FFmpeg under the LGPL 2.1 (decoders only, no outside library but zlib) and PyAV over it, and puts both
# into the environment. Needs Debian, root, and pip beside `python`; takes about six minutes on two cores.
# FFMPEG_URL names another place that has the same file.
set -eu

venv=$(realpath "${1:?usage: build_av_without_gpl.sh ENVIRONMENT LOCK_FILE}")
lock=$(realpath "${2:?usage: build_av_without_gpl.sh ENVIRONMENT LOCK_FILE}")
here=$(cd "$(dirname "$0")" && pwd)
version=9.0.2
url=${FFMPEG_URL:-https://ffmpeg.org/releases/ffmpeg-$version.tar.xz}
sha256=8c3850283eb25fa026482078a04051e0be17347b09ef81a0849bec15a96e002e
target=$venv/ffmpeg

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
apt-get update -qq
apt-get install --yes --no-install-recommends -qq gcc libc6-dev make nasm pkg-config zlib1g-dev > /dev/null

# Python downloads, verifies and unpacks: the image has neither curl nor xz.
python - "$url" "$sha256" "$work" << 'EOT'
import hashlib, io, sys, tarfile, urllib.request
url, expected, folder = sys.argv[1:]
content = urllib.request.urlopen(url, timeout=120).read()
actual = hashlib.sha256(content).hexdigest()
if actual != expected:
    sys.exit(f"error: {url} has the SHA-256 {actual}, expected {expected}")
tarfile.open(fileobj=io.BytesIO(content)).extractall(folder, filter="data")
EOT

# Neither --enable-gpl nor --enable-version3 nor --enable-nonfree: what is built is under the LGPL 2.1 or later.
# The filters are those that app/audio/ffmpeg.py uses.
cd "$work/ffmpeg-$version"
./configure --prefix="$target" --extra-ldflags="-Wl,-rpath,$target/lib" \
    --enable-shared --disable-static --disable-autodetect --enable-zlib \
    --disable-programs --disable-doc --disable-debug --disable-network \
    --disable-encoders --disable-muxers --disable-hwaccels --disable-indevs --disable-outdevs \
    --disable-filters --enable-filter=abuffer,abuffersink,aformat,anull,aresample,pan > "$work/configure.log"
grep -q 'define FFMPEG_LICENSE "LGPL version 2.1 or later"' config.h
make -s -j "$(nproc)" > "$work/make.log" 2>&1 || { tail -n 50 "$work/make.log" >&2; exit 1; }
make -s install > /dev/null
cp COPYING.LGPLv2.1 LICENSE.md "$target"

# The version and the hash of PyAV's source are those of the lock file; what builds it has a lock file of its own.
python -m venv "$work/build"
"$work/build/bin/python" -m pip install --quiet --require-hashes --requirement "$here/requirements-av-build.txt"
sed -n '/^av==/,/[^\\]$/p' "$lock" > "$work/av.txt"
PKG_CONFIG_PATH=$target/lib/pkgconfig LDFLAGS="-Wl,-rpath,$target/lib" \
    "$work/build/bin/python" -m pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --no-binary av --require-hashes \
    --requirement "$work/av.txt" --wheel-dir "$work/wheel"
"$work/build/bin/python" -m pip --python "$venv/bin/python" install --quiet --no-deps --no-index --force-reinstall \
    "$work"/wheel/av-*.whl
rm -r "$target/include" "$target/lib/pkgconfig" "$target/share"

"$venv/bin/python" - << 'EOT'
from av._core import library_meta
licences = {name: meta["license"] for name, meta in library_meta.items()}
print(licences)
assert set(licences.values()) == {"LGPL version 2.1 or later"}, licences
EOT
