#!/bin/sh
# Smoke test of a running service: `tests/test_transcription.sh`. Exits with 0 if every check passes.
#
# API_URL (http://localhost:8083), TEST_AUDIO (tests/test_audio.wav), API_KEY (none). Needs curl and Python.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
url=${API_URL:-http://localhost:8083}
audio=${TEST_AUDIO:-$here/test_audio.wav}
python=${PYTHON:-python3}
failures=0
body=$(mktemp)
trap 'rm -f "$body"' EXIT

# check NAME COMMAND...: run the command, print the result, count failures.
check() {
    name=$1
    shift
    if "$@"; then
        echo "ok    $name"
    else
        echo "FAIL  $name"
        failures=$((failures + 1))
    fi
}

# request CURL-ARGUMENTS...: print the status; the body of the answer is in $body.
request() {
    curl --silent --show-error --max-time 300 --output "$body" --write-out '%{http_code}' \
        ${API_KEY:+--header "Authorization: Bearer $API_KEY"} "$@"
}

# holds EXPRESSION: evaluate a Python expression in which `answer` is the JSON body.
holds() {
    "$python" -c 'import json, sys
answer = json.load(open(sys.argv[1], encoding="utf-8"))
sys.exit(0 if eval(sys.argv[2]) else 1)' "$body" "$1" 2> /dev/null
}

healthy() { [ "$(request "$url/health")" = 200 ] && holds 'answer["status"] == "healthy"'; }
balanced() { [ "$(request "$url/lb-status")" = 200 ] && head -n 1 "$body" | grep -q 'Load Balancer Status: Active'; }
readable() { [ -s "$audio" ]; }
transcribe() {
    [ "$(request -F "file=@$audio" -F model=whisper-1 "$@" "$url/v1/audio/transcriptions")" = 200 ]
}
transcribed() { transcribe -F response_format=verbose_json -F timestamp_granularities=segment; }
has_text() { holds 'answer["text"].strip()'; }
has_language() { holds 'isinstance(answer["language"], str) and answer["language"]'; }
has_duration() { holds 'answer["duration"] > 0'; }
has_segments() { holds 'len(answer["segments"]) > 0'; }
has_vexa_fields() {
    holds 'all({"start", "end", "text", "audio_start", "audio_end"} <= set(s) for s in answer["segments"])' &&
        holds 'all(s["end"] > s["start"] and s["text"] for s in answer["segments"])' &&
        holds 'all(s["audio_start"] == s["start"] and s["audio_end"] == s["end"] for s in answer["segments"])'
}
plain_text() { transcribe -F response_format=text && [ -s "$body" ] && ! grep -q '^{' "$body"; }
refuses_invalid_audio() {
    [ "$(request -F "file=@$0" -F model=whisper-1 "$url/v1/audio/transcriptions")" = 400 ] &&
        holds '{"message", "type", "param", "code"} <= set(answer["error"])'
}

echo "service: $url   audio: $audio"
check 'health is healthy' healthy
check 'the load balancer is active' balanced
check 'the audio file is there' readable
check 'a transcription succeeds' transcribed
check 'it has a text' has_text
check 'it has a language' has_language
check 'it has a duration' has_duration
check 'it has segments' has_segments
check 'segments have the fields Vexa reads' has_vexa_fields
check 'plain text on request' plain_text
check 'a file without audio gets 400 and an OpenAI error body' refuses_invalid_audio

if [ "$failures" -gt 0 ]; then
    echo "$failures checks failed"
    exit 1
fi
echo 'all checks passed'
