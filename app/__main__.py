"""`python -m app COMMAND`: the command line. Each command is a file in `app/commands`, imported when it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from app.ops.process import exit_now


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    # These commands parse their own arguments; `healthcheck` runs too often to build every parser each time.
    if argv and (run_standalone := STANDALONE.get(argv[0])):
        return run_standalone(argv[1:])
    arguments = _parser().parse_args(argv)
    return COMMANDS[arguments.command](arguments)


def _cluster(argv: Sequence[str]) -> int:
    from app.commands.cluster import main as cluster  # noqa: PLC0415 - no other command needs the supervisor

    return cluster(argv)


def _collector(argv: Sequence[str]) -> int:
    from app.commands.collector_keys import main as collector  # noqa: PLC0415 - no other command needs the database

    return collector(argv)


def _healthcheck(argv: Sequence[str]) -> int:
    from app.commands.healthcheck import main as healthcheck  # noqa: PLC0415 - imports only the standard library

    return healthcheck(argv)


def _keys(argv: Sequence[str]) -> int:
    from app.commands.keys import main as keys  # noqa: PLC0415 - not needed to print the help

    return keys(argv)


def _models(argv: Sequence[str]) -> int:
    from app.commands.models import main as models  # noqa: PLC0415 - not needed to print the help

    return models(argv)


def _monitor(argv: Sequence[str]) -> int:
    from app.commands.monitor import main as monitor  # noqa: PLC0415 - no other command needs it

    return monitor(argv)


def _serve(arguments: argparse.Namespace) -> int:
    from app.commands.serve import run  # noqa: PLC0415 - imports the engine

    given = {
        key: value for key in ("host", "port", "served_model_name") if (value := getattr(arguments, key)) is not None
    }
    return run(demo=arguments.demo, local_model=arguments.local_model, **given)


def _streaming(arguments: argparse.Namespace) -> int:
    from app.commands.streaming import serve  # noqa: PLC0415 - the gateway runs without the engine, and vice versa

    return serve(host=arguments.host, port=arguments.port)


def _collect(arguments: argparse.Namespace) -> int:
    from app.commands.collect import serve  # noqa: PLC0415 - no other command needs Redis and the database

    return serve(host=arguments.host, port=arguments.port, consume=not arguments.no_consume, api=not arguments.no_api)


def _listen(arguments: argparse.Namespace) -> int:
    from app.commands.listen import run  # noqa: PLC0415 - no other command needs the live client

    return run(arguments)


def _doctor(_: argparse.Namespace) -> int:
    from app.commands.serve import apply_tuning  # noqa: PLC0415 - before the engine is imported

    apply_tuning()
    from app.commands import doctor  # noqa: PLC0415 - imports the engine, after the tuning

    return doctor.run()


def _transcribe(arguments: argparse.Namespace) -> int:
    from app.commands.serve import apply_tuning  # noqa: PLC0415 - before the engine is imported

    apply_tuning()
    from app.commands.transcribe import transcribe_files  # noqa: PLC0415 - imports the engine, after the tuning

    return transcribe_files(
        arguments.files,
        file_format=arguments.format,
        language=arguments.language,
        model=arguments.model,
        output_dir=arguments.output_dir,
    )


STANDALONE: dict[str, Callable[[Sequence[str]], int]] = {
    "cluster": _cluster,
    "collector": _collector,
    "healthcheck": _healthcheck,
    "keys": _keys,
    "models": _models,
    "monitor": _monitor,
}
COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "serve": _serve,
    "transcribe": _transcribe,
    "streaming": _streaming,
    "collect": _collect,
    "listen": _listen,
    "doctor": _doctor,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Self-hosted speech to text.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_serve(commands)
    _add_transcribe(commands)
    commands.add_parser("cluster", help="run several workers behind one nginx; see `cluster --help`")
    commands.add_parser("monitor", help="watch the local cluster with Prometheus; see `monitor --help`")
    _add_streaming(commands)
    _add_collect(commands)
    commands.add_parser("collector", help="make keys of the transcript API; see `collector --help`")
    _add_listen(commands)
    commands.add_parser("keys", help="make API keys with limits, and check a keys file; see `keys --help`")
    commands.add_parser("doctor", help="check this machine and configuration, and measure the model")
    commands.add_parser("models", help="download a model, or name the best one here; see `models --help`")
    commands.add_parser("healthcheck", help="exit with 0 if the local server answers 200: `healthcheck [PATH]`")
    return parser


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser("serve", help="run one worker: the HTTP server, like main.py")
    serve.add_argument("--host", help="address to listen on (HOST)")
    serve.add_argument("--port", type=int, help="port to listen on (PORT)")
    serve.add_argument("--served-model-name", help="public name of the model (SERVED_MODEL_NAME)")
    unset = serve.add_mutually_exclusive_group()
    unset.add_argument(
        "--local-model",
        action="store_true",
        help="unless MODEL_SIZE is set, use the best model that needs no download, and print an example request",
    )
    unset.add_argument("--demo", action="store_true", help="the same with the bundled demo model")


def _add_streaming(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    streaming = commands.add_parser("streaming", help="run the WhisperLive-compatible live gateway")
    streaming.add_argument("--host", help="address to listen on (STREAMING_HOST)")
    streaming.add_argument("--port", type=int, help="port to listen on (STREAMING_PORT)")


def _add_collect(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    collect = commands.add_parser("collect", help="store the transcripts of live gateways, and serve them")
    collect.add_argument("--host", help="address to listen on (COLLECTOR_HOST)")
    collect.add_argument("--port", type=int, help="port to listen on (COLLECTOR_PORT)")
    collect.add_argument("--no-consume", action="store_true", help="serve stored transcripts, read no streams")
    collect.add_argument("--no-api", action="store_true", help="store only, without an HTTP server")


def _add_listen(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    listen = commands.add_parser("listen", help="stream a file or standard input to a live gateway and print the text")
    listen.add_argument("file", metavar="FILE", help="a WAV file, or - for raw 16-bit mono 16 kHz samples")
    listen.add_argument("--url", default="ws://127.0.0.1:9090", help="URL of the gateway (default ws://127.0.0.1:9090)")
    listen.add_argument("--language", help="spoken language, for example en (default: detected)")
    listen.add_argument(
        "--task", choices=("transcribe", "translate"), default="transcribe", help="translate: into English"
    )
    listen.add_argument("--prompt", help="names and words that the audio may contain")
    listen.add_argument("--srt", type=Path, metavar="FILE", help="also write the final lines to FILE as SRT subtitles")
    listen.add_argument("--speed", type=float, default=1.0, help="speed of sending a file; 1 is real time (default)")
    listen.add_argument("--key", default="", help="API key of the gateway (STREAMING_API_KEY)")


def _add_transcribe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    transcribe = commands.add_parser("transcribe", help="transcribe files without a server")
    transcribe.add_argument("files", nargs="+", metavar="FILE", help="audio or video files")
    transcribe.add_argument(
        "--format", choices=("txt", "srt", "vtt", "json"), default="txt", help="output format (default txt)"
    )
    transcribe.add_argument("--language", help="spoken language, for example en (default: detected)")
    transcribe.add_argument("--model", help="size, hub id or directory of the model (MODEL_SIZE)")
    transcribe.add_argument("--output-dir", help="directory for one output file per FILE; default: print the text")


if __name__ == "__main__":
    try:
        exit_now(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)  # noqa: T201 - the command's output
        exit_now(130)
