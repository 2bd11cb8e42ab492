"""Checkpoints: whole or absent, without pickle.

``checkpoints/step-NNNNNNNN/`` holds ``model.safetensors``, ``optimizer.safetensors``, ``rng-RRRRR.safetensors`` for
every rank and ``state.json`` (step, samples seen, best score, tracking id). The learning rate follows from the step.
"""

import json
import os
import random
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from slts.errors import UserError


@dataclass
class TrainingState:
    """Where training stands."""

    step: int = 0
    samples: int = 0
    """Samples taken from the endless stream of the loader, over all ranks."""
    best_score: float | None = None
    best_step: int | None = None
    tracking_id: str | None = None


def save_checkpoint(
    folder: Path,
    state: TrainingState,
    model: dict[str, Tensor],
    optimizer: dict,
    rng: list[dict[str, Tensor]],
    keep: int,
) -> Path:
    """Writes ``folder/step-NNNNNNNN`` under a temporary name, makes it durable, renames it, then prunes.

    ``best`` and ``last`` beside ``folder`` are links to checkpoints; the newest ``keep`` and the best are kept.
    """
    final = folder / f"step-{state.step:08d}"
    temporary = folder / f".{final.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    save_file({name: value.contiguous() for name, value in model.items()}, temporary / "model.safetensors")
    save_file(_flatten(optimizer), temporary / "optimizer.safetensors")
    for rank, tensors in enumerate(rng):
        save_file(tensors, temporary / f"rng-{rank:05d}.safetensors")
    (temporary / "state.json").write_text(json.dumps(asdict(state)))
    for file in temporary.iterdir():
        _sync(file)
    if final.exists():
        shutil.rmtree(final)
    os.rename(temporary, final)
    _sync(folder)
    _link(folder.parent / "last", final)
    if state.best_step == state.step:
        _link(folder.parent / "best", final)
    kept = {f"step-{state.best_step:08d}"} if state.best_step is not None else set()
    for old in sorted(folder.glob("step-*"))[:-keep]:
        if old.name not in kept:
            shutil.rmtree(old)
    return final


def load_state(checkpoint: Path) -> TrainingState:
    return TrainingState(**json.loads((checkpoint / "state.json").read_text()))


def load_weights(checkpoint: Path, model: torch.nn.Module) -> None:
    """Raises UserError for a damaged file or weights of another architecture."""
    try:
        model.load_state_dict(load_file(checkpoint / "model.safetensors"))
    except (OSError, SafetensorError) as error:
        raise UserError(f"{checkpoint}/model.safetensors cannot be read ({error}); delete this checkpoint") from None
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UserError(f"{checkpoint} holds weights of another model: {first}") from None


def load_optimizer(checkpoint: Path, optimizer: torch.optim.Optimizer) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in load_file(checkpoint / "optimizer.safetensors").items():
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _flatten(optimizer: dict) -> dict[str, Tensor]:
    return {f"{i}.{key}": value.contiguous() for i, slots in optimizer["state"].items() for key, value in slots.items()}


def rng_state() -> dict[str, Tensor]:
    """The generators of this process: Python, NumPy, torch and, where there is one, the current CUDA device."""
    _, words, _ = random.getstate()
    _, keys, position, has_gauss, cached = np.random.get_state()
    state = {
        "python": torch.tensor(words, dtype=torch.int64),
        "numpy": torch.from_numpy(keys.astype(np.int64)),
        "numpy_position": torch.tensor([position, has_gauss]),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    return state | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def restore_rng(checkpoint: Path, rank: int) -> None:
    """Puts back what ``rng_state`` returned; a rank that was not there when the checkpoint was made keeps its seed."""
    file = checkpoint / f"rng-{rank:05d}.safetensors"
    if not file.exists():
        return
    state = load_file(file)
    random.setstate((3, tuple(state["python"].tolist()), None))
    position, has_gauss = state["numpy_position"].tolist()
    np.random.set_state(("MT19937", state["numpy"].numpy(), position, has_gauss, state["numpy_gauss"].item()))
    torch.set_rng_state(state["torch"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])


def _link(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    os.replace(temporary, link)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
