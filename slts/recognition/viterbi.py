"""The best path through a lattice of states."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Lattice:
    """States of several clips, or of one: B clips, S states, up to P predecessors a state.

    A state's first predecessor is the state itself.
    """

    model: Tensor
    """(B, S) which acoustic model a state emits with."""
    before: Tensor
    """(B, S, P) predecessors."""
    cost: Tensor
    """(B, S, P) log-probability of coming from there, -inf where there is no such predecessor."""
    start: Tensor
    """(B, S) 0 where a path may begin, else -inf."""
    end: Tensor
    """(B, S) 0 where a path may end, else -inf."""


def viterbi(lattice: Lattice, emitted: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The best state sequences.

    Args:
        emitted: (B, T, S) log-likelihood of each frame in each state.
        lengths: (B,) valid frames; what follows is ignored.

    Returns:
        (B, T) states, of which those past the length repeat the last, and (B,) log-probabilities, -inf where no path
        of that length exists.
    """
    clips, frames, states = emitted.shape
    score = lattice.start + emitted[:, 0]
    origins = torch.zeros(clips, frames, states, dtype=torch.int16)
    before = lattice.before.flatten(1)
    for t in range(1, frames):
        reached = score.gather(1, before).view_as(lattice.before) + lattice.cost
        best, origin = reached.max(2)
        going = (t < lengths)[:, None]
        score = torch.where(going, best + emitted[:, t], score)
        origins[:, t] = torch.where(going, origin, 0)
    total, state = (score + lattice.end).max(1)
    path = torch.empty(clips, frames, dtype=torch.long)
    rows = torch.arange(clips)
    for t in reversed(range(frames)):
        path[:, t] = state
        state = lattice.before[rows, state, origins[rows, t, state].long()]
    return path, total


def stack(lattices: list[Lattice]) -> Lattice:
    """Lattices of one clip each as one of many; states that are only padding can be neither start, end nor reached."""
    states = max(lattice.model.shape[1] for lattice in lattices)
    sources = max(lattice.before.shape[2] for lattice in lattices)

    def pad(tensor: Tensor, value: float) -> Tensor:
        missing = [0, states - tensor.shape[1]]
        if tensor.ndim == 3:
            missing = [0, sources - tensor.shape[2], *missing]
        return functional.pad(tensor, missing, value=value)

    fill = {"model": 0, "before": 0, "cost": -torch.inf, "start": -torch.inf, "end": -torch.inf}
    return Lattice(**{name: torch.cat([pad(getattr(x, name), v) for x in lattices]) for name, v in fill.items()})
