"""The order of samples: one endless sequence, a pure function of the seed and of a position in it.

The sequence is the order of epoch 0, then that of epoch 1, and so on. An epoch permutes the shards, cuts them into
windows of ``window_shards`` and permutes the samples inside each window; one window of all shards mixes everything,
small ones need few shards at hand. Step s takes its batch_size samples at s x batch_size, and each rank its part of
every batch. The position is therefore one integer that depends on neither ranks nor workers. Every rank makes the same
number of steps. No tail is dropped: where batch_size does not divide the epoch, a batch ends one epoch and begins the
next, and the ranks' shares of one epoch differ by at most one sample.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
from torch.utils.data import Sampler

from slts.errors import UserError


class SampleOrder:
    """Where the samples of ``sizes[s]`` clips in shard s stand in the endless sequence.

    Samples are numbered through the shards: shard s holds ``starts[s]`` to ``starts[s + 1]`` - 1.

    Args:
        sizes: clips of each shard.
        seed: of the permutations.
        window_shards: shards whose samples are mixed with each other; 0 mixes all.
    """

    def __init__(self, sizes: Sequence[int], seed: int, window_shards: int = 0):
        self.starts = np.array([0, *accumulate(sizes)])
        self.seed, self.window_shards = seed, window_shards or len(sizes)
        self._epoch = -1
        self._samples = np.empty(len(self), np.min_scalar_type(len(self)))  # of ten million 40 MB, once they are drawn

    def __len__(self) -> int:
        """Samples of an epoch."""
        return int(self.starts[-1])

    def __getitem__(self, position: int) -> tuple[int, int]:
        """(epoch, sample) at a position of the endless sequence."""
        epoch, place = divmod(position, len(self))
        if epoch != self._epoch:
            self._permute(epoch)
        return epoch, int(self._samples[place])

    def window(self, position: int) -> tuple[list[int], int]:
        """The shards of the window that holds a position, and the position at which the next window begins."""
        epoch, place = divmod(position, len(self))
        windows, ends, _ = self._windows(epoch)
        number = int(np.searchsorted(ends, place, side="right"))
        return windows[number].tolist(), epoch * len(self) + int(ends[number])

    def _windows(self, epoch: int) -> tuple[list[np.ndarray], np.ndarray, np.random.Generator]:
        """The shards of each window, the places in the epoch where the windows end, and what permutes their samples."""
        rng = np.random.default_rng([self.seed, epoch])
        shards = rng.permutation(len(self.starts) - 1)
        firsts = range(0, len(shards), self.window_shards)
        sizes = np.diff(self.starts)[shards]
        return [shards[i : i + self.window_shards] for i in firsts], np.cumsum(np.add.reduceat(sizes, firsts)), rng

    def _permute(self, epoch: int) -> None:
        windows, ends, rng = self._windows(epoch)
        place = 0
        for window, end in zip(windows, ends.tolist(), strict=True):
            begin = place
            for first, after in zip(self.starts[window].tolist(), self.starts[window + 1].tolist(), strict=True):
                self._samples[place : place + after - first] = np.arange(first, after)
                place += after - first
            rng.shuffle(self._samples[begin:end])
        self._epoch = epoch


class EndlessSampler(Sampler):
    """Batches [(epoch, sample), ...] of one rank from a position of the order on.

    Raises:
        UserError: the ranks cannot share a batch evenly.
    """

    def __init__(self, order: SampleOrder, batch_size: int, position: int = 0, rank: int = 0, ranks: int = 1):
        if batch_size % ranks:
            raise UserError(
                f"batch_size={batch_size} cannot be divided by {ranks} processes; use a multiple of {ranks}"
            )
        self.order, self.batch_size, self.position = order, batch_size, position
        self.rank, self.ranks = rank, ranks

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        start = self.position
        while True:
            yield [self.order[place] for place in range(start + self.rank, start + self.batch_size, self.ranks)]
            start += self.batch_size
