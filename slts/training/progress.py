"""What a person sees of training: a bar in a terminal, a line now and then elsewhere."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress:
    """Context manager around a training run of ``steps``, standing at ``done``; silent unless ``visible``."""

    def __init__(self, steps: int, done: int, visible: bool):
        self.visible, self.terminal, self.done = visible, sys.stdout.isatty(), done
        self.console = Console(highlight=False, soft_wrap=True)
        self.bar = RichProgress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.description}"),
            console=self.console,
            disable=not (visible and self.terminal),
        )
        self.row = self.bar.add_task("", total=steps, completed=done)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, *_) -> None:
        self.bar.stop()

    def advance(self) -> None:
        self.done += 1
        self.bar.update(self.row, completed=self.done)

    def show(self, means: dict[str, float]) -> None:
        """Latest means of the losses and the throughput."""
        losses = "  ".join(f"{k.removeprefix('loss/')} {v:.3f}" for k, v in means.items() if k.startswith("loss/"))
        text = f"{losses}  {means['train/clips_per_second']:.1f} clips/s"
        self.bar.update(self.row, description=text)
        if not self.terminal:
            self.note(f"step {self.done}: {text}")

    def note(self, line: str) -> None:
        if self.visible:
            self.console.print(line)
