"""`python -m app doctor`: report what this machine and this configuration will do."""

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
from app.engine.build import encoder_of, load_model, parallelism_for, slots_for, transcriber_of
from app.engine.whisper import cublas
from app.engine.whisper.encoders.choose import INSTALL, NOT_INSTALLED, OPENVINO, Encoder
from app.engine.whisper.model import Model, device_facts, warm_up
from app.ops import tuning
from app.ops.keys_file import KeysFile
from app.ops.machine import available_cores
from app.settings.worker import WorkerSettings, load_settings

# A window that takes longer than it lasts cannot serve even one live speaker.
LIVE_WINDOW_S = 5.0
FEW_DESCRIPTORS = 1024
NAME_WIDTH = 18
OPEN_SERVER = "no API_KEYS are set: anyone who can reach this server can use it"


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line of the report; `advice` is "" unless something should be changed."""

    name: str
    value: str
    advice: str = ""


def run() -> int:
    """Print the report and a verdict.

    Returns:
        0 if the worker would start, else 1.
    """
    try:
        settings = load_settings()
    except StartupError as exc:
        return print_failure(str(exc))
    report = machine_report(settings)
    print_lines(report)
    try:
        of_model = model_report(settings)
    except StartupError as exc:
        failure = str(exc)
    except RuntimeError as exc:  # a device that fails after the first call
        failure = f"MODEL_SIZE={settings.model_size} DEVICE={settings.device}: the model failed ({exc})"
    else:
        failure = ""
        print_lines(of_model)
        report += of_model
    notes = [line.advice for line in report if line.advice]
    for note in notes:
        print_line(f"note: {note}")
    if failure:
        return print_failure(failure)
    remark = f"; see the {len(notes)} note(s) above" if notes else " and run well"
    print_line(f"verdict: the worker will start{remark}")
    return 0


def print_failure(reason: str) -> int:
    """Print the verdict that the worker will not start; return the exit code for it."""
    print_line(f"verdict: the worker will not start: {reason}")
    return 1


def print_lines(report: list[ReportLine]) -> None:
    """Print a report as two columns."""
    for line in report:
        print_line(f"{line.name:<{NAME_WIDTH}}  {line.value}")


def machine_report(settings: WorkerSettings) -> list[ReportLine]:
    """Return what is known of device, instruction set, allocator, threads and limits."""
    facts = device_facts()
    cores = available_cores()
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    tuned = tuning.applied(os.environ)
    forced_isa = os.environ.get("CT2_FORCE_CPU_ISA")
    return [
        ReportLine("python", sys.version.split()[0]),
        ReportLine("cores", f"{cores} usable of {os.cpu_count()}"),
        ReportLine("GPUs", str(facts.n_gpus)),
        ReportLine("compute types, CPU", ", ".join(facts.cpu_compute_types)),
        ReportLine("compute types, GPU", ", ".join(facts.cuda_compute_types) or "no GPU"),
        ReportLine("cuBLAS", *cublas_status(facts.n_gpus)),
        ReportLine("instruction set", describe_instruction_set(tuning.cpu_flags(), forced_isa)),
        ReportLine(
            "allocator",
            describe_allocator(os.environ.get("GLIBC_TUNABLES", "")),
            "" if tuned or not settings.cpu_tuning else "CPU tuning could not be applied on this system",
        ),
        ReportLine("BLAS threads", os.environ.get("OPENBLAS_NUM_THREADS", "all cores")),
        ReportLine(
            "open files allowed",
            str(descriptors),
            f"raise the limit of open files (now {descriptors}): ulimit -n 65535"
            if descriptors < FEW_DESCRIPTORS
            else "",
        ),
        ReportLine("keys", _keys(settings), "" if settings.key_required else OPEN_SERVER),
    ]


def _keys(settings: WorkerSettings) -> str:
    """How many keys are accepted, or why the keys file is not."""
    if not settings.api_keys_file:
        return str(len(settings.keys))
    try:
        n_named = len(KeysFile(settings.api_keys_file).load())
    except StartupError as error:
        return str(error)
    return f"{len(settings.keys)}, and {n_named} in {settings.api_keys_file}"


def model_report(settings: WorkerSettings) -> list[ReportLine]:
    """Load the model, time it on five seconds of sound, and compare that with real time.

    Raises:
        StartupError: the model cannot be loaded, or its first call fails.
    """
    if settings.model_size == "fake":
        return [ReportLine("model", "fake: no speech recognition, for tests")]
    started = time.monotonic()
    model = load_model(settings)
    loaded_s = time.monotonic() - started
    warm_up(model)
    spread = parallelism_for(settings, model.device)
    encoder = encoder_of(model, settings)
    window_s = time_window(model, settings, encoder)
    slow = window_s > LIVE_WINDOW_S
    return [
        ReportLine("model", f"{model.name} on {model.device}, loaded in {loaded_s:.1f} s"),
        ReportLine("compute type", f"{model.compute_type} (requested: {model.compute_type_asked})"),
        encoder_line(encoder, settings.encoder),
        ReportLine(
            "replicas x threads", f"{spread.replicas} x {spread.threads}, up to {spread.max_batch} windows per call"
        ),
        ReportLine("slots", str(slots_for(settings, model.device))),
        ReportLine(
            "one window of 5 s",
            f"{window_s:.2f} s ({LIVE_WINDOW_S / window_s:.1f} x real time)",
            "too slow for live text: choose a smaller MODEL_SIZE (small, base)" if slow else "",
        ),
    ]


def encoder_line(encoder: Encoder, asked: str) -> ReportLine:
    """Return what runs the encoder and why, and what is advised if it is not what was asked for, or could be faster."""
    advice = ""
    if asked == OPENVINO != encoder.name:
        advice = f"ENCODER=openvino is not possible: {encoder.reason}"
    elif encoder.reason == NOT_INSTALLED:
        advice = "OpenVINO runs the encoder in about a third of the CPU time"
    if encoder.reason == NOT_INSTALLED:
        advice += f"; {INSTALL}"
    return ReportLine("encoder", f"{encoder.name}: {encoder.reason}", advice)


def time_window(model: Model, settings: WorkerSettings, encoder: Encoder) -> float:
    """Return the seconds that one window takes, after a warm-up."""
    transcriber = transcriber_of(model, settings, encoder=encoder)
    pcm = pulsed_tone()
    options = Options(language="en", vad_filter=False, tier="realtime")
    try:
        for _ in range(2):
            started = time.monotonic()
            list(transcriber.events(pcm, options, lambda: False))
        return time.monotonic() - started
    finally:
        transcriber.close()


def pulsed_tone() -> Pcm:
    """Return five seconds of a pulsed square wave, [n_samples] float32."""
    at_s = np.arange(int(LIVE_WINDOW_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return (0.3 * np.sign(np.sin(2 * np.pi * 140 * at_s)) * np.sin(2 * np.pi * 3 * at_s)).astype(np.float32)


def cublas_status(n_gpus: int) -> tuple[str, str]:
    """Return whether CTranslate2 will find cuBLAS, and the remedy if not; only a GPU needs it."""
    if n_gpus == 0:
        return "not needed without a GPU", ""
    if cublas.preload():
        return cublas.NAME, ""
    return f"{cublas.NAME} is missing", f"the GPU cannot be used without cuBLAS: {cublas.REMEDY}"


def describe_allocator(tunables: str) -> str:
    """Return how glibc is configured; only the settings of app/ops/tuning.py make it keep its memory."""
    if tunables == tuning.MALLOC:
        return "glibc, keeping its memory, huge pages"
    return f"glibc, GLIBC_TUNABLES={tunables}" if tunables else "the system's default"


def describe_instruction_set(flags: frozenset[str], forced: str | None) -> str:
    """Return the best instruction set of the CPU, and who chooses the one that CTranslate2 uses."""
    best = next((name for name in ("avx512_vnni", "avx512f", "avx2", "avx") if name in flags), "generic")
    return f"{best}, CTranslate2 is set to {forced}" if forced else f"{best}, chosen by CTranslate2"


def print_line(line: str) -> None:
    """Print a line of the report."""
    print(line)  # noqa: T201 - the report is the command's output
