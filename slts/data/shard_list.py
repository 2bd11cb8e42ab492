"""The shards that a corpus lists, of which ten million clips may have 150 000."""

from collections.abc import Iterable, Sequence

import numpy as np

CLIPS = 2**56
"""More than a shard may have."""
ROW = np.dtype([("file", "S40"), ("sha256", "V32"), ("clips", "i8")])


class ShardList(Sequence):
    """``corpus["shards"]``, {file, sha256, clips} each, in 80 bytes a shard.

    As many dictionaries take five times that, and more in every process that is forked from this one and looks at them.

    Args:
        table: of type ROW.
    """

    def __init__(self, table: np.ndarray):
        self.table = table

    @classmethod
    def of(cls, shards: Iterable[dict]) -> "ShardList":
        """Of shards whose names, hashes and counts are such (slts.data.shard_source sees to it)."""
        rows = [(shard["file"], bytes.fromhex(shard["sha256"]), shard["clips"]) for shard in shards]
        return cls(np.array(rows, ROW))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> dict:
        file, digest, clips = self.table[number]
        return {"file": file.decode(), "sha256": digest.tobytes().hex(), "clips": int(clips)}

    @property
    def clips(self) -> np.ndarray:
        return self.table["clips"]

    def number(self, file: str) -> int:
        """The place of the shard in ``file``, which is listed."""
        return int(np.flatnonzero(self.table["file"] == file.encode())[0])

    def split(self, name: str) -> "ShardList":
        """Those of a split: train, val or test."""
        return ShardList(self.table[np.char.startswith(self.table["file"], f"{name}-".encode())])
