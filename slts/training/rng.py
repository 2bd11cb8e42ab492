"""The random generators of a process: Python, NumPy, torch and, where there is one, the current CUDA device."""

import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from slts.errors import UserError


def rng_state() -> dict[str, Tensor]:
    """The state as tensors that safetensors can hold."""
    _, words, gauss = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        "python": torch.tensor(words, dtype=torch.int64),
        "python_gauss": torch.tensor([math.nan if gauss is None else gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(keys.astype(np.int64)),
        "numpy_position": torch.tensor([position, has_gauss]),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def set_rng_state(state: dict[str, Tensor]) -> None:
    """Puts back what ``rng_state`` returned."""
    gauss = state["python_gauss"].item()
    random.setstate((3, tuple(state["python"].tolist()), None if math.isnan(gauss) else gauss))
    position, has_gauss = state["numpy_position"].tolist()
    np.random.set_state(("MT19937", state["numpy"].numpy(), position, has_gauss, state["numpy_gauss"].item()))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def restore_rng(checkpoint: Path, rank: int) -> None:
    """Puts back a rank's state; a rank that was not there when the checkpoint was made keeps its seed.

    Raises:
        UserError: what is there is no state of random generators.
    """
    file = checkpoint / f"rng-{rank:05d}.safetensors"
    try:
        if file.exists():
            set_rng_state(load_file(file))
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file} cannot be read ({reason}); delete the checkpoint {checkpoint}") from None


@contextmanager
def rng_aside() -> Iterator[None]:
    """Whatever is drawn inside does not change what is drawn after."""
    state = rng_state()
    try:
        yield
    finally:
        set_rng_state(state)
