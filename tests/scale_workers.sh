#!/bin/sh
# Run N transcription workers: `tests/scale_workers.sh N`. Returns when all of them serve.
#
# Scales the local cluster if one runs on PORT (8083), else the compose project in COMPOSE_FILE
# (docker-compose.yml). Requests in flight finish: nginx stops using a worker before it drains.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
port=${PORT:-8083}
named=3 # transcription-worker-1 to -3 are services; the others are replicas of transcription-worker-more

case ${1:-} in
    '' | *[!0-9]* | 0)
        echo "usage: $0 N   (N workers, at least 1; PORT=8083, COMPOSE_FILE=docker-compose.yml)" >&2
        exit 2
        ;;
esac
count=$1

python=${PYTHON:-python3}
[ ! -x "$here/.venv/bin/python" ] || python=${PYTHON:-$here/.venv/bin/python}

cd "$here"
if "$python" -m app cluster status --port "$port" > /dev/null 2>&1; then
    exec "$python" -m app cluster scale "$count" --port "$port"
fi

if ! docker compose ps --status running --services 2> /dev/null | grep -q '^nginx$'; then
    echo "error: neither a local cluster on port $port (make cluster) nor a compose project runs here" >&2
    exit 1
fi

set --
n=1
while [ "$n" -le "$named" ]; do
    if [ "$n" -le "$count" ]; then replicas=1; else replicas=0; fi
    set -- "$@" --scale "transcription-worker-$n=$replicas"
    n=$((n + 1))
done
more=0
[ "$count" -le "$named" ] || more=$((count - named))
# nginx resolves the workers' name again every five seconds, so it needs no restart.
exec docker compose up --detach --no-recreate --wait "$@" --scale "transcription-worker-more=$more"
