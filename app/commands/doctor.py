"""`python -m app doctor`: what this machine and this configuration will do, in plain words."""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass

import numpy as np

from app.core.errors import StartupError
from app.core.options import Options
from app.core.pcm import SAMPLE_RATE_HZ, Pcm
from app.engine.build import load_model, parallelism_for, slots_for, transcriber_of
from app.engine.whisper import cublas
from app.engine.whisper.model import Model, device_facts, warm_up
from app.ops import tuning
from app.ops.machine import available_cores
from app.settings.worker import WorkerSettings, load_settings

# A window that takes longer than it lasts cannot serve even one live speaker.
LIVE_WINDOW_S = 5.0
FEW_DESCRIPTORS = 1024
NAME_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; `worry` says what to do about it."""

    name: str
    value: str
    advice: str = ""


def examine() -> int:
    """Print the report and a verdict.

    Returns:
        0 if the worker would start, else 1.
    """
    try:
        settings = load_settings()
    except StartupError as exc:
        return no_start(str(exc))
    findings = machine(settings)
    show(findings)
    try:
        of_model = model_findings(settings)
    except StartupError as exc:
        trouble = str(exc)
    except RuntimeError as exc:  # a device that works for a call and not for the next
        trouble = f"MODEL_SIZE={settings.model_size} DEVICE={settings.device}: the model failed ({exc})"
    else:
        trouble = ""
        show(of_model)
        findings += of_model
    worries = [finding.advice for finding in findings if finding.advice]
    for advice in worries:
        say(f"note: {advice}")
    if trouble:
        return no_start(trouble)
    say(
        "verdict: the worker will start"
        + (f"; {len(worries)} thing(s) to look at above" if worries else " and run well")
    )
    return 0


def no_start(reason: str) -> int:
    """Print that verdict; return its exit code."""
    say(f"verdict: the worker will not start: {reason}")
    return 1


def show(findings: list[Finding]) -> None:
    """Print one line each."""
    for finding in findings:
        say(f"{finding.name:<{NAME_WIDTH}}  {finding.value}")


def machine(settings: WorkerSettings) -> list[Finding]:
    """Device, instruction set, allocator, threads and limits."""
    facts = device_facts()
    cores = available_cores()
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    tuned = tuning.applied(os.environ)
    return [
        Finding("python", sys.version.split()[0]),
        Finding("cores", f"{cores} usable of {os.cpu_count()}"),
        Finding("GPUs", str(facts.n_gpus)),
        Finding("arithmetic on cpu", ", ".join(facts.cpu_compute_types)),
        Finding("arithmetic on cuda", ", ".join(facts.cuda_compute_types) or "no GPU"),
        Finding("cuBLAS", *cublas_found(facts.n_gpus)),
        Finding("instruction set", instruction_set(tuning.cpu_flags(), os.environ.get("CT2_FORCE_CPU_ISA"))),
        Finding(
            "allocator",
            allocator(os.environ.get("GLIBC_TUNABLES", "")),
            "" if tuned or not settings.cpu_tuning else "CPU tuning could not be applied on this system",
        ),
        Finding("BLAS threads", os.environ.get("OPENBLAS_NUM_THREADS", "all cores")),
        Finding(
            "open files allowed",
            str(descriptors),
            f"raise the limit of open files (now {descriptors}): ulimit -n 65535"
            if descriptors < FEW_DESCRIPTORS
            else "",
        ),
        Finding("keys", f"{len(settings.keys)}", "" if settings.keys else "no API_KEYS: everybody may use this server"),
    ]


def model_findings(settings: WorkerSettings) -> list[Finding]:
    """Load the model, time it on five seconds of sound, and compare with real time.

    Raises:
        StartupError: the model cannot be loaded, or its first call fails.
    """
    if settings.model_size == "fake":
        return [Finding("model", "fake: no model at all, for tests of the plumbing")]
    started = time.monotonic()
    model = load_model(settings)
    loaded_s = time.monotonic() - started
    warm_up(model)
    spread = parallelism_for(settings, model.device)
    window_s = timed(model, settings)
    slow = window_s > LIVE_WINDOW_S
    return [
        Finding("model", f"{model.name} on {model.device}, loaded in {loaded_s:.1f} s"),
        Finding("compute type", f"{model.compute_type} (asked: {model.compute_type_asked})"),
        Finding("replicas x threads", f"{spread.replicas} x {spread.threads}, up to {spread.max_batch} windows a call"),
        Finding("slots", str(slots_for(settings, model.device))),
        Finding(
            "one window of 5 s",
            f"{window_s:.2f} s ({LIVE_WINDOW_S / window_s:.1f} x real time)",
            "too slow for live text: choose a smaller MODEL_SIZE (small, base) or AUDIO_CONTEXT=auto" if slow else "",
        ),
    ]


def timed(model: Model, settings: WorkerSettings) -> float:
    """Seconds of wall clock for one window, after a warm-up."""
    transcriber = transcriber_of(model, settings)
    pcm = hum()
    options = Options(language="en", vad_filter=False, tier="realtime")
    try:
        for _ in range(2):
            started = time.monotonic()
            list(transcriber.events(pcm, options, lambda: False))
        return time.monotonic() - started
    finally:
        transcriber.close()


def hum() -> Pcm:
    """Five seconds of a buzzing tone, [n_samples] float32."""
    at_s = np.arange(int(LIVE_WINDOW_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.3 * np.sign(np.sin(2 * np.pi * 140 * at_s)) * np.sin(2 * np.pi * 3 * at_s)).astype(np.float32)


def cublas_found(n_gpus: int) -> tuple[str, str]:
    """Whether CTranslate2 will find cuBLAS, and what to do if not; only a GPU needs it."""
    if n_gpus == 0:
        return "not needed without a GPU", ""
    if cublas.preload():
        return cublas.NAME, ""
    return f"{cublas.NAME} is missing", f"without cuBLAS the GPU stays idle: {cublas.REMEDY}"


def allocator(tunables: str) -> str:
    """What glibc was told; only the settings of app/tuning.py make it keep its memory."""
    if tunables == tuning.MALLOC:
        return "glibc, keeping its memory, huge pages"
    return f"glibc, GLIBC_TUNABLES={tunables}" if tunables else "as the system has it"


def instruction_set(flags: frozenset[str], forced: str | None) -> str:
    """What the CPU has, and what CTranslate2 was told to use."""
    best = next((name for name in ("avx512_vnni", "avx512f", "avx2", "avx") if name in flags), "generic")
    return f"{best}, CTranslate2 told to use {forced}" if forced else f"{best}, CTranslate2 chooses"


def say(line: str) -> None:
    """Print a line of the report."""
    print(line)  # noqa: T201 - the report is the command's output
