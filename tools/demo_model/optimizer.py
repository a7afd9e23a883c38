"""Muon for the matrices, AdamW for the rest, shared between worker processes.

Muon turns the momentum of a matrix into the nearest orthogonal one, which learns faster per step
than AdamW on small transformers and costs a few multiplications. Parameters, gradients and state
lie in shared memory; each worker updates the parameters it owns, so nothing is sent anywhere.
Source: Jordan et al., "Muon" (2024); the 0.2 scale from Liu et al., "Muon is Scalable" (2025).
"""

import torch
from torch import Tensor, nn

from tools.demo_model.schedule import shares

MUON_MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.98)
ADAM_EPSILON = 1e-8
ADAM_RATE_SHARE = 0.5  # of the rate given, which is Muon's
WEIGHT_DECAY = 0.01
AVERAGE = 0.98  # running mean of the weights, over about 50 steps: this is what is exported
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
MAX_GRADIENT_NORM = 1.0


class SharedOptimizer:
    """Parameters with their gradients (one set per worker) and moments, in shared memory."""

    def __init__(self, model: nn.Module, *, workers: int) -> None:
        model.share_memory()
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.parameters: list[nn.Parameter] = [parameter for _, parameter in named]
        self.gradients = [[shared_zeros(p) for p in self.parameters] for _ in range(workers)]
        self.first = [shared_zeros(p) for p in self.parameters]
        self.second = [shared_zeros(p[:0] if self._is_muon(i) else p) for i, p in enumerate(self.parameters)]
        self.averages = [shared_zeros(p) for p in self.parameters]
        self.restart_averages()
        self.squares = shared_zeros(torch.zeros(workers, dtype=torch.float64))
        self._owned = shares([p.numel() for p in self.parameters], workers)

    def _is_muon(self, index: int) -> bool:
        name, parameter = self.names[index], self.parameters[index]
        return parameter.ndim == 2 and name.startswith(("encoder.", "decoder."))

    def attach(self, worker: int) -> None:
        """Let backward passes of this process add to this worker's gradients."""
        for parameter, gradient in zip(self.parameters, self.gradients[worker], strict=True):
            parameter.grad = gradient

    def gather(self, worker: int) -> None:
        """Sum all workers' gradients of the parameters that this one owns, and record their square."""
        square = 0.0
        for index in self._owned[worker]:
            total = self.gradients[worker][index]
            for other, gradients in enumerate(self.gradients):
                if other != worker:
                    total += gradients[index]
            square += float(torch.linalg.vector_norm(total)) ** 2
        self.squares[worker] = square

    @torch.no_grad()
    def update(self, worker: int, step: int, rate: float) -> None:
        """Update the owned parameters; `gather` has ended in every worker."""
        norm = float(self.squares.sum()) ** 0.5
        scale = min(1.0, MAX_GRADIENT_NORM / (norm + 1e-6))
        for index in self._owned[worker]:
            gradient = self.gradients[worker][index] * scale
            parameter = self.parameters[index]
            parameter.mul_(1 - rate * WEIGHT_DECAY)
            if self._is_muon(index):
                self._muon(index, gradient, rate)
            else:
                self._adam(index, gradient, step, rate * ADAM_RATE_SHARE)
            self.averages[index].lerp_(parameter, 1 - AVERAGE)

    def _muon(self, index: int, gradient: Tensor, rate: float) -> None:
        momentum = self.first[index]
        momentum.mul_(MUON_MOMENTUM).add_(gradient)
        update = gradient + MUON_MOMENTUM * momentum
        size = 0.2 * max(update.shape) ** 0.5
        self.parameters[index].sub_(orthogonal(update), alpha=rate * size)

    def _adam(self, index: int, gradient: Tensor, step: int, rate: float) -> None:
        slow, fast = ADAM_BETAS
        first, second = self.first[index], self.second[index]
        first.lerp_(gradient, 1 - slow)
        second.mul_(fast).addcmul_(gradient, gradient, value=1 - fast)
        mean = first / (1 - slow ** (step + 1))
        spread = (second / (1 - fast ** (step + 1))).sqrt_().add_(ADAM_EPSILON)
        self.parameters[index].addcdiv_(mean, spread, value=-rate)

    def clear(self, worker: int) -> None:
        """Zero this worker's gradients; `update` has ended in every worker."""
        for gradient in self.gradients[worker]:
            gradient.zero_()

    @torch.no_grad()
    def restart_averages(self) -> None:
        """Initialize the running means with the current parameters."""
        for average, parameter in zip(self.averages, self.parameters, strict=True):
            average.copy_(parameter)

    def average(self) -> dict[str, Tensor]:
        """Running means of the parameters, by name."""
        return dict(zip(self.names, self.averages, strict=True))

    def state(self) -> dict[str, list[Tensor]]:
        """Moments and running means, for a checkpoint."""
        return {"first": self.first, "second": self.second, "averages": self.averages}

    def restore(self, state: dict[str, list[Tensor]]) -> None:
        """Restore what `state` returned."""
        for name, mine in self.state().items():
            for tensor, saved in zip(mine, state[name], strict=True):
                tensor.copy_(saved)


def shared_zeros(like: Tensor) -> Tensor:
    """Zeros in shared memory."""
    made = torch.zeros_like(like, requires_grad=False)
    made.share_memory_()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return made


def orthogonal(matrix: Tensor) -> Tensor:
    """The nearest matrix with singular values near 1, by five Newton-Schulz steps in bfloat16."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = (x.T if tall else x).float()
    return result
