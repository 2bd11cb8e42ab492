"""Aligned scores as means that gather over batches: ``update``, ``compute``, ``reset``, as torchmetrics has it.

Where torchmetrics is installed they are metrics of it: of a MetricCollection, summed over processes by ``compute``.
Elsewhere they have the same interface, and their states are buffers to be summed over processes by the user.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from slts.metrics.scoring import score_pair

try:
    from torchmetrics import Metric  # pyright: ignore[reportMissingImports]  used where it is there
except ImportError:

    class Metric(torch.nn.Module):
        """As much of torchmetrics.Metric as a sum needs."""

        def add_state(self, name: str, default: Tensor, dist_reduce_fx: str) -> None:
            self.register_buffer(name, default, persistent=False)

        def reset(self) -> None:
            for state in self.buffers():
                state.zero_()

        def forward(self, *batch) -> Tensor:
            """The value of a batch alone, which is gathered as by ``update``."""
            before = [state.clone() for state in self.buffers()]
            self.reset()
            self.update(*batch)
            value = self.compute()
            for state, sum_before in zip(self.buffers(), before, strict=True):
                state.add_(sum_before)
            return value


class Aligned(Metric):  # pyright: ignore[reportGeneralTypeIssues]  one of two
    """The mean over pairs of the column ``score`` of slts.metrics.columns; the states ``total``, ``scored`` and
    ``failed``, pairs without a value, are sums."""

    full_state_update = False
    is_differentiable = False
    score: str
    total: Tensor
    scored: Tensor
    failed: Tensor

    def __init__(self, **options):
        super().__init__(**options)
        for name in ("total", "scored", "failed"):
            self.add_state(name, torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, preds: Tensor | Sequence[Tensor], target: Tensor | Sequence[Tensor]) -> None:
        """Scores generated against reference audio at 16 kHz in [-1, 1]: (..., N) each, or lists of (N,) whose lengths
        may differ, without padding."""
        for generated, reference in zip(_sounds(preds), _sounds(target), strict=True):
            value = score_pair(reference, generated, [self.score])[self.score]
            if value is None:
                self.failed += 1
            else:
                self.scored += 1
                self.total += value

    def compute(self) -> Tensor:
        """The mean so far, (); NaN without a pair that has a value."""
        return self.total / self.scored


class AlignedSTOI(Aligned):
    """STOI of what both sounds share once the offset found is taken out, about 0 to 1."""

    score, higher_is_better = "a_stoi", True


class AlignedESTOI(Aligned):
    """Extended STOI of the same, about 0 to 1."""

    score, higher_is_better = "a_estoi", True


class AlignedPESQ(Aligned):
    """Narrow-band PESQ of the same, 1 to 4.55."""

    score, higher_is_better = "a_pesq", True


class AlignedMCD(Aligned):
    """The paper's cepstral distance of the same; 0 is identity."""

    score, higher_is_better = "a_mcd", False


def _sounds(audio: Tensor | Sequence[Tensor]) -> list:
    rows = audio.reshape(-1, audio.shape[-1]) if isinstance(audio, Tensor) else audio
    return [row.detach().cpu().numpy() for row in rows]
