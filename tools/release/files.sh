#!/bin/sh
# Write the files of a release into an empty folder: `files.sh ghcr.io/example FOLDER`.
#
# The chart and the manifests name the images of the registry. Needs helm in .cache/kube (`make kube`) and the
# development tools in .venv. The notes of the release, from CHANGELOG.md, go to standard output.
set -eu

registry=${1:?usage: files.sh REGISTRY FOLDER}
folder=${2:?usage: files.sh REGISTRY FOLDER}
cd "$(dirname "$0")/../.."
helm=.cache/kube/helm
version=$(.venv/bin/python -c 'from app.ops.version import VERSION; print(VERSION)')

notes=$(awk -v heading="## $version" '$0 == heading { inside = 1; next } /^## / { inside = 0 } inside' CHANGELOG.md)
if [ -z "$notes" ]; then
    echo "error: CHANGELOG.md has no lines under '## $version': rename the heading 'Unreleased' (RELEASING.md)" >&2
    exit 1
fi

mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Links into the repository become files.
cp -RL deploy/helm/speech-to-text "$work/speech-to-text"
sed -i "s|^  repository: speech-to-text\$|  repository: $registry/speech-to-text|" "$work/speech-to-text/values.yaml"
grep -q "repository: $registry/speech-to-text" "$work/speech-to-text/values.yaml"
$helm package --destination "$folder" "$work/speech-to-text" > /dev/null
# As `make manifests` does.
$helm template stt "$folder/speech-to-text-$version.tgz" --namespace speech-to-text --skip-tests \
    > "$folder/kubernetes.yaml"
sh tools/release/sbom.sh "$(cd "$folder" && pwd)"
(cd "$folder" && sha256sum ./*.tgz ./*.yaml ./*.json > SHA256SUMS)
printf '%s\n' "$notes"
