from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.engine.whisper.encoders.choose import Encode, Encoder, choose_encoder, prepare_encoder, similarity, trial

FEATURES = np.ones((1, 80, 1000), np.float32)


class Clock:
    """CPU time that passes only when an encoder runs."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Seconds since the start."""
        return self.now_s

    def encoder(self, cost_s: float) -> Encode:
        """An encoder that takes this long, and returns what every other one returns."""

        def encode(features: np.ndarray) -> np.ndarray:
            self.now_s += cost_s
            return features[:, :, ::2]

        return encode


def a_model(device: str = "cpu", compute_type: str = "int8") -> Any:
    """As much of a model as the choice looks at."""
    return SimpleNamespace(device=device, compute_type=compute_type)


def choose(asked: str, *, theirs: Encode | Exception, device: str = "cpu", installed: bool = True) -> Encoder:
    """The choice between CTranslate2's encoder and `theirs`."""

    def build(_: Any) -> tuple[Encode, np.ndarray]:
        if isinstance(theirs, Exception):
            raise theirs
        return theirs, FEATURES

    return choose_encoder(
        asked, a_model(device), lambda features: features[:, :, ::2], installed=lambda: installed, build=build
    )


def same(features: np.ndarray) -> np.ndarray:
    """An encoder that agrees with CTranslate2's."""
    return features[:, :, ::2] * 1.001


def test_openvino_is_used_when_set() -> None:
    """ENCODER=openvino needs no trial."""
    chosen = choose("openvino", theirs=same)
    assert (chosen.name, chosen.encode, chosen.reason) == ("openvino", same, "as set by ENCODER")


def test_ctranslate2_is_used_when_set() -> None:
    """ENCODER=ctranslate2 builds nothing."""
    chosen = choose("ctranslate2", theirs=AssertionError("built"))
    assert (chosen.name, chosen.encode, chosen.reason) == ("ctranslate2", None, "as set by ENCODER")


@pytest.mark.parametrize(
    ("obstacle", "reason"),
    [
        ({"installed": False}, "^openvino is not installed$"),
        ({"device": "cuda"}, "the model runs on cuda"),
        ({"theirs": RuntimeError("no kernel\nat line 5")}, r"openvino failed \(RuntimeError: no kernel\)"),
        ({"theirs": lambda _: 1 / 0}, r"openvino failed \(ZeroDivisionError: division by zero\)"),
        ({"theirs": lambda features: -features[:, :, ::2]}, r"differs from CTranslate2's \(similarity -1.000\)"),
        ({"theirs": lambda features: features[:, :, ::2] * np.nan}, r"differs .*\(similarity nan\)"),
        ({"theirs": lambda features: features}, r"differs .*\(similarity 0.000\)"),
    ],
)
@pytest.mark.parametrize("asked", ["auto", "openvino"])
def test_an_obstacle_means_ctranslate2(
    obstacle: dict[str, Any], reason: str, asked: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts; the reason is one line, and a warning if openvino was asked for."""
    with caplog.at_level(logging.WARNING):
        chosen = choose(asked, **{"theirs": same, **obstacle})
    assert (chosen.name, chosen.encode) == ("ctranslate2", None)
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(chosen.reason)
    assert "\n" not in chosen.reason
    logged = [(record.getMessage(), record.__dict__["fields"]) for record in caplog.records]
    warning = ("ENCODER=openvino is not possible, CTranslate2 is used", {"reason": chosen.reason})
    assert logged == ([warning] if asked == "openvino" else [])


@pytest.mark.parametrize(("theirs_s", "name"), [(0.5, "openvino"), (0.95, "ctranslate2"), (2.0, "ctranslate2")])
def test_auto_takes_the_faster_one(monkeypatch: pytest.MonkeyPatch, theirs_s: float, name: str) -> None:
    """OpenVINO has to be a tenth faster, because it needs more memory; both times are in the reason."""
    monkeypatch.setattr(
        "app.engine.whisper.encoders.choose.trial", lambda *_: {"ctranslate2": 1.0, "openvino": theirs_s}
    )
    chosen = choose("auto", theirs=same)
    assert chosen.name == name
    assert (chosen.encode is None) == (name == "ctranslate2")
    assert f"ctranslate2 1000 ms, openvino {1000 * theirs_s:.0f} ms of CPU time" in chosen.reason


@pytest.mark.parametrize(("compute_type", "n_converted"), [("int8", 1), ("int8_float32", 1), ("bfloat16", 0)])
def test_only_8_bit_arithmetic_is_prepared(compute_type: str, n_converted: int) -> None:
    """Other arithmetic needs no conversion."""
    converted = list[Any]()
    prepare_encoder(a_model(compute_type=compute_type), convert=converted.append)
    assert len(converted) == n_converted


def test_a_conversion_that_fails_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The worker starts without it, so fetching a model succeeds too; the log has the reason."""

    def fail(_: Any) -> None:
        raise RuntimeError("no kernel\nat line 5")

    prepare_encoder(a_model(), convert=fail)
    [line] = caplog.records
    assert (line.levelname, line.__dict__["fields"]) == ("WARNING", {"reason": "RuntimeError: no kernel"})


def test_the_trial_takes_turns_and_the_least_time() -> None:
    """Rounds of all candidates until two seconds are over."""
    clock, order = Clock(), list[str]()

    def noted(name: str, encode: Encode) -> Encode:
        def run(features: np.ndarray) -> np.ndarray:
            order.append(name)
            clock.now_s += 0.5 if len(order) <= 2 else 0.0  # the first round is slower
            return encode(features)

        return run

    candidates = {"a": noted("a", clock.encoder(0.3)), "b": noted("b", clock.encoder(0.1))}
    seconds = trial(candidates, FEATURES, cpu_clock=clock, clock=clock)
    assert seconds == pytest.approx({"a": 0.3, "b": 0.1})
    assert order == ["a", "b"] * 3


def test_a_slow_model_is_tried_twice() -> None:
    """A call may take longer than the trial; the first one of each does not count alone."""
    clock, calls = Clock(), list[int]()
    slow = clock.encoder(30.0)

    def counted(features: np.ndarray) -> np.ndarray:
        calls.append(1)
        return slow(features)

    trial({"a": counted}, FEATURES, cpu_clock=clock, clock=clock)
    assert len(calls) == 2


def test_similarity_is_that_of_directions() -> None:
    """1 for the same direction, 0 for a right angle, and silence is not an error."""
    one = np.array([[1.0, 0.0]])
    assert similarity(one, 3 * one) == pytest.approx(1)
    assert similarity(one, np.array([[0.0, 2.0]])) == 0
    assert similarity(np.zeros((1, 2)), one) == 0
