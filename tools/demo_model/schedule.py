"""Learning rate, windows and loss weights of each training step.

Everything follows from the step's number, so a resumed run goes on as if it had not stopped,
and the end can be moved: the rate stays flat until the last part begins.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tools.demo_model.windows import Mix


@dataclass(frozen=True, slots=True)
class Schedule:
    """The plan of a run.

    Attributes:
        steps: at which training ends.
        warmup: steps of rising rate at the start.
        decay: steps of rate falling to zero at the end.
        rate: the learning rate between.
        decoder_from: step before which the encoder learns alone.
        long_from: step from which full windows take a large part.
    """

    steps: int
    warmup: int
    decay: int
    rate: float
    decoder_from: int
    long_from: int

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        rising = min(1.0, (step + 1) / self.warmup)
        falling = min(1.0, max(0.0, (self.steps - step) / self.decay))
        return self.rate * rising * falling

    def mix_at(self, step: int) -> Mix:
        """Kinds of windows of a step: fewer long and padded ones first, since they cost the most."""
        if step < self.decoder_from:
            return Mix(long=0.1, padded=0.0, empty=0.02)
        if step < self.long_from:
            return Mix(long=0.3, padded=0.02, empty=0.02)
        return Mix(long=0.45, padded=0.1, empty=0.03)

    def phone_weight_at(self, step: int) -> float:
        """Weight of the phone loss, the densest supervision: one target per 20 ms."""
        return 1.0 if step < self.long_from else 0.5

    def ctc_weight_at(self, step: int) -> float:
        """Weight of CTC on letters, which trains the encoder before the decoder uses the audio."""
        return 0.3 if step < self.long_from else 0.1

    def guidance_weight_at(self, step: int) -> float:
        """Weight of the attention's supervision."""
        return 1.0 if step < self.long_from else 0.5


def shares(sizes: Sequence[int], workers: int) -> list[list[int]]:
    """Distribute indices to workers so that the sums of their sizes are similar."""
    dealt: list[list[int]] = [[] for _ in range(workers)]
    loads = [0] * workers
    for index in sorted(range(len(sizes)), key=lambda index: -sizes[index]):
        worker = loads.index(min(loads))
        dealt[worker].append(index)
        loads[worker] += sizes[index]
    return dealt
