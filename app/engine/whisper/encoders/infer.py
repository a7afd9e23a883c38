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
    """The inference request of one thread, and the shapes that it has run."""

    request: Any
    shapes: set[tuple[int, ...]] = field(default_factory=set)


class OpenVinoEncoder:
    """[B, n_mels, n_frames] float32 -> [B, n_positions, width] float32.

    Each thread has a request of its own. A request prepares its kernels at its first call with a
    shape; two threads that did so at the same time have hung, so these calls run one after another.

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
        features = np.ascontiguousarray(features, dtype=np.float32)
        own = self._request_of_this_thread()
        if features.shape in own.shapes:
            return self._infer(own, features)
        with self._first_calls:
            encoded = self._infer(own, features)
        own.shapes.add(features.shape)
        return encoded

    def _request_of_this_thread(self) -> _Request:
        own: _Request | None = getattr(self._own, "request", None)
        if own is None:
            with self._first_calls:
                own = self._own.request = _Request(self._compiled.create_infer_request())
        return own

    def _infer(self, own: _Request, features: Array) -> Array:
        encoded: Array = own.request.infer([features], share_inputs=True)[0]  # a copy: the request keeps its buffer
        return encoded
