"""`make bench`: compare the worker with the plain design in one run, in alternating rounds.

For each clip length a random model returns as many tokens as such a clip would have. For each number of clients the
designs run in turn (A B A B) while all stay loaded, so that other load on the machine affects them alike. Silence
removal is off in both: each design has its own settings for it, so they would transcribe different audio and the texts
could not be compared.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from bench import contenders, identity, report
from bench.arithmetic import Round, identical_share, pool, ratio
from bench.clips import clips
from bench.contenders import Conditions, Contender
from bench.engine import N_CLIPS
from bench.processes import ROOT, StartFailure
from bench.random_model import ARCHITECTURES, cached_model
from bench.report import CellResult

# Spoken text: about 2.5 words a second, 1.3 tokens a word.
TOKENS_PER_S = 10 / 3
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
    """

    clips_s: tuple[float, ...]
    clients: tuple[int, ...]
    rounds: int
    limit_s: float
    budget_s: float


FULL = Plan(clips_s=(30, 5, 15), clients=(1, 2, 4, 8, 16), rounds=2, limit_s=45, budget_s=1300)
QUICK = Plan(clips_s=(30, 5), clients=(1, 8), rounds=1, limit_s=20, budget_s=130)


def n_requests(clients: int, *, quick: bool) -> int:
    """Return the requests of one round: two per client, and one per client at the largest load."""
    return max(clients, 2) if quick else max(min(2 * clients, 16), 4)


def n_tokens(clip_s: float) -> int:
    """Return the number of tokens of speech of this length."""
    return round(clip_s * TOKENS_PER_S)


def measure_cell(
    running: Mapping[str, Contender], *, conditions: Conditions, clients: int, plan: Plan, quick: bool
) -> list[CellResult]:
    """Measure every design at one load, in alternating rounds."""
    rounds: dict[str, list[Round]] = {design: [] for design in running}
    for _ in range(plan.rounds):
        for design, contender in running.items():
            rounds[design].append(contender.round(clients=clients, n_requests=n_requests(clients, quick=quick)))
    figures = {
        design: pool(each, clip_s=conditions.clip_s, n_cores=os.cpu_count() or 1) for design, each in rounds.items()
    }
    stock = figures["stock"].windows_per_s
    return [
        CellResult(
            clip_s=conditions.clip_s,
            clients=clients,
            design=design,
            figures=figures[design],
            x_stock=None if design == "stock" else ratio(figures[design].windows_per_s, stock),
            same_text=None if design == "stock" else identical_share(rounds[design], rounds["stock"]),
        )
        for design in running
    ]


def measure_clip(
    conditions: Conditions, plan: Plan, worker_env: Mapping[str, str], *, quick: bool, until_s: float
) -> list[CellResult]:
    """Measure one clip length with every number of clients."""
    files = clips(conditions.clip_s, N_CLIPS)
    full = {"AUDIO_CONTEXT": "full", **worker_env}  # encodes what the plain design encodes
    results: list[CellResult] = []
    with contextlib.ExitStack() as stack:
        running: dict[str, Contender] = {
            "stock": stack.enter_context(contenders.stock(conditions, files)),
            "worker": stack.enter_context(contenders.worker(conditions, files, full)),
        }
        if conditions.clip_s < SHORT_S:
            running["worker auto"] = stack.enter_context(contenders.worker(conditions, files, worker_env))
        engine = stack.enter_context(contenders.bare_engine(conditions, full, clients=ENGINE_CLIENTS))
        for contender in (*running.values(), engine):
            contender.round(clients=WARM_UP_REQUESTS, n_requests=WARM_UP_REQUESTS)
        for clients in plan.clients:
            if time.monotonic() > until_s:
                print(f"{conditions.clip_s:g} s, {clients} clients: skipped, the time budget is used up", flush=True)
                continue
            here = running | ({"engine": engine} if clients == ENGINE_CLIENTS else {})
            results += measure_cell(here, conditions=conditions, clients=clients, plan=plan, quick=quick)
            print(report.table(results[-len(here) :]), end="\n\n", flush=True)
    return results


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; exit with a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two loads, two lengths, under three minutes")
    parser.add_argument("--size", default="base", choices=ARCHITECTURES)
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--beam-size", type=int, default=5)
    parser.add_argument("--clips", type=float, nargs="+", metavar="SECONDS", help="lengths of clips")
    parser.add_argument("--clients", type=int, nargs="+", help="requests in flight")
    parser.add_argument("--language", default="en", help="language of every request; '' = both designs detect it")
    parser.add_argument(
        "--fail-fast", action="store_true", help="busy designs answer 503 instead of letting requests wait"
    )
    parser.add_argument("--worker-env", nargs="*", default=[], metavar="NAME=VALUE", help="settings of the worker")
    parser.add_argument("--name", help="name of the result files; default: the date")
    return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
    """Measure every clip length, then compare the texts of the demo model; write the result."""
    plan = QUICK if args.quick else FULL
    clips_s, clients = tuple(args.clips or plan.clips_s), tuple(args.clients or plan.clients)
    worker_env = dict(pair.split("=", 1) for pair in args.worker_env)
    facts = report.circumstances()
    until_s = time.monotonic() + plan.budget_s
    results: list[CellResult] = []
    for clip_s in clips_s:
        conditions = Conditions(
            model=cached_model(args.size, n_tokens=n_tokens(clip_s)),
            clip_s=clip_s,
            compute_type=args.compute_type,
            beam_size=args.beam_size,
            language=args.language or None,
            fail_fast=args.fail_fast,
            limit_s=plan.limit_s,
        )
        chosen = Plan(clips_s, clients, plan.rounds, plan.limit_s, plan.budget_s)
        results += measure_clip(conditions, chosen, worker_env, quick=args.quick, until_s=until_s)
    facts |= {"arguments": vars(args), "plan": asdict(plan), "tokens": {f"{s:g} s": n_tokens(s) for s in clips_s}}
    today = dt.datetime.now(dt.UTC).date().isoformat()
    facts["identity"] = identity.measure(worker_env)
    print(
        f"same text on the demo model: {facts['identity']['same_text']:.0%} of {facts['identity']['samples']} samples"
    )
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
