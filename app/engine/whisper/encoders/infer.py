"""Run an encoder graph with OpenVINO. Blocking; may be called by several threads at once. Needs openvino."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino

Array = npt.NDArray[Any]


def cpu_supports_bfloat16() -> bool:
    """Whether OpenVINO multiplies bfloat16 in hardware here (AVX512_BF16 or AMX)."""
    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@dataclass(slots=True)
class _Request:
    """The inference request of one thread, and the lengths that it has run."""

    request: Any
    lengths: set[int] = field(default_factory=set)


class OpenVinoEncoder:
    """[B, n_mels, n_frames] float32 -> [B, n_positions, width] float32.

    Each thread has a request of its own. A request prepares its kernels at its first call with a
    length; two threads that did so at the same time have hung, so these calls run one after another.
    The rows of a call also run one after another: together they are not faster, and they need more memory.

    Args:
        graph: an `openvino.Model`.
        replicas: calls that may run at the same time.
        threads: CPU threads for each.
        precision: of what is not quantized: `bf16` or `f32`.
    """

    def __init__(self, graph: Any, *, replicas: int, threads: int, precision: str) -> None:
        self._compiled = openvino.Core().compile_model(
            graph,
            "CPU",
            {
                "NUM_STREAMS": replicas,
                "INFERENCE_NUM_THREADS": replicas * threads,
                "INFERENCE_PRECISION_HINT": precision,
                # CTranslate2's threads run on the same cores
                "ENABLE_CPU_PINNING": False,
            },
        )
        self._own = threading.local()
        self._first_calls = threading.Lock()

    def __call__(self, features: Array) -> Array:
        """Encode the rows of one call."""
        own = self._request_of_this_thread()
        rows = [self._encode_row(own, np.ascontiguousarray(row[np.newaxis], np.float32)) for row in features]
        return rows[0] if len(rows) == 1 else np.concatenate(rows)

    def _encode_row(self, own: _Request, row: Array) -> Array:
        if row.shape[-1] in own.lengths:
            return self._infer(own, row)
        with self._first_calls:
            encoded = self._infer(own, row)
        own.lengths.add(row.shape[-1])
        return encoded

    def _request_of_this_thread(self) -> _Request:
        own: _Request | None = getattr(self._own, "request", None)
        if own is None:
            with self._first_calls:
                own = self._own.request = _Request(self._compiled.create_infer_request())
        return own

    @staticmethod
    def _infer(own: _Request, row: Array) -> Array:
        encoded: Array = own.request.infer([row], share_inputs=True)[0]  # a copy: the request keeps its buffer
        return encoded
