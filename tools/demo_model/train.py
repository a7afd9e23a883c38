"""Command `train`: one worker process per core, or one on a GPU.

Workers take groups of windows from a common list until the step's list is empty, so a worker
that loses its core to other work delays the others by at most one group. Each has a single
thread: OpenMP's barriers inside every operation are what makes training crawl beside other load.
Waiting is passive, and a stopped process (SIGSTOP) only makes the others wait.
SIGTERM or Ctrl-C ends the run after the step, with a checkpoint.
"""

import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier, Lock
from pathlib import Path

import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from torch import Tensor

from tools.demo_model import curves
from tools.demo_model.batches import Batch, LogMel, Speech, seconds
from tools.demo_model.model import Shape, Whisper, guidance
from tools.demo_model.optimizer import SharedOptimizer, shared_zeros
from tools.demo_model.progress import Log, Sums
from tools.demo_model.schedule import Schedule
from tools.demo_model.targets import NO_LABEL
from tools.demo_model.windows import Planner, Window, pack

LOG_EVERY = 20
DECODER = ("decoder", "tokens", "text_positions")  # begins the names of its parameters


@dataclass(frozen=True, slots=True)
class Settings:
    """How to train.

    Attributes:
        data: folder with `speech/` and `tokenizer.json`.
        out: folder of the checkpoint and the curves.
        workers: processes; 1 on a GPU.
        device: "cpu" or "cuda".
        step_s: seconds of encoder input in a step.
        group_s: seconds of encoder input in one forward pass.
        save_every_s: time between checkpoints.
        seed: of every choice; a run that goes on with another one's weights wants another.
        decoder_alone: train only the decoder, which learns the spelling; a step takes half the time.
    """

    data: Path
    out: Path
    workers: int
    device: str
    step_s: float = 100.0
    group_s: float = 25.0
    save_every_s: float = 240.0
    seed: int = 0
    decoder_alone: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """The state that the workers share."""

    speech: Speech
    model: Whisper
    optimizer: SharedOptimizer
    sums: Sums
    barrier: Barrier
    next_group: Tensor
    stop_asked: Tensor
    stopping: Tensor
    lock: Lock
    first_step: int


class Worker:
    """One process's part of the training."""

    def __init__(self, number: int, settings: Settings, schedule: Schedule, shared: Shared) -> None:
        self._number = number
        self._settings = settings
        self._schedule = schedule
        self._shared = shared
        self._device = torch.device(settings.device)
        self._speech = shared.speech
        self._planner = Planner(self._speech.lengths)
        self._log_mel = LogMel(self._device)

    def run(self) -> None:
        """Train from the shared first step to the end of the schedule."""
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        shared, optimizer = self._shared, self._shared.optimizer
        optimizer.attach(self._number)
        log = Log(self._settings.out / "loss.csv", self._settings.step_s, shared.first_step)
        saved_at = time.monotonic()
        for step in range(shared.first_step, self._schedule.steps):
            self._step(step)
            shared.barrier.wait()
            optimizer.gather(self._number)
            if self._number == 0:
                shared.next_group[0] = 0
                shared.stopping[0] = shared.stop_asked[0]
            shared.barrier.wait()
            optimizer.update(self._number, step, self._schedule.rate_at(step))
            shared.barrier.wait()
            optimizer.clear(self._number)
            if self._number == 0:
                if (step + 1) % LOG_EVERY == 0:
                    log.write(step + 1, self._schedule.rate_at(step), shared.sums.take())
                last = step + 1 == self._schedule.steps or bool(shared.stopping[0])
                if last or time.monotonic() - saved_at > self._settings.save_every_s:
                    save(self._settings.out / "checkpoint.pt", shared, step + 1)
                    curves.draw(self._settings.out / "loss.csv", self._settings.out / "loss.png")
                    saved_at = time.monotonic()
            if shared.stopping[0]:
                return
            # No worker changes parameters before all have passed the next step's first barrier.

    def _step(self, step: int) -> None:
        rng = random.Random(f"{self._settings.seed}/{step}")
        mix = self._schedule.mix_at(step)
        windows = self._planner.step(rng, mix, seconds=self._settings.step_s)
        groups = pack(windows, max_frames=round(self._settings.group_s * 100))
        whole_s = sum(seconds(group) for group in groups)
        while True:
            with self._shared.lock:
                at = int(self._shared.next_group[0])
                self._shared.next_group[0] = at + 1
            if at >= len(groups):
                return
            chance = random.Random(f"{self._settings.seed}/{step}/{at}")
            batch = self._speech.batch(groups[at], chance).to(self._device)
            self._losses(step, groups[at], batch, seconds(groups[at]) / whole_s)

    def _losses(self, step: int, group: Sequence[Window], batch: Batch, share: float) -> None:
        model, alone = self._shared.model, self._settings.decoder_alone
        with torch.set_grad_enabled(not alone), torch.autocast(self._settings.device, dtype=torch.bfloat16):
            audio = model.encode(self._log_mel(batch), batch.offsets)
        loss = audio.new_zeros((), dtype=torch.float32)
        if not alone:
            loss = self._sound_losses(step, batch, audio)
        if step >= self._schedule.decoder_from:
            loss = loss + self._text_losses(step, group, batch, audio)
        (loss * share).backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped

    def _sound_losses(self, step: int, batch: Batch, audio: Tensor) -> Tensor:
        model = self._shared.model
        with torch.autocast(self._settings.device, dtype=torch.bfloat16):
            letters, phones = model.letters(audio), model.phones(audio)
        phone_loss = F.cross_entropy(phones.float().transpose(1, 2), batch.phones, ignore_index=NO_LABEL)
        self._note("phones", phone_loss)
        loss = self._schedule.phone_weight_at(step) * phone_loss
        if len(batch.letters):
            ctc_loss = ctc(letters, batch)
            loss = loss + self._schedule.ctc_weight_at(step) * ctc_loss
            self._note("ctc", ctc_loss)
        return loss

    def _text_losses(self, step: int, group: Sequence[Window], batch: Batch, audio: Tensor) -> Tensor:
        model = self._shared.model
        with torch.autocast(self._settings.device, dtype=torch.bfloat16):
            hidden, weights = model.decode(batch.inputs, audio)
            known = batch.labels != NO_LABEL
            logits = model.logits(hidden[known])
        text_loss = F.cross_entropy(logits.float(), batch.labels[known])
        guidance_loss = guidance(weights, batch.times_s, batch.offsets)
        self._note("long" if group[0].kind == "long" else "clip", text_loss)
        self._note("guidance", guidance_loss)
        return text_loss + self._schedule.guidance_weight_at(step) * guidance_loss

    def _note(self, measure: str, loss: Tensor) -> None:
        self._shared.sums.add(self._number, measure, float(loss.detach()))


def ctc(letters: Tensor, batch: Batch) -> Tensor:
    """CTC loss per letter; [batch, positions, 257] letter logits."""
    scores = letters.float().log_softmax(-1).transpose(0, 1)  # [positions, batch, 257]
    lengths = torch.full((scores.shape[1],), scores.shape[0])
    return F.ctc_loss(
        scores,
        batch.letters.to(scores.device),
        lengths,
        batch.letter_counts,
        blank=256,
        zero_infinity=True,
    )


def save(path: Path, shared: Shared, step: int) -> None:
    """Write weights, moments and step; the old checkpoint is replaced only by a complete new one."""
    state = {
        "model": shared.model.state_dict(),
        "average": shared.optimizer.average(),
        "optimizer": shared.optimizer.state(),
        "step": step,
    }
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    unfinished.replace(path)


def begin_with(weights: dict[str, Tensor], model: Whisper) -> None:
    """Take over the weights of an earlier model, which may have fewer layers and training heads.

    A layer that it lacks adds nothing at first, so the model begins as good as the earlier one.
    """
    lacking = set(model.load_state_dict(weights, strict=False).missing_keys)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in lacking and name.endswith(("out.weight", "down.weight")):
                parameter.zero_()


def train(settings: Settings, schedule: Schedule, *, start: Path | None) -> None:
    """Train to the schedule's end, from the checkpoint in `out` where there is one.

    Args:
        settings: where and with what.
        schedule: the plan.
        start: weights to begin with when `out` has no checkpoint; the steps begin at 0.
    """
    torch.set_num_threads(1)
    torch.manual_seed(settings.seed)
    settings.out.mkdir(parents=True, exist_ok=True)
    model = Whisper(Shape()).to(settings.device)
    if settings.decoder_alone:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name.startswith(DECODER))
    optimizer = SharedOptimizer(model, workers=settings.workers)
    first_step = 0
    checkpoint = settings.out / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=settings.device)
        model.load_state_dict(state["model"])
        optimizer.restore(state["optimizer"])
        first_step = state["step"]
    elif start is not None:
        begin_with(torch.load(start, map_location=settings.device)["model"], model)
        optimizer.restart_averages()
    # Forked, so that the workers show the same command line.
    context = mp.get_context("fork")
    shared = Shared(
        speech=Speech(settings.data / "speech", settings.data / "tokenizer.json"),
        model=model,
        optimizer=optimizer,
        sums=Sums(settings.workers),
        barrier=context.Barrier(settings.workers),
        next_group=shared_zeros(torch.zeros(1, dtype=torch.int64)),
        stop_asked=shared_zeros(torch.zeros(1)),
        stopping=shared_zeros(torch.zeros(1)),
        lock=context.Lock(),
        first_step=first_step,
    )
    if settings.workers == 1:
        _end_when_asked(shared)
        Worker(0, settings, schedule, shared).run()
        return
    workers = [
        context.Process(target=_work, args=(number, settings, schedule, shared), daemon=True)
        for number in range(settings.workers)
    ]
    for worker in workers:
        worker.start()
    _end_when_asked(shared)
    while any(worker.is_alive() for worker in workers):
        if any(worker.exitcode for worker in workers):
            for worker in workers:
                worker.kill()  # it waits for the dead one, and SIGTERM it ignores
            raise SystemExit("train: a worker died; run the command again to go on")
        workers[0].join(timeout=5)


def _end_when_asked(shared: Shared) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: shared.stop_asked.fill_(1))


def _work(number: int, settings: Settings, schedule: Schedule, shared: Shared) -> None:
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, signal.SIG_IGN)  # the parent decides when to stop
    Worker(number, settings, schedule, shared).run()
