#!/bin/sh
# Create a virtual environment with pip: `make_venv.sh python3 .venv`. One that works already is kept.
#
# An interrupted run, or Debian without python3-venv, leaves a folder with a Python but no pip: it is created again.
set -eu

python=$1
folder=$2
output=''

has_pip() {
    "$folder/bin/python" -m pip --version > /dev/null 2>&1
}
create() {
    output=$("$python" -m venv --clear "$folder" 2>&1) && has_pip
}

if has_pip || create; then
    exit 0
fi
if ! "$python" -c 'import ensurepip, venv' > /dev/null 2>&1; then
    case $(command -v "$python" || true) in
        /usr/bin/*) ;;
        *)
            echo "error: PYTHON=$python does not exist or has no venv and ensurepip modules: set PYTHON to another one" >&2
            exit 1
            ;;
    esac
    sh "$(dirname "$0")/install_packages.sh" python3-venv
    if create; then
        exit 0
    fi
fi
echo "$output" >&2
echo "error: PYTHON=$python could not create $folder: see its output above" >&2
exit 1
