#!/bin/sh
# List what each image contains of Python packages, as CycloneDX: `sbom.sh FOLDER` reads the lock files of the images.
#
# Debian's packages are in the list that BuildKit attaches to each image (`docker buildx imagetools inspect`).
set -eu

folder=${1:?usage: sbom.sh FOLDER}
cd "$(dirname "$0")/../.."
mkdir -p "$folder"

list() {
    name=$1
    shift
    # The warning says that the lock file does not tell who needs whom.
    cat "$@" | PYTHONWARNINGS=ignore .venv/bin/cyclonedx-py requirements --pyproject pyproject.toml \
        --output-reproducible --output-file "$folder/speech-to-text-$name.cdx.json" -
}
list cpu requirements.txt
list cpu-openvino requirements.txt requirements-openvino.txt
list cuda requirements.txt deploy/requirements-cuda.txt
