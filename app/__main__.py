"""`python -m app`: serve, transcribe files without a server, stream live, run a cluster, examine this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    if words[:1] == ["cluster"]:
        from app.cluster.__main__ import main as run_cluster  # noqa: PLC0415 - a supervisor, not a worker

        return run_cluster(words[1:])
    parser = argparse.ArgumentParser(prog="python -m app", description="Self-hosted speech to text.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands)
    _add_transcribe(commands)
    commands.add_parser("cluster", help="run several workers behind one nginx; has a --help of its own")
    _add_streaming(commands)
    _add_listen(commands)
    commands.add_parser("doctor", help="say what this machine and configuration will do")
    arguments = parser.parse_args(words)
    if arguments.command == "serve":
        from app.start import run  # noqa: PLC0415 - not needed to print the help

        given = {key: value for key in ("host", "port") if (value := getattr(arguments, key)) is not None}
        return run(demo=arguments.demo, **given)
    if arguments.command == "streaming":
        from app.streaming.__main__ import serve  # noqa: PLC0415 - the gateway needs no engine, the engine no gateway

        return serve(host=arguments.host, port=arguments.port)
    if arguments.command == "listen":
        from app.streaming.listen import run as listen  # noqa: PLC0415 - as above

        return listen(arguments)
    from app.start import tune  # noqa: PLC0415 - what follows runs the model

    tune()
    if arguments.command == "doctor":
        from app.doctor import examine  # noqa: PLC0415 - as above

        return examine()
    from app.cli import transcribe_files  # noqa: PLC0415 - nor the model to print the help

    return transcribe_files(
        arguments.files,
        file_format=arguments.format,
        language=arguments.language,
        model=arguments.model,
        output_dir=arguments.output_dir,
    )


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="run the HTTP server, as main.py does")
    serve.add_argument("--host", help="address to listen on (HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (PORT)")
    serve.add_argument(
        "--demo",
        action="store_true",
        help="use the bundled demo model unless MODEL_SIZE is set; print a first step",
    )


def _add_streaming(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    streaming = commands.add_parser("streaming", help="run the WhisperLive-compatible live gateway")
    streaming.add_argument("--host", help="address to listen on (STREAMING_HOST)")
    streaming.add_argument("--port", type=int, help="port to listen on (STREAMING_PORT)")


def _add_listen(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listen = commands.add_parser("listen", help="stream a file or a pipe to a live gateway and watch the text")
    listen.add_argument("file", metavar="FILE", help="a WAV file, or - for raw 16-bit mono 16 kHz samples")
    listen.add_argument("--url", default="ws://127.0.0.1:9090", help="the gateway; default ws://127.0.0.1:9090")
    listen.add_argument("--language", help="language spoken, for example en; default: detect")
    listen.add_argument("--task", choices=("transcribe", "translate"), default="transcribe")
    listen.add_argument("--prompt", help="names and words to expect")
    listen.add_argument("--srt", type=Path, metavar="FILE", help="also write the final lines as subtitles")
    listen.add_argument("--speed", type=float, default=1.0, help="how much faster than real time a file is sent")
    listen.add_argument("--key", default="", help="key of the gateway (STREAMING_API_KEY)")


def _add_transcribe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    transcribe = commands.add_parser("transcribe", help="transcribe files without a server")
    transcribe.add_argument("files", nargs="+", metavar="FILE", help="audio or video files")
    transcribe.add_argument("--format", choices=("txt", "srt", "vtt", "json"), default="txt")
    transcribe.add_argument("--language", help="language spoken, for example en; default: detect")
    transcribe.add_argument("--model", help="size, hub id or directory (MODEL_SIZE)")
    transcribe.add_argument("--output-dir", help="write FILE's text there instead of printing it")


if __name__ == "__main__":
    from app.start import leave

    try:
        leave(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201 - an answer to Ctrl-C, not a log line
        leave(130)
