"""Small trainings of several processes, as a user launches them: what the scripts and tests around them share."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1",
    "model.frame_width=8", "batch_size=4", "validate_clips=2", "log_every=1", "deterministic=true", "precision=fp32",
)  # fmt: skip


def command(config: str, processes: int, *keys: str) -> list[str]:
    """``accelerate launch`` with a file of launch/accelerate on a free port."""
    return [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", f"launch/accelerate/{config}.yaml",
        "--num_processes", str(processes), "--main_process_port", "0", "slts/train.py", *TINY, *keys,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """One thread a process, and the programs beside this Python on PATH."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ACCELERATE_")}
    return {**inherited, "OMP_NUM_THREADS": "1", "PATH": path, "CUDA_VISIBLE_DEVICES": ""}


def launch(config: str, processes: int, *keys: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(config, processes, *keys), cwd=ROOT, env=environment(), capture_output=True, text=True
    )


def generated_corpus(folder: Path, clips: int = 48) -> Path:
    """Shards made by ``slts prepare``, once."""
    if not (folder / "corpus.json").exists():
        subprocess.run(
            [
                sys.executable, "-m", "slts.cli", "prepare", "corpus=synthetic", "profile=lagged", f"clips={clips}",
                "val=0.15", "test=0.1", "workers=1", f"out={folder}",
            ],
            cwd=ROOT, env=environment(), check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return folder


def differences(run: Path, other: Path) -> list[str]:
    """Names of what is not bit-identical in the last checkpoints of two runs: weights, optimiser, every rank's RNG."""
    found = []
    names = {file.name for at in (run, other) for file in (at / "last").glob("*.safetensors")}
    for name in sorted(names):
        one, two = load_file(run / "last" / name), load_file(other / "last" / name)
        found += [f"{name}: {key}" for key in one.keys() ^ two.keys()]
        found += [f"{name}: {key}" for key in one.keys() & two.keys() if not np.array_equal(one[key], two[key])]
    return found
