"""Weights and state by somebody else, or from a failing disk."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from attacks.scene import Attack, Scene

Change = Callable[[Path, Scene], object]
WEIGHTS, STATE = "model.safetensors", "state.json"


def cut(file: Path, scene: Scene) -> None:
    file.write_bytes(file.read_bytes()[:-500])


def flip(file: Path, scene: Scene) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)


def empty(file: Path, scene: Scene) -> None:
    file.write_bytes(b"")


def remove(file: Path, scene: Scene) -> None:
    file.unlink()


def not_finite(file: Path, scene: Scene) -> None:
    weights = load_file(file)
    name = next(name for name, value in weights.items() if value.dtype == np.float32 and value.size > 1)
    save_file(weights | {name: np.full_like(weights[name], np.nan)}, file)
    fit(file)


def pickle(file: Path, scene: Scene) -> None:
    file.write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % os.fsencode(scene.canary))
    fit(file)


def written(content: bytes) -> Change:
    def change(file: Path, scene: Scene) -> None:
        file.write_bytes(content)
        if file.name != STATE:
            fit(file)

    return change


def fit(file: Path) -> None:
    """Writes size and SHA-256 of a file into the state.json beside it, as whoever means harm would."""
    state = json.loads((file.parent / STATE).read_text())
    content = file.read_bytes()
    state["files"][file.name], state["sha256"][file.name] = len(content), hashlib.sha256(content).hexdigest()
    (file.parent / STATE).write_text(json.dumps(state))


DAMAGED: dict[str, tuple[str, Change]] = {
    "weights cut": (WEIGHTS, cut),
    "weights empty": (WEIGHTS, empty),
    "weights gone": (WEIGHTS, remove),
    "a bit of the weights": (WEIGHTS, flip),
    "weights of NaN": (WEIGHTS, not_finite),
    "weights that are a page": (WEIGHTS, written(b"<html>404</html>")),
    "weights that are a pickle": (WEIGHTS, pickle),
    "a header of petabytes": (WEIGHTS, written(b"\xff" * 8 + b"{}")),
    "state empty": (STATE, empty),
    "state a list": (STATE, written(b"[]")),
    "state without a step": (STATE, written(b"{}")),
    "state not UTF-8": (STATE, written(b"\xff\xfe{}")),
}
"""What every command that reads weights meets."""
IN_TRAINING: dict[str, tuple[str, Change]] = {
    f"{name} of {part}": (f"{file}.safetensors", change)
    for part, file in (("the optimiser", "optimizer"), ("the random numbers", "rng-00000"))
    for name, change in (("a bit", flip), ("a pickle", pickle), ("a header of petabytes", written(b"\xff" * 8 + b"{}")))
}


def damaged(run: Path, file: str, change: Change, scene: Scene) -> Path:
    for checkpoint in (run / "checkpoints").iterdir():
        change(checkpoint / file, scene)
    return run


def attacks() -> Iterator[Attack]:
    for what, place in DAMAGED.items():

        def evaluate(scene: Scene, place=place) -> list[str]:
            return ["evaluate", f"run={damaged(scene.own_run(), *place, scene)}", "split=val"]

        def offsets(scene: Scene, place=place) -> list[str]:
            run = damaged(scene.own_run(), *place, scene)
            return ["offsets", f"run={run}", f"data={scene.video}", f"out={scene.folder}/o.csv"]

        yield Attack(f"checkpoint: {what}, evaluate", evaluate)
        yield Attack(f"checkpoint: {what}, offsets", offsets)

    for what, place in (DAMAGED | IN_TRAINING).items():

        def resume(scene: Scene, place=place) -> list[str]:
            damaged(scene.own_unfinished_run(), *place, scene)
            return scene.train(scene.corpus)

        yield Attack(f"checkpoint: {what}, train on", resume)

    def elsewhere(scene: Scene) -> list[str]:
        path = scene.own_run()
        for name in ("last", "best"):
            (path / name).unlink()
            (path / name).symlink_to("/etc")
        return ["evaluate", f"run={path}", "split=val"]

    yield Attack("checkpoint: best leads to /etc", elsewhere)
