"""Turn planned windows into tensors: audio, log-mel features, tokens, phones, letters.

Features are computed as faster-whisper computes them, and padded as it pads them: with zeros
after the log, which is not what silence looks like.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tools.demo_model.phones import number_phones
from tools.demo_model.sentences import LANGUAGES, Language
from tools.demo_model.synthesize import Utterance, read_parts
from tools.demo_model.targets import NO_LABEL, NO_TIME, Spoken, Target, middle_times, write
from tools.demo_model.vocabulary import N_TEXT_TOKENS, load_tokenizer, special_tokens
from tools.demo_model.windows import FRAMES_PER_S, POSITIONS_PER_S, TICK_SAMPLES, Window

Pcm = NDArray[np.float32]
Row = Sequence[float] | NDArray[np.int64]
Number = TypeVar("Number", np.int64, np.float32)
WRONG_INPUT_SHARE = 0.05  # text tokens fed in wrong, so that one error does not derail the next


@dataclass(frozen=True, slots=True)
class Batch:
    """Windows of similar length.

    Attributes:
        pcm: [batch, n_samples] float32.
        n_frames: [batch] mel frames that are audio; later ones become zeros.
        frames: mel frames of the padded batch.
        offsets: [batch] encoder position of each window's begin.
        inputs, labels: [batch, n_tokens].
        times_s: [batch, n_tokens], see `Target`.
        phones: [batch, positions] phone at each encoder position, `NO_LABEL` in the padding.
        letters: UTF-8 bytes of all texts, joined; `letter_counts` gives the number of each text.
    """

    pcm: Tensor
    n_frames: Tensor
    frames: int
    offsets: Tensor
    inputs: Tensor
    labels: Tensor
    times_s: Tensor
    phones: Tensor
    letters: Tensor
    letter_counts: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device; the letters stay, since CTC takes them from the CPU."""
        return replace(
            self,
            pcm=self.pcm.to(device),
            n_frames=self.n_frames.to(device),
            offsets=self.offsets.to(device),
            inputs=self.inputs.to(device),
            labels=self.labels.to(device),
            times_s=self.times_s.to(device),
            phones=self.phones.to(device),
        )


class Speech:
    """All spoken sentences, mapped from disk, and the targets they give."""

    def __init__(self, folder: Path, tokenizer: Path, *, name: str = "train") -> None:
        self._utterances: list[Utterance] = []
        self._audio: list[tuple[NDArray[np.int16], int]] = []
        self.lengths: dict[Language, list[tuple[int, int]]] = {lang: [] for lang in LANGUAGES}
        for path, utterances in read_parts(folder, name):
            pcm: NDArray[np.int16] = np.memmap(path, np.int16, mode="r")
            for utterance in utterances:
                index = len(self._utterances)
                self.lengths[utterance.language].append((index, utterance.n_samples))
                self._utterances.append(utterance)
                self._audio.append((pcm, utterance.start))
        self._phone_ids = number_phones(name for utterance in self._utterances for name, _ in utterance.phones)
        self._tokenizer = load_tokenizer(tokenizer)
        self.special = special_tokens(self._tokenizer)

    def pcm(self, index: int) -> Pcm:
        """[n_samples] float32 of one sentence."""
        samples, start = self._audio[index]
        speech = samples[start : start + self._utterances[index].n_samples]
        return speech.astype(np.float32) / np.float32(32768)

    def text(self, index: int) -> str:
        """The sentence."""
        return self._utterances[index].text

    def spoken(self, index: int) -> Spoken:
        """The sentence as tokens with their times."""
        utterance = self._utterances[index]
        encoded = self._tokenizer.encode(" " + utterance.text)
        spans = [(first - 1, past - 1) for first, past in encoded.offsets]
        times = middle_times(spans, utterance.anchors)
        return Spoken(tuple(encoded.ids), times, utterance.n_samples)

    def batch(self, windows: Sequence[Window], rng: random.Random) -> Batch:
        """Fill planned windows; all randomness comes from `rng`."""
        noise = np.random.default_rng(rng.getrandbits(64))
        frames = max(window.n_frames for window in windows)
        pcm = np.zeros((len(windows), frames * 160), np.float32)
        for row, window in zip(pcm, windows, strict=True):
            row[: window.n_samples] = self._audio_of(window, rng, noise)
        targets = [write(window, self.spoken, self.special, rng) for window in windows]
        texts = [" ".join(self.text(placed.index) for placed in window.placed).lower().encode() for window in windows]
        return Batch(
            pcm=torch.from_numpy(pcm),
            n_frames=torch.tensor([window.n_samples // 160 for window in windows]),
            frames=frames,
            offsets=torch.tensor([window.offset for window in windows]),
            inputs=torch.from_numpy(self._inputs(targets, noise)),
            labels=torch.from_numpy(stacked([t.labels for t in targets], NO_LABEL, np.int64)),
            times_s=torch.from_numpy(stacked([t.times_s for t in targets], NO_TIME, np.float32)),
            phones=torch.from_numpy(
                stacked([self._phones(window) for window in windows], NO_LABEL, np.int64, frames // 2)
            ),
            letters=torch.tensor([letter for text in texts for letter in text], dtype=torch.int64),
            letter_counts=torch.tensor([len(text) for text in texts]),
        )

    def _phones(self, window: Window) -> NDArray[np.int64]:
        """Return the phone at each position of the audio, [n_positions]; 0 where there is none."""
        phones = np.zeros(window.n_samples // TICK_SAMPLES, np.int64)
        for placed in window.placed:
            utterance = self._utterances[placed.index]
            first = placed.start // TICK_SAMPLES
            for name, start_s in utterance.phones:
                phones[first + round(start_s * POSITIONS_PER_S) :] = self._phone_ids[name]
            phones[first + utterance.n_samples // TICK_SAMPLES :] = 0
        return phones

    def _inputs(self, targets: Sequence[Target], noise: np.random.Generator) -> NDArray[np.int64]:
        inputs = stacked([target.inputs for target in targets], self.special.end, np.int64)
        wrong = (noise.random(inputs.shape) < WRONG_INPUT_SHARE) & (inputs < N_TEXT_TOKENS)
        inputs[wrong] = noise.integers(0, N_TEXT_TOKENS, int(wrong.sum()))
        return inputs

    def _audio_of(self, window: Window, rng: random.Random, noise: np.random.Generator) -> Pcm:
        """[window.n_samples] float32: the sentences in their places, with some noise."""
        pcm = np.zeros(window.n_samples, np.float32)
        for placed in window.placed:
            speech = self.pcm(placed.index)[: window.n_samples - placed.start]
            pcm[placed.start : placed.start + len(speech)] = speech
        pcm *= 10 ** rng.uniform(-0.4, 0.0)
        if not window.placed:
            return noise_only(window.n_samples, rng, noise)
        if rng.random() < 0.5:
            level = np.float32(10 ** rng.uniform(-4.5, -2.2))
            pcm += level * noise.standard_normal(len(pcm), np.float32)
        return pcm


def noise_only(n_samples: int, rng: random.Random, noise: np.random.Generator) -> Pcm:
    """[n_samples] of silence or of coloured noise, sometimes with a hum."""
    if rng.random() < 0.3:
        return np.zeros(n_samples, np.float32)
    spectrum = np.fft.rfft(noise.standard_normal(n_samples))
    rates = np.arange(len(spectrum)) / len(spectrum)
    spectrum *= (rates + 0.005) ** -rng.choice((0.0, 0.0, 0.5, 1.0))
    pcm = np.fft.irfft(spectrum, n_samples)
    pcm *= 10 ** rng.uniform(-4.5, -0.9) / (pcm.std() + 1e-9)
    if rng.random() < 0.2:
        turns = np.arange(n_samples) / 16000 * rng.uniform(40, 1000)
        pcm += 10 ** rng.uniform(-3, -1) * np.sin(2 * np.pi * turns)
    return np.clip(pcm, -1, 1).astype(np.float32)


def stacked(rows: Sequence[Row], fill: float, dtype: type[Number], width: int = 0) -> NDArray[Number]:
    """Rows of different length as one array of at least `width`, filled on the right."""
    out: NDArray[Number] = np.full((len(rows), max(width, *map(len, rows))), fill, dtype)
    for line, row in zip(out, rows, strict=True):
        line[: len(row)] = row
    return out


class LogMel:
    """faster-whisper's features on a batch, on any device."""

    def __init__(self, device: torch.device) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        filters = FeatureExtractor(feature_size=80).mel_filters
        self._filters = torch.tensor(np.asarray(filters, np.float32), device=device)
        self._hann = torch.hann_window(400, device=device)

    def __call__(self, batch: Batch) -> Tensor:
        """[batch, 80, frames]; zeros where a window is over."""
        spectrum = torch.stft(batch.pcm, 400, 160, window=self._hann, return_complex=True)
        power = spectrum[..., :-1].abs() ** 2  # [batch, 201, frames]
        mel = (self._filters @ power).clamp(min=1e-10).log10()
        mel = torch.maximum(mel, mel.amax(dim=(1, 2), keepdim=True) - 8)
        frame = torch.arange(batch.frames, device=mel.device)
        present = frame < batch.n_frames[:, None]
        return torch.where(present[:, None], (mel + 4) / 4, 0.0)


def seconds(windows: Sequence[Window]) -> float:
    """Encoder input of a padded batch, in seconds."""
    return len(windows) * max(window.n_frames for window in windows) / FRAMES_PER_S
