"""The conformer encoder (Gulati et al., Interspeech 2020), with the relative positions of Transformer-XL.

A block is half a feed-forward layer, self-attention, a convolution module, the other half feed-forward layer, each
added to its input, and a layer norm (section 2, eq. 1). Valid frames never depend on padded ones.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Conformer(nn.Module):
    """A stack of conformer blocks. The published S and M have 16 layers, widths 144 and 256, 4 heads.

    width: of input, output and every block, a multiple of heads and even. kernel: frames the depthwise convolution
    spans, odd. dropout: after every module and on the attention weights. hidden: width inside the feed-forward layers;
    None is 4 width.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        heads: int,
        kernel: int = 31,
        dropout: float = 0.1,
        hidden: int | None = None,
    ):
        super().__init__()
        self.width = width
        self.blocks = nn.ModuleList(Block(width, heads, kernel, dropout, hidden or 4 * width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x (B, T, width), mask (B, T) bool, True where a frame is valid -> (B, T, width), zero where it is not."""
        positions = relative_positions(x.shape[1], self.width, x.device).to(x.dtype)
        for block in self.blocks:
            x = block(x, positions, mask)
        return x if mask is None else x * mask.unsqueeze(-1)


class Block(nn.Module):
    def __init__(self, width: int, heads: int, kernel: int, dropout: float, hidden: int):
        super().__init__()
        self.feed_forward_before = feed_forward(width, dropout, hidden)
        self.attention = RelativeAttention(width, heads, dropout)
        self.convolution = ConvolutionModule(width, kernel, dropout)
        self.feed_forward_after = feed_forward(width, dropout, hidden)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        x = x + 0.5 * self.feed_forward_before(x)
        x = x + self.attention(x, positions, mask)
        x = x + self.convolution(x, mask)
        x = x + 0.5 * self.feed_forward_after(x)
        return self.norm(x)


def feed_forward(width: int, dropout: float, hidden: int) -> nn.Sequential:
    """Section 2.3: expansion (by 4 there), swish."""
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, hidden),
        nn.SiLU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, width),
        nn.Dropout(dropout),
    )


def relative_positions(length: int, width: int, device: torch.device | None = None) -> Tensor:
    """Sinusoids (2 length, width) of the distances length - 1, ..., 0, ..., -length, row by row.

    Even columns are sines, odd ones cosines, with wavelengths from 2 pi to 10000 x 2 pi frames.
    """
    distance = torch.arange(length - 1, -length - 1, -1, device=device, dtype=torch.float32)
    frequency = torch.exp(torch.arange(0, width, 2, device=device) * (-math.log(10000) / width))
    angle = distance[:, None] * frequency
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


class RelativeAttention(nn.Module):
    """Section 2.1: self-attention whose score of query i and key j is, over the square root of the head's width,

    (q_i + u) . k_j + (q_i + v) . p_(i-j)   (Dai et al., Transformer-XL, 2019, section 3.3).
    """

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.position = nn.Linear(width, width, bias=False)
        self.u = nn.Parameter(torch.empty(heads, 1, width // heads))
        self.v = nn.Parameter(torch.empty(heads, 1, width // heads))
        nn.init.xavier_uniform_(self.u)
        nn.init.xavier_uniform_(self.v)
        self.output = nn.Sequential(nn.Linear(width, width), nn.Dropout(dropout))

    def forward(self, x: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, T, width), positions (2T, width) as ``relative_positions`` gives them, mask (B, T)."""
        projected = self.query_key_value(self.norm(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = projected.permute(2, 0, 3, 1, 4)
        position = self.position(positions).unflatten(-1, (self.heads, -1)).permute(1, 2, 0)
        bias = align_distances((query + self.v) @ position) / math.sqrt(query.shape[-1])
        if mask is not None:
            # Not -inf: a clip without a valid frame must not become NaN.
            bias = bias.masked_fill(~mask[:, None, None, :], torch.finfo(bias.dtype).min)
        y = functional.scaled_dot_product_attention(
            query + self.u, key, value, attn_mask=bias, dropout_p=self.dropout if self.training else 0.0
        )
        return self.output(y.transpose(1, 2).flatten(2))


def align_distances(scores: Tensor) -> Tensor:
    """From scores (..., T, 2T) by query i and distance T - 1, ..., -T to scores (..., T, T) by query i and key j.

    Out[i, j] = scores[i, T - 1 - i + j]: rows of 2T read as if they were 2T - 1 long slip by one a row.
    """
    length = scores.shape[-2]
    slipped = scores.flatten(-2)[..., length - 1 : length - 1 + length * (2 * length - 1)]
    return slipped.unflatten(-1, (length, 2 * length - 1))[..., :length]


class ConvolutionModule(nn.Module):
    """Section 2.2: pointwise - GLU - depthwise - batch norm - swish - pointwise."""

    def __init__(self, width: int, kernel: int, dropout: float):
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"the depthwise kernel must be odd, not {kernel}")
        self.norm = nn.LayerNorm(width)
        self.expand = nn.Linear(width, 2 * width)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.batch_norm = nn.BatchNorm1d(width)
        self.project = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """x (B, T, width), mask (B, T). The batch norm's statistics are those of valid frames."""
        y = functional.glu(self.expand(self.norm(x)), -1)
        if mask is not None:
            y = y * mask.unsqueeze(-1)
        y = self.depthwise(y.transpose(1, 2)).transpose(1, 2)
        if mask is None:
            y = self.batch_norm(y.flatten(0, 1)).view_as(y)
        else:
            y = torch.zeros_like(y).masked_scatter(mask.unsqueeze(-1), self.batch_norm(y[mask]))
        return self.dropout(self.project(functional.silu(y)))
