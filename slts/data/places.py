"""Where the clips of a split lie in their shards."""

import mmap

import numpy as np

from slts.data.shards import BLOCK
from slts.errors import UserError


class Places:
    """A table of where the clips begin, filled shard by shard.

    It takes 4 bytes a clip, once it is filled, and processes forked from this one share it: what one of them has noted
    the others need not look for. Names and sizes stand in the headers there.

    Args:
        clips: of each shard, at most.

    Raises:
        UserError: more clips than there is memory for.
    """

    def __init__(self, clips: np.ndarray):
        count = sum(clips.tolist())  # which may be more than 64 bits hold
        try:
            memory = mmap.mmap(-1, max(1, 4 * count))
        except (OSError, OverflowError, ValueError):
            raise UserError(f"corpus.json lists {count} clips, more than there is memory for") from None
        self.starts = np.concatenate([[0], np.cumsum(clips)])
        self.blocks = np.frombuffer(memory, np.uint32, count)
        """Number of the tar's block, counted from 1; 0 where it is not known yet."""

    def note(self, shard: int, offsets: np.ndarray) -> None:
        """``offsets`` (clips,) in bytes."""
        start = self.starts[shard]
        self.blocks[start : start + len(offsets)] = offsets // BLOCK + 1

    def offset(self, shard: int, number: int) -> int | None:
        """Of a clip, in bytes; None where it is not known yet."""
        block = int(self.blocks[self.starts[shard] + number])
        return (block - 1) * BLOCK if block else None
