#!/bin/sh
# Make a virtual environment that has pip: `make_venv.sh python3 .venv`. One that works already is left alone.
#
# A start that was cut short, or Debian without python3-venv, leaves a folder with a Python and no pip: it is made anew.
set -eu

python=$1
folder=$2
said=''

has_pip() {
    "$folder/bin/python" -m pip --version > /dev/null 2>&1
}
make_it() {
    said=$("$python" -m venv --clear "$folder" 2>&1) && has_pip
}

if has_pip || make_it; then
    exit 0
fi
if ! "$python" -c 'import ensurepip, venv' > /dev/null 2>&1; then
    case $(command -v "$python" || true) in
        /usr/bin/*) ;;
        *)
            echo "error: PYTHON=$python is not there or has no venv and ensurepip modules: name another Python" >&2
            exit 1
            ;;
    esac
    sh "$(dirname "$0")/install_packages.sh" python3-venv
    if make_it; then
        exit 0
    fi
fi
echo "$said" >&2
echo "error: PYTHON=$python cannot make $folder: what it says stands above" >&2
exit 1
