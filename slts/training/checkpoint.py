"""Checkpoints: whole or absent, without pickle, the same under one process, DDP and ZeRO.

``checkpoints/step-NNNNNNNN/`` holds ``model.safetensors``, ``optimizer.safetensors``, ``rng-RRRRR.safetensors`` for
every rank and ``state.json`` (step, samples seen, best score, tracking id, size and SHA-256 of every file). The
learning rate follows from the step. Checkpoints from before there were hashes are known by their sizes alone.
"""

import json
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from slts.errors import UserError
from slts.files import sha256
from slts.training.state import TrainingState, read_state

ANOTHER = "take another checkpoint of the run, or train it again"


def save_checkpoint(
    folder: Path,
    state: TrainingState,
    model: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    rng: list[dict[str, Tensor]],
    keep: int,
) -> Path:
    """Writes ``folder/step-NNNNNNNN`` under a temporary name, makes it durable, renames it, then prunes.

    ``best`` and ``last`` beside ``folder`` are links to checkpoints; the newest ``keep`` and the best are kept. A save
    that is killed at any instant leaves ``last`` on a whole checkpoint.

    Raises:
        UserError: the disk is full or fails; the checkpoints that were there are as before.
    """
    final = folder / f"step-{state.step:08d}"
    last = folder.parent / "last"
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink() if leftover.is_symlink() else shutil.rmtree(leftover)
    if last.resolve() != final.resolve() or not final.is_dir():
        temporary = folder / f".{final.name}.tmp"
        try:
            _write(temporary, state, model, optimizer, rng)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(temporary, ignore_errors=True)
            whole = (
                f"training continues from {last.resolve().name}" if last.exists() else "there is no other checkpoint"
            )
            reason = getattr(error, "strerror", None) or error
            needed = sum(value.nbytes for value in (*model.values(), *optimizer.values()))
            raise UserError(
                f"{final} cannot be written ({reason}; it takes {needed / 1e6:.0f} MB,"
                f" {shutil.disk_usage(folder).free / 1e6:.0f} are free there); free space or mend the disk, and give"
                f" the same command again: {whole}"
            ) from None
        if final.exists():
            _remove(final)
        os.rename(temporary, final)
        _sync(folder)
        _link(last, final)
    link_best(folder.parent, state)
    kept = {f"step-{state.best_step:08d}"} if state.best_step is not None else set()
    for old in sorted(folder.glob("step-*"))[:-keep]:
        if old.name not in kept:
            _remove(old)
    return final


def _write(
    temporary: Path,
    state: TrainingState,
    model: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    rng: list[dict[str, Tensor]],
) -> None:
    temporary.mkdir()
    save_file({name: value.contiguous() for name, value in model.items()}, temporary / "model.safetensors")
    save_file({name: value.contiguous() for name, value in optimizer.items()}, temporary / "optimizer.safetensors")
    for rank, tensors in enumerate(rng):
        save_file(tensors, temporary / f"rng-{rank:05d}.safetensors")
    files = sorted(temporary.iterdir())
    sizes, hashes = {file.name: file.stat().st_size for file in files}, {file.name: sha256(file) for file in files}
    (temporary / "state.json").write_text(json.dumps({**asdict(state), "files": sizes, "sha256": hashes}))
    for file in temporary.iterdir():
        _sync(file)
    _sync(temporary)


def find_checkpoint(run: Path, name: str) -> Path | None:
    """The checkpoint that the run's link ``name`` (best or last) points to; None where it points to nothing.

    Raises:
        UserError: it points to something else than a checkpoint of the run.
    """
    link, checkpoints = run / name, run / "checkpoints"
    if not link.exists():
        return None
    if not link.is_symlink():  # copied without links
        return link
    target = link.resolve()
    if target.parent != checkpoints.resolve() or not re.fullmatch(r"step-\d+", target.name):
        raise UserError(
            f"{link} points to {target}, which is no checkpoint of this run; remove this link, not its target"
        )
    return checkpoints / target.name


def last_checkpoint(run: Path) -> Path | None:
    """The checkpoint that the run in this folder continues from; None before the first.

    Raises:
        UserError: it is not whole. Once its folder is deleted, the newest whole one takes its place.
    """
    last = find_checkpoint(run, "last")
    damage = _damage(last) if last else None
    if last and not damage:
        return last
    others = (folder for folder in sorted((run / "checkpoints").glob("step-*"), reverse=True) if folder != last)
    whole = next((folder for folder in others if _damage(folder) is None), None)
    if damage:
        fallback = f"training then continues from {whole.name}" if whole else "training then starts anew"
        raise UserError(f"{last} is damaged ({damage}); delete this folder, {fallback}")
    return whole


def _damage(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint's files by its state.json; every byte is read."""
    try:
        sizes = read_state(checkpoint)["files"]
    except UserError:
        return "state.json is not of slts train" if (checkpoint / "state.json").exists() else "state.json is missing"
    return next((damage for name in sizes if (damage := _file_damage(checkpoint / name))), None)


def _file_damage(file: Path) -> str | None:
    state = read_state(file.parent) if (file.parent / "state.json").exists() else {"files": {}, "sha256": {}}
    try:
        if (found := file.stat().st_size) != (size := state["files"].get(file.name, found)):
            return f"{file.name} has {found} of {size} bytes"
        if (digest := state["sha256"].get(file.name)) and sha256(file) != digest:
            return f"the SHA-256 of {file.name} is not that of state.json"
    except FileNotFoundError:
        return f"{file.name} is missing"
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror})"
    return None


def load_weights(checkpoint: Path, model: torch.nn.Module) -> None:
    """Raises UserError for a damaged file or weights of another architecture."""
    try:
        model.load_state_dict(_load(checkpoint / "model.safetensors"))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise UserError(
            f"{checkpoint} holds weights of another model: {first}; choose another name= or the version of slts that "
            "trained it"
        ) from None


def check_weights(checkpoint: Path, model: torch.nn.Module) -> None:
    """Refuses weights of other names or shapes than the model's by the file's header; the model may be on torch's meta
    device, where it needs no memory. Raises UserError."""
    file = checkpoint / "model.safetensors"
    try:
        with safe_open(file, "pt") as weights:
            names = weights.keys()
            found = {name: list(weights.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{file} cannot be read ({_file_damage(file) or error}); {ANOTHER}") from None
    own = {name: list(value.shape) for name, value in model.state_dict().items()}
    if differing := [name for name in sorted({*own, *found}) if own.get(name) != found.get(name)]:
        first = differing[0]
        raise UserError(
            f"{checkpoint} holds weights of another model: {first} is {found.get(first, 'not in it')}, and by the run's"
            f" config.yaml {own.get(first, 'there is none')}; restore config.yaml, or use the version of slts that"
            " trained it"
        )


def warm_start(run: Path, model: torch.nn.Module) -> list[str]:
    """Gives the model the best weights of another run; returns the names of its networks that the run has not.

    What the run has beyond the model is left out.

    Raises:
        UserError: no run, no checkpoint yet, or a network of both that differs.
    """
    checkpoint = find_checkpoint(run, "best")
    if checkpoint is None:
        raise UserError(f"warm_start={run} holds no checkpoint; give the folder of a run of slts train")
    known, own = _load(checkpoint / "model.safetensors"), model.state_dict()
    networks = {_network(name) for name in known}
    shared = {name: value for name, value in own.items() if _network(name) in networks}
    for name, value in shared.items():
        if name not in known or known[name].shape != value.shape:
            raise UserError(
                f"warm_start={run}: its {_network(name)} is another ({name} differs); give the same model=,"
                " vocoder= and speakers as there"
            )
    model.load_state_dict(own | {name: known[name] for name in shared})
    return sorted({_network(name) for name in own} - networks)


def _network(parameter: str) -> str:
    """A critic is a network of its own: one may begin against a vocoder that was trained without."""
    before, critic, _ = parameter.partition("critic.")
    return f"{before}critic" if critic else parameter.partition(".")[0]


def load_optimizer(checkpoint: Path, parameters: list[Tensor]) -> list[dict[str, Tensor]]:
    """State of each of the optimiser's parameters, in the order of its groups.

    Raises:
        UserError: a damaged file, or state of other parameters.
    """
    state: list[dict[str, Tensor]] = [{} for _ in parameters]
    for name, value in _load(checkpoint / "optimizer.safetensors").items():
        index, _, key = name.partition(".")
        fits = (
            index.isdigit() and int(index) < len(state) and value.shape in ((), state and parameters[int(index)].shape)
        )
        if not fits:
            raise UserError(
                f"{checkpoint}/optimizer.safetensors belongs to another model ({name}); choose another name="
            )
        state[int(index)][key] = value
    return state


def _load(file: Path) -> dict[str, Tensor]:
    """Raises UserError for a file that is not as it was written, and for numbers that are not finite."""
    damage = _file_damage(file)
    try:
        tensors = {} if damage else load_file(file)
    except (OSError, SafetensorError) as error:
        damage = str(error)
    if damage:
        raise UserError(f"{file} cannot be read ({damage}); {ANOTHER}")
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise UserError(f"{file}: {name} is not finite; {ANOTHER}")
    return tensors


def link_best(run: Path, state: TrainingState) -> None:
    """Points ``best`` to the checkpoint with the best score, where there is one."""
    if state.best_step is not None and (best := run / "checkpoints" / f"step-{state.best_step:08d}").is_dir():
        _link(run / "best", best)


def _link(link: Path, target: Path) -> None:
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    os.replace(temporary, link)
    _sync(link.parent)


def _remove(folder: Path) -> None:
    """Takes the name away first: a folder that is called a checkpoint is whole even if the removal is cut short. Of a
    link only the link goes."""
    if folder.is_symlink():
        folder.unlink()
        return
    going = folder.with_name(f".{folder.name}.old.tmp")
    os.rename(folder, going)
    shutil.rmtree(going)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
