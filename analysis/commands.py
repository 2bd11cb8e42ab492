"""slts's commands as the scripts beside this one give them: runs are made once, and an interrupted script goes on."""

import subprocess
import sys
import time
from pathlib import Path


def slts(*arguments: object) -> None:
    """Gives a command of slts; ends the script with what it printed if it fails."""
    python("-m", "slts.cli", *arguments)


def python(*arguments: object) -> None:
    """Runs Python as this script's; ends the script as ``slts`` does."""
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def train(run: Path, data: Path, steps: int | str, *keys: str) -> Path:
    """The run, trained to ``steps`` unless it has them; prints how long it took."""
    if not (run / "checkpoints" / f"step-{int(steps):08d}").is_dir():
        began = time.time()
        usual = ("tracking=none", "keep_checkpoints=1", f"steps={steps}")
        slts("train", f"data={data}", f"runs={run.parent}", f"name={run.name}", *usual, *keys)
        print(f"{run}: {time.time() - began:.0f} s", flush=True)
    return run


def arguments() -> dict[str, str]:
    """The KEY=VALUE arguments of the script."""
    return dict(argument.split("=", 1) for argument in sys.argv[1:])
