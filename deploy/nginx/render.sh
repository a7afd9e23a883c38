#!/bin/sh
# Print nginx.conf adapted to a deployment: `render.sh [nginx.conf] > rendered.conf`.
#
# Where a line of the template ends in `#~`, the text behind the mark replaces the line, with each ${NAME} filled in.
# Needs nothing but a POSIX shell and awk, so that the nginx image and any Linux can run it. Everything comes from the
# environment; names marked * are the workers' and gateways' own settings, so that one .env feeds both sides.
#
#   WORKERS                          3     workers to expect by name: transcription-worker-1 ... -N
#   NGINX_RESOLVE                    0     1: one name for all workers, looked up again while running (nginx >= 1.27.3)
#   NGINX_WORKER_ADDRESSES                 instead of both: "host:port host:port ..."
#   NGINX_GATEWAY_ADDRESSES                live gateways, the same way; empty: none
#   NGINX_RESOLVER_ADDRESS   127.0.0.11    the name server for NGINX_RESOLVE=1 (Docker's own)
#   NGINX_RESOLVE_S                  5     how long a looked-up name is believed
#   NGINX_LISTEN, NGINX_LIVE_LISTEN  8083, 8990
#   NGINX_RUN_DIR                    /tmp  pid and temporary files
#   NGINX_NOFILE                     65535 descriptors nginx may open; never more than the system allows
#   NGINX_CONFIGURATION              0     a number that /lb-status shows in X-Configuration
#   NGINX_LIVE_BALANCE               least_conn, or ip_hash
#   NGINX_TRUSTED_NETWORKS                 networks without limits: "10.0.0.0/8 192.168.0.0/16"
#   NGINX_LIMIT_RATE, _BURST, _CONNECTIONS 100, 200, 256   requests/s, burst, connections of one API key or address
#   NGINX_SHUTDOWN_S                       how long old processes live after a reload; SHUTDOWN_GRACE_S
#   MAX_CONCURRENT_TRANSCRIPTIONS *  0     one worker's slots; 0: the worker's own choice,
#   NGINX_AUTO_SLOTS                 8     which is this on its device (32 on CUDA)
#   MAX_QUEUE_SIZE *                 10    one worker's waiting places, counted unless FAIL_FAST_WHEN_BUSY
#   FAIL_FAST_WHEN_BUSY *            true
#   MAX_UPLOAD_BYTES *               524288000
#   SHUTDOWN_GRACE_S *               60
set -eu

template=${1:-$(dirname "$0")/../../nginx.conf}

fail() {
    echo "render.sh: $1" >&2
    exit 1
}

# number NAME VALUE MINIMUM: refuse what is no whole number of at least MINIMUM.
number() {
    case $2 in
        '' | *[!0-9]*) fail "$1=$2 is not a whole number" ;;
    esac
    [ "$2" -ge "$3" ] || fail "$1=$2 is below $3"
}

workers=${WORKERS:-3}
slots=${MAX_CONCURRENT_TRANSCRIPTIONS:-0}
[ "$slots" != 0 ] || slots=${NGINX_AUTO_SLOTS:-8}
queue=${MAX_QUEUE_SIZE:-10}
upload_bytes=${MAX_UPLOAD_BYTES:-524288000}
rate=${NGINX_LIMIT_RATE:-100}
burst=${NGINX_LIMIT_BURST:-200}
connections=${NGINX_LIMIT_CONNECTIONS:-256}
grace_s=${SHUTDOWN_GRACE_S:-60}
grace_s=${grace_s%%.*}
nofile=${NGINX_NOFILE:-65535}
number NGINX_NOFILE "$nofile" 64
number NGINX_CONFIGURATION "${NGINX_CONFIGURATION:-0}" 0
number WORKERS "$workers" 1
number MAX_CONCURRENT_TRANSCRIPTIONS "$slots" 1
number MAX_QUEUE_SIZE "$queue" 0
number MAX_UPLOAD_BYTES "$upload_bytes" 1
number NGINX_LIMIT_RATE "$rate" 1
number NGINX_LIMIT_BURST "$burst" 1
number NGINX_LIMIT_CONNECTIONS "$connections" 1
number SHUTDOWN_GRACE_S "${grace_s:-0}" 0
number NGINX_SHUTDOWN_S "${NGINX_SHUTDOWN_S:-0}" 0

# Waiting places count only where requests may wait.
case $(printf %s "${FAIL_FAST_WHEN_BUSY:-true}" | tr '[:upper:]' '[:lower:]') in
    0 | false | no | off | n | f) places=$((slots + queue)) ;;
    *) places=$slots ;;
esac

resolve=''
NGINX_RESOLVER=''
case ${NGINX_RESOLVE:-0} in
    1)
        resolve=' resolve'
        number NGINX_RESOLVE_S "${NGINX_RESOLVE_S:-5}" 1
        # Docker gives names a life of minutes; this is how soon a scaled worker is seen.
        NGINX_RESOLVER="resolver ${NGINX_RESOLVER_ADDRESS:-127.0.0.11} valid=${NGINX_RESOLVE_S:-5}s ipv6=off;"
        addresses=${NGINX_WORKER_ADDRESSES:-transcription-workers:8000}
        ;;
    0)
        addresses=${NGINX_WORKER_ADDRESSES:-}
        if [ -z "$addresses" ]; then
            n=1
            while [ "$n" -le "$workers" ]; do
                addresses="$addresses transcription-worker-$n:8000"
                n=$((n + 1))
            done
        fi
        ;;
    *) fail "NGINX_RESOLVE=$NGINX_RESOLVE: 0 or 1" ;;
esac

case ${NGINX_LIVE_BALANCE:-least_conn} in
    least_conn | ip_hash) ;;
    *) fail "NGINX_LIVE_BALANCE=$NGINX_LIVE_BALANCE: least_conn or ip_hash" ;;
esac

# servers SUFFIX ADDRESS...: one `server` line per address.
servers() {
    suffix=$1
    shift
    for address in "$@"; do
        echo "server $address$resolve max_fails=0$suffix;"
    done
}

# Word splitting turns the lists into arguments; none of them may act as a file pattern.
set -f
# shellcheck disable=SC2086
NGINX_WORKERS=$(servers " max_conns=$places" $addresses)
# shellcheck disable=SC2086
NGINX_CONTROL=$(servers "" $addresses)
# shellcheck disable=SC2086
NGINX_GATEWAYS=$(servers "" ${NGINX_GATEWAY_ADDRESSES:-})
# An upstream needs a server; one that is down lets every connection be refused politely.
[ -n "$NGINX_GATEWAYS" ] || NGINX_GATEWAYS='server 127.0.0.1:9090 down;'
NGINX_TRUSTED=$(for network in ${NGINX_TRUSTED_NETWORKS:-}; do echo "$network 1;"; done)

export NGINX_WORKERS NGINX_CONTROL NGINX_GATEWAYS NGINX_TRUSTED NGINX_RESOLVER
export NGINX_LISTEN="${NGINX_LISTEN:-8083}" NGINX_LIVE_LISTEN="${NGINX_LIVE_LISTEN:-8990}"
export NGINX_NOFILE="$nofile" NGINX_CONFIGURATION="${NGINX_CONFIGURATION:-0}" NGINX_RUN_DIR="${NGINX_RUN_DIR:-/tmp}" NGINX_LIVE_BALANCE="${NGINX_LIVE_BALANCE:-least_conn}"
export NGINX_LIMIT_RATE="$rate" NGINX_LIMIT_BURST="$burst" NGINX_LIMIT_CONNECTIONS="$connections"
export NGINX_LIMIT_ADDRESS_RATE="$((rate * 10))" NGINX_LIMIT_ADDRESS_BURST="$((burst * 10))"
# 1 MiB for the form fields around the file.
export NGINX_MAX_BODY_BYTES="$((upload_bytes + 1048576))" NGINX_SHUTDOWN_S="${NGINX_SHUTDOWN_S:-$grace_s}"

exec awk '
    # Fill in each ${NAME}; an unknown one is a mistake in the template.
    function fill(text,    name, done) {
        done = ""
        while (match(text, /\$\{[A-Z_]+\}/)) {
            name = substr(text, RSTART + 2, RLENGTH - 3)
            if (!(name in ENVIRON)) {
                print "render.sh: line " NR ": no value for " name > "/dev/stderr"
                failed = 1
                exit 1
            }
            done = done substr(text, 1, RSTART - 1) ENVIRON[name]
            text = substr(text, RSTART + RLENGTH)
        }
        return done text
    }
    {
        mark = index($0, "#~")
        if (mark == 0 || $1 == "#") {
            print
            next
        }
        match($0, /^ */)
        indent = substr($0, 1, RLENGTH)
        text = substr($0, mark + 2)
        sub(/^ +/, "", text)
        text = fill(text)
        count = split(text, lines, "\n")
        for (i = 1; i <= count; i++) {
            if (lines[i] != "") print indent lines[i]
        }
    }
    END { if (failed) exit 1 }
' "$template"
