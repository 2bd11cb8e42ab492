"""How loader processes hand batches to the training: through shared memory, or through pipes where that is too small.

Through shared memory every tensor takes a part of /dev/shm and an open file until it is used. Where either runs out the
loader process cannot say so, and the training would wait for ever.
"""

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from slts.data.batch import Batch
from slts.errors import UserError

SHARED = Path("/dev/shm")
FILES = 256
"""Open files below which batches take none: each of some dozen batches has some eight tensors."""
AHEAD = 2
"""Batches that each loader process has ready, DataLoader's default."""


def narrow(batch_bytes: float, workers: int) -> str | None:
    """Why batches of this size should go through pipes; None where shared memory has room for all that are under way.

    Processes of one machine share the memory: LOCAL_WORLD_SIZE, which launchers set, is their number.
    """
    needed = batch_bytes * (AHEAD * workers + 1) * int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if SHARED.is_dir() and (free := shutil.disk_usage(SHARED).free) < needed:
        return f"{SHARED} has {free / 1e6:.1f} MB free and the batches of {workers} workers need {needed / 1e6:.0f} MB"
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed != resource.RLIM_INFINITY and allowed < FILES:
        return f"a process may open {allowed} files only (ulimit -n)"
    return None


@dataclass(frozen=True)
class Piped:
    """A batch as pickle copies it: tensors as their bytes in the order of memory, with shape and strides."""

    tensors: dict
    sounds: dict
    others: dict

    @classmethod
    def of(cls, batch: Batch) -> "Piped":
        tensors = {name: _flat(value) for name, value in vars(batch).items() if isinstance(value, Tensor)}
        sounds = {name: _flat(sound) for name, sound in batch.sounds.items()}
        others = {name: value for name, value in vars(batch).items() if name not in tensors and name != "sounds"}
        return cls(tensors, sounds, others)

    def batch(self) -> Batch:
        return Batch(**_whole(self.tensors), sounds=_whole(self.sounds), **self.others)


def _flat(tensor: Tensor) -> tuple:
    """The numbers of a tensor as they lie in memory, which networks that keep channels last depend on; its form."""
    count = tensor.untyped_storage().nbytes() // tensor.element_size()
    flat = tensor.as_strided((count,), (1,), 0).numpy()
    return flat, (tensor.shape, tensor.stride(), tensor.storage_offset())


def _whole(parts: dict[str, tuple]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(flat).as_strided(*form) for name, (flat, form) in parts.items()}


@contextmanager
def deaths_named() -> Iterator[None]:
    """Context of a training, whatever part of which learns by a signal that a loader process died. Raises UserError."""
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise UserError(
            f"a loader process died ({str(error).splitlines()[0].rstrip('. ')}), perhaps for want of memory; fewer"
            " workers= or less cache_gb= need less; the same command continues from the last checkpoint"
        ) from None
