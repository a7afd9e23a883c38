"""Whisper in plain PyTorch, small, with the heads that only training needs.

The same computation as CTranslate2's Whisper, so that `export` only copies weights.
What made a small one learn: Kaiming and Xavier initialisation with positions scaled by 0.2
(audio enters far weaker than the default position signal), supervision of the
encoder by the phone of every 20 ms, CTC on letters, and supervision of some cross-attention heads by token times.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.demo_model.phones import N_PHONES

N_MELS = 80
N_POSITIONS = 1500
N_TEXT_POSITIONS = 448
N_LETTERS = 257  # bytes, and CTC's blank
ALIGNMENT_HEADS = ((1, 0), (1, 1), (2, 0), (2, 1))  # (decoder layer, head)
EXPLICIT_POSITIONS = 800  # up to here plain bfloat16 attention beats the fused one on a CPU
NEAR_S = 0.25  # supervised attention shall lie within this of where the token is spoken


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the model; these give 9 M parameters, 10.8 MB in INT8."""

    width: int = 256
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 4
    n_tokens: int = 3608


class Attention(nn.Module):
    """Self-attention, queries, keys and values in one projection."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.qkv = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def forward(self, hidden: Tensor, *, causal: bool) -> Tensor:
        """[batch, n, width] to what is added to it."""
        qkv = self.qkv(self.norm(hidden)).unflatten(-1, (3, self.heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if causal or hidden.shape[1] > EXPLICIT_POSITIONS:
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        else:
            mixed = attend(q, k, v)
        result: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return result


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention step by step, [batch, heads, n, width each]; the softmax stays in bfloat16."""
    with torch.autocast(q.device.type, enabled=False):
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        return torch.softmax(scores, -1) @ v


class CrossAttention(nn.Module):
    """The decoder's attention to the audio; gives its weights too."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.norm = nn.LayerNorm(shape.width)
        self.q = nn.Linear(shape.width, shape.width)
        self.kv = nn.Linear(shape.width, 2 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def forward(self, hidden: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, n, width] and [batch, positions, width] to (what is added, log weights).

        The log weights are [batch, heads, n, positions] float32.
        """
        q = self.q(self.norm(hidden)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(audio).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        weights = scores.float().log_softmax(-1)
        mixed = weights.exp().to(v.dtype) @ v
        return self.out(mixed.transpose(1, 2).flatten(2)), weights


class FeedForward(nn.Module):
    """Two linear layers about a GELU."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, 4 * shape.width)
        self.down = nn.Linear(4 * shape.width, shape.width)

    def forward(self, hidden: Tensor) -> Tensor:
        """[..., width] to what is added to it."""
        result: Tensor = self.down(F.gelu(self.up(self.norm(hidden))))
        return result


class EncoderLayer(nn.Module):
    """Attention, then feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.feed_forward = FeedForward(shape)

    def forward(self, hidden: Tensor) -> Tensor:
        """[batch, positions, width] to the same."""
        hidden = hidden + self.attention(hidden, causal=False)
        result: Tensor = hidden + self.feed_forward(hidden)
        return result


class DecoderLayer(nn.Module):
    """Causal attention, attention to the audio, feed-forward."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.attention = Attention(shape)
        self.cross = CrossAttention(shape)
        self.feed_forward = FeedForward(shape)

    def forward(self, hidden: Tensor, audio: Tensor) -> tuple[Tensor, Tensor]:
        """[batch, n, width] to (the same, log attention weights)."""
        hidden = hidden + self.attention(hidden, causal=True)
        change, weights = self.cross(hidden, audio)
        hidden = hidden + change
        return hidden + self.feed_forward(hidden), weights


class Whisper(nn.Module):
    """Encoder, decoder, phone and CTC heads; token embedding and output share their weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv1d(N_MELS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.positions: Tensor
        self.register_buffer("positions", 0.2 * sinusoids(N_POSITIONS, width))
        self.encoder = nn.ModuleList(EncoderLayer(shape) for _ in range(shape.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.tokens = nn.Embedding(shape.n_tokens, width)
        self.text_positions = nn.Parameter(torch.randn(N_TEXT_POSITIONS, width) * 0.02)
        self.decoder = nn.ModuleList(DecoderLayer(shape) for _ in range(shape.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.letters = nn.Linear(width, N_LETTERS)
        self.phones = nn.Linear(width, N_PHONES)
        self.apply(initialise)

    def encode(self, features: Tensor, offsets: Tensor) -> Tensor:
        """[batch, 80, frames] log-mel, beginning at position `offsets` [batch] of the window.

        Returns:
            [batch, frames / 2, width].
        """
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(features)))).transpose(1, 2)
        where = offsets[:, None] + torch.arange(hidden.shape[1], device=hidden.device)
        where = where.clamp(max=N_POSITIONS - 1)  # padding to the longest may run past the end
        hidden = hidden + self.positions[where].to(hidden.dtype)
        for layer in self.encoder:
            hidden = layer(hidden)
        result: Tensor = self.encoder_norm(hidden)
        return result

    def decode(self, inputs: Tensor, audio: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[batch, n] ids and the encoder's output to (hidden [batch, n, width], log weights)."""
        hidden = self.tokens(inputs) + self.text_positions[: inputs.shape[1]]
        hidden = hidden.to(audio.dtype)
        weights = []
        for layer in self.decoder:
            hidden, seen = layer(hidden, audio)
            weights.append(seen)
        return self.decoder_norm(hidden), weights

    def logits(self, hidden: Tensor) -> Tensor:
        """[n, width] to [n, tokens]."""
        return F.linear(hidden, self.tokens.weight)


def initialise(module: nn.Module) -> None:
    """Initialize the weights so that the audio is not negligible beside the positions."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv1d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        assert module.bias is not None
        nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's encoder positions, [length, width]."""
    half = width // 2
    rates = torch.exp(-math.log(10000) / (half - 1) * torch.arange(half))
    angles = torch.arange(length)[:, None] * rates[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def guidance(weights: list[Tensor], times_s: Tensor, offsets: Tensor) -> Tensor:
    """Minus log of the attention that lies where each token is spoken, mean over the tokens.

    Args:
        weights: per decoder layer, [batch, heads, n, positions] log attention.
        times_s: [batch, n], negative where unknown.
        offsets: [batch], the encoder position at which each window begins.
    """
    positions = weights[0].shape[-1]
    at_s = (offsets[:, None] + torch.arange(positions, device=times_s.device)) * 0.02
    near = (at_s[:, None] - times_s[..., None]).abs() < NEAR_S  # [batch, n, positions]
    known = (times_s >= 0) & near.any(-1)
    near = near[known]  # [k, positions]
    total = times_s.new_zeros(())
    for layer, head in ALIGNMENT_HEADS:
        seen = weights[layer][:, head][known]  # [k, positions]
        mass = seen.masked_fill(~near, -1e4).logsumexp(-1).clamp(min=-9.0)
        total = total - mass.mean() if len(mass) else total
    return total / len(ALIGNMENT_HEADS)
