#!/bin/sh
# Run a load test: `tests/run_load_test.sh all|single|scaling ['1 2 3'] [requests] [clients]`.
#
#   single   one worker (WORKER_URL, else the first one): double the clients until it refuses more than a tenth
#   scaling  the cluster (API_URL) with each number of workers, at equal load per worker
#   all      both
#
# Works on the local cluster (make cluster) and on compose. Results go to tests/results/: JSON and PNG.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
kind=${1:-all}
workers=${2:-1 2 3}
requests=${3:-20}
clients=${4:-2}
port=${PORT:-8083}
export API_URL="${API_URL:-http://localhost:$port}"

case $kind in
    all | single | scaling) ;;
    *)
        echo "usage: $0 all|single|scaling ['1 2 3'] [requests per worker] [clients per worker]" >&2
        exit 2
        ;;
esac

python=${PYTHON:-python3}
[ ! -x "$here/.venv/bin/python" ] || python=${PYTHON:-$here/.venv/bin/python}

if ! "$python" -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1] + "/health/ready", timeout=5)' \
    "$API_URL" 2> /dev/null; then
    echo "error: no ready worker behind $API_URL: start the cluster (make cluster) or docker compose up" >&2
    exit 1
fi

# worker_url: print the address of one worker: WORKER_URL, else the local cluster's first, else compose's first.
worker_url() {
    if [ -n "${WORKER_URL:-}" ]; then
        echo "$WORKER_URL"
    elif status=$("$python" -m app cluster status --port "$port" 2> /dev/null); then
        echo "$status" | "$python" -c 'import json, sys
print("http://127.0.0.1:%d" % json.load(sys.stdin)["ports"]["worker-1"])'
    else
        container=$(docker compose ps --quiet transcription-worker-1 2> /dev/null | head -n 1)
        [ -n "$container" ] || return 1
        address=$(docker inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$container")
        echo "http://$address:8000"
    fi
}

cd "$here"
if ! worker_url=$(worker_url); then
    [ "$kind" = scaling ] || { echo "error: set the address of one worker: WORKER_URL=http://..." >&2 && exit 1; }
    worker_url=$API_URL # not used
fi

results=${RESULTS_DIR:-$here/tests/results}/$kind-$(date -u +%Y%m%dT%H%M%SZ)
# shellcheck disable=SC2086 # the list of numbers is meant to become several arguments
exec "$python" "$here/tests/load_test.py" "--test-$kind" --worker-url "$worker_url" --workers $workers \
    --requests "$requests" --concurrency "$clients" --json "$results.json" --plot "$results.png"
