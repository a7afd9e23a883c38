"""`make bench`: compare the worker with the plain design in one run, in alternating rounds.

The model is tiny.en, or a real architecture with random weights that returns as many tokens as such a clip would
have. For each number of clients the designs run in turn (A B A B) while all stay loaded, so that other load on the
machine affects them alike. Silence removal is off in both: each design has its own settings for it, so they would
transcribe different audio and the texts could not be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import itertools
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench import contenders, identity, report
from bench.accuracy.model import real_model
from bench.arithmetic import Round, identical_share, pool, ratio
from bench.clips import clips
from bench.contenders import Conditions, Contender
from bench.engine import N_CLIPS
from bench.processes import ROOT, StartFailure
from bench.random_model import ARCHITECTURES, cached_model
from bench.report import CellResult

# Spoken text: about 2.5 words a second, 1.3 tokens a word.
TOKENS_PER_S = 10 / 3
# The model with real weights; other names are architectures with random weights.
REAL = "tiny.en"
OPENVINO = ROOT / ".cache" / "openvino"
# Clips that the default audio context shortens; longer ones are measured once.
SHORT_S = 20.0
# The number of clients at which the worker is compared with its engine.
ENGINE_CLIENTS = 8
WARM_UP_REQUESTS = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes:
        clips_s, clients: every pair of them is a cell.
        rounds: rounds of each design in each cell.
        limit_s: a round sends no further request after this time.
        budget_s: no further cell is begun after this time.
        requests_per_client: of one round, but at least `least_requests` and at most `most_requests` in all.
    """

    clips_s: tuple[float, ...]
    clients: tuple[int, ...]
    rounds: int
    limit_s: float
    budget_s: float
    requests_per_client: int
    least_requests: int
    most_requests: int

    def n_requests(self, clients: int) -> int:
        """Return the requests of one round; each client has at least one."""
        return max(min(self.requests_per_client * clients, self.most_requests), self.least_requests, clients)


FULL = Plan(
    clips_s=(30, 7, 15), clients=(1, 2, 4, 8, 16), rounds=2, limit_s=45, budget_s=1300,
    requests_per_client=2, least_requests=4, most_requests=16,
)  # fmt: skip
QUICK = Plan(
    clips_s=(30, 7), clients=(1, 8), rounds=1, limit_s=20, budget_s=130,
    requests_per_client=1, least_requests=2, most_requests=16,
)  # fmt: skip


def n_tokens(clip_s: float) -> int:
    """Return the number of tokens of speech of this length."""
    return round(clip_s * TOKENS_PER_S)


def model_directory(name: str, clip_s: float) -> Path:
    """Return the directory of the model for clips of this length.

    Raises:
        StartFailure: tiny.en is not installed.
    """
    if name != REAL:
        return cached_model(name, n_tokens=n_tokens(clip_s))
    found = real_model()
    if found is None:
        raise StartFailure("tiny.en is not installed; run `make setup`, or name its directory in ACCURACY_MODEL")
    return found


def measure_cell(
    running: Mapping[str, Contender], *, model: str, conditions: Conditions, clients: int, plan: Plan
) -> list[CellResult]:
    """Measure every design at one load, in alternating rounds."""
    rounds: dict[str, list[Round]] = {design: [] for design in running}
    for _ in range(plan.rounds):
        for design, contender in running.items():
            rounds[design].append(contender.round(clients=clients, n_requests=plan.n_requests(clients)))
    figures = {
        design: pool(each, clip_s=conditions.clip_s, n_cores=os.cpu_count() or 1) for design, each in rounds.items()
    }
    stock = figures["stock"]
    return [
        CellResult(
            model=model,
            clip_s=conditions.clip_s,
            clients=clients,
            design=design,
            figures=figures[design],
            x_stock=None if design == "stock" else ratio(figures[design].windows_per_s, stock.windows_per_s),
            x_stock_cpu=None if design == "stock" else ratio(stock.cpu_s_per_window, figures[design].cpu_s_per_window),
            same_text=None if design == "stock" else identical_share(rounds[design], rounds["stock"]),
        )
        for design in running
    ]


def measure_clip(
    model: str,
    conditions: Conditions,
    plan: Plan,
    workers: Mapping[str, Mapping[str, str]],
    args: argparse.Namespace,
    *,
    until_s: float,
) -> list[CellResult]:
    """Measure one model and clip length with every number of clients.

    Args:
        model: its name.
        conditions: the settings that all designs share.
        plan: how much is measured.
        workers: name of each worker -> its environment; the first one's engine is measured, too.
        args: the command line.
        until_s: no further cell is begun after this time, on the monotonic clock.
    """
    files = clips(conditions.clip_s, N_CLIPS, args.set)
    results: list[CellResult] = []
    with contextlib.ExitStack() as stack:
        running: dict[str, Contender] = {"stock": stack.enter_context(contenders.stock(conditions, files))}
        for name, env in workers.items():
            running[name] = stack.enter_context(contenders.worker(conditions, files, env))
        engine_env = next(iter(workers.values()))
        engine = stack.enter_context(
            contenders.bare_engine(conditions, engine_env, clients=ENGINE_CLIENTS, recordings=args.set)
        )
        for contender in (*running.values(), engine):
            contender.round(clients=WARM_UP_REQUESTS, n_requests=WARM_UP_REQUESTS)
        for clients in plan.clients:
            if time.monotonic() > until_s:
                print(f"{conditions.clip_s:g} s, {clients} clients: skipped, the time budget is used up", flush=True)
                continue
            here = running | ({"engine": engine} if clients == ENGINE_CLIENTS else {})
            results += measure_cell(here, model=model, conditions=conditions, clients=clients, plan=plan)
            print(report.table(results[-len(here) :]), end="\n\n", flush=True)
    return results


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two loads, two lengths, under three minutes")
    parser.add_argument(
        "--model", nargs="+", default=["base"], choices=(REAL, *ARCHITECTURES),
        help="tiny.en with its real weights, or architectures with random weights",
    )  # fmt: skip
    parser.add_argument("--set", type=Path, help="folder of recordings to cut clips from; default: synthetic speech")
    parser.add_argument(
        "--openvino", nargs="?", type=Path, const=OPENVINO, metavar="FOLDER",
        help="measure a worker with OpenVINO, too, and where it is installed; default: .cache/openvino",
    )  # fmt: skip
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--clips", type=float, nargs="+", metavar="SECONDS", help="lengths of clips")
    parser.add_argument("--clients", type=int, nargs="+", help="requests in flight")
    parser.add_argument("--rounds", type=int, help="rounds of each design")
    parser.add_argument("--requests", type=int, help="requests of each client in a round")
    parser.add_argument("--language", default="en", help="language of every request; '' = both designs detect it")
    parser.add_argument(
        "--fail-fast", action="store_true", help="busy designs answer 503 instead of letting requests wait"
    )
    parser.add_argument("--worker-env", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the worker")
    parser.add_argument("--name", help="name of the result files; default: the date")
    return parser.parse_args(argv)


def plan_of(args: argparse.Namespace) -> Plan:
    """Return what the command line asks for."""
    plan = QUICK if args.quick else FULL
    return replace(
        plan,
        clips_s=tuple(args.clips or plan.clips_s),
        clients=tuple(args.clients or plan.clients),
        rounds=args.rounds or plan.rounds,
        requests_per_client=args.requests or plan.requests_per_client,
        most_requests=args.requests * max(args.clients or plan.clients) if args.requests else plan.most_requests,
    )


def workers_of(args: argparse.Namespace, clip_s: float) -> dict[str, dict[str, str]]:
    """Return the workers to measure with clips of this length: name -> environment."""
    env = dict(pair.split("=", 1) for pair in args.worker_env)
    plain = {"ENCODER": "ctranslate2", **env}
    workers = {"worker": {"AUDIO_CONTEXT": "full", **plain}}  # encodes what the plain design encodes
    if clip_s < SHORT_S:
        workers["worker auto"] = plain
    if args.openvino:
        workers["worker openvino"] = {**env, "ENCODER": "openvino", "PYTHONPATH": str(args.openvino.resolve())}
    return workers


def run(args: argparse.Namespace) -> None:
    """Measure every model and clip length, then compare texts alone and under load; write the result."""
    plan = plan_of(args)
    facts = report.circumstances()
    until_s = time.monotonic() + plan.budget_s
    results: list[CellResult] = []
    for model, clip_s in itertools.product(args.model, plan.clips_s):
        conditions = Conditions(
            model=model_directory(model, clip_s),
            clip_s=clip_s,
            compute_type=args.compute_type,
            beam_size=args.beam_size,
            language=args.language or None,
            fail_fast=args.fail_fast,
            limit_s=plan.limit_s,
        )
        results += measure_clip(model, conditions, plan, workers_of(args, clip_s), args, until_s=until_s)
    # folders of this machine say nothing to a reader
    arguments = {name: value.name if isinstance(value, Path) else value for name, value in vars(args).items()}
    facts |= {"arguments": arguments, "plan": asdict(plan), "tokens": {f"{s:g} s": n_tokens(s) for s in plan.clips_s}}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    worker_env = dict(pair.split("=", 1) for pair in args.worker_env)
    facts["identity"] = found = identity.measure(worker_env)
    print(f"same text on the demo model: {found['same_text']:.0%} of {found['samples']} samples")
    if args.set:
        facts["under_load"] = loaded = identity.alone_and_under_load(args.set, worker_env)
        print(f"texts that differ under load: {loaded['differing']} of {loaded['answers']}")
    path = report.write(results, facts, name=args.name or (f"{today}-quick" if args.quick else today))
    for name, value in report.headlines(results).items():
        print(f"{name}: {value:.2f}")
    print(f"written: {path.relative_to(ROOT)} and its plot")


def main() -> None:
    """Run the benchmark and write its result; if a design does not start, exit with one line."""
    try:
        run(parse(sys.argv[1:]))
    except StartFailure as exc:
        sys.exit(f"error: {exc}")
