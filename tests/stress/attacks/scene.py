"""What an attack is, and what it may use."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

TINY = [
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8",
    "steps=2", "validate_every=1", "validate_clips=2", "batch_size=2", "log_every=1", "workers=0",
]  # fmt: skip
"""Keys of the shortest training."""


@dataclass
class Scene:
    """What an attack may use: its own ``folder``, and pristine files that it copies from."""

    folder: Path
    corpus: Path
    run: Path
    speaker: str
    """One that the run knows."""
    video: Path
    canary: Path
    """Appears where something of the attack was executed."""

    @property
    def here(self) -> Path:
        """The current folder of the command, empty; nobody writes into it but by a name that was executed."""
        return self.folder / "here"

    def own_run(self) -> Path:
        """A copy of the run, and of its corpus where its config looks for it."""
        shutil.copytree(self.run, self.folder / "runs" / "r", symlinks=True)
        return self.folder / "runs" / "r"

    def own_unfinished_run(self) -> Path:
        """``own_run`` as it was after the first step of two."""
        run = self.own_run()
        shutil.rmtree(run / "checkpoints" / "step-00000002")
        for link in (run / "last", run / "best"):
            link.unlink()
            link.symlink_to("checkpoints/step-00000001")
        return run

    def own_corpus(self) -> Path:
        shutil.copytree(self.corpus, self.folder / "corpus")
        return self.folder / "corpus"

    def train(self, data: Path) -> list[str]:
        return ["train", f"data={data}", "name=r", f"runs={self.folder / 'runs'}", *TINY]

    def pipe(self) -> str:
        """A command that leaves the canary."""
        return f"pipe:touch {self.canary} {{name}}"


@dataclass(frozen=True)
class Attack:
    name: str
    command: Callable[[Scene], list[str]]
    """Sets the scene; the arguments of slts."""
    refused: bool = True
    """Whether the command must not succeed."""


def alias_bomb() -> str:
    """A list in YAML whose last element stands for 8 ** 12 words."""
    lists = ["&a0 [x, x, x, x, x, x, x, x]"]
    lists += [f"&a{i} [{', '.join([f'*a{i - 1}'] * 8)}]" for i in range(1, 12)]
    return f"[{', '.join(lists)}]"
