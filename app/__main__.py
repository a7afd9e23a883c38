"""`python -m app`: serve, transcribe files without a server, or examine this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Self-hosted speech to text.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands)
    _add_transcribe(commands)
    commands.add_parser("doctor", help="say what this machine and configuration will do")
    arguments = parser.parse_args(argv)
    if arguments.command == "serve":
        from app.start import run  # noqa: PLC0415 - not needed to print the help

        given = {key: value for key in ("host", "port") if (value := getattr(arguments, key)) is not None}
        return run(demo=arguments.demo, **given)
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
