"""Where the clips of a split lie in their shards."""

import mmap
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from slts.data.shards import BLOCK
from slts.errors import UserError


class Places:
    """A table of where the headers of each clip's members begin, filled shard by shard.

    It takes 4 bytes a member, once it is filled, and processes forked from this one share it: what one of them has
    noted the others need not look for. Names and sizes stand in the headers.

    Args:
        clips: of each shard, at most.
        members: of each clip.

    Raises:
        UserError: more clips than there is memory for.
    """

    def __init__(self, clips: Sequence[int], members: int):
        self.starts = np.array([0, *accumulate(clips)])
        shape = int(self.starts[-1]), members
        try:
            memory = mmap.mmap(-1, max(1, 4 * shape[0] * members))
        except (OSError, OverflowError, ValueError):
            raise UserError(f"corpus.json lists {shape[0]} clips, more than there is memory for") from None
        self.blocks = np.frombuffer(memory, np.uint32, shape[0] * members).reshape(shape)
        """Number of the tar's block, counted from 1; 0 where it is not known yet."""

    def note(self, shard: int, offsets: np.ndarray) -> None:
        """``offsets`` (clips, members) in bytes."""
        start = self.starts[shard]
        self.blocks[start : start + len(offsets)] = offsets.reshape(-1, self.blocks.shape[1]) // BLOCK + 1

    def offsets(self, shard: int, number: int) -> list[int] | None:
        """Of the members of a clip, in bytes; None where they are not known yet."""
        blocks = self.blocks[self.starts[shard] + number]
        return ((blocks.astype(int) - 1) * BLOCK).tolist() if blocks.all() else None
