#!/bin/sh
# Count what nginx answers: `mtail.sh SOCKET [ADDRESS [PORT]]` serves /metrics there until it is stopped.
#
# nginx writes its second access log to the socket (NGINX_METRICS_SOCKET of deploy/nginx/render.sh). Start this first:
# nginx works without it, but what it answers meanwhile is not counted, and each answer is a line in its error log.
set -eu

socket=${1:?usage: mtail.sh SOCKET [ADDRESS [PORT]]}
# mtail cannot listen where it has left a socket, which it always does.
rm -f "$socket"
# nginx may work as another user.
umask 0111
# mtail 3.0 reads one datagram per poll_interval: 1000 a second, for 3 % of a core. Of more at once the kernel keeps
# net.unix.max_dgram_qlen; nginx drops the rest, because it never waits for a log.
exec mtail --logtostderr --address "${2:-127.0.0.1}" --port "${3:-3903}" \
    --progs "$(dirname "$0")/access.mtail" --logs "unixgram://$socket" \
    --poll_interval 1ms --poll_log_interval 0 --emit_prog_label=false
