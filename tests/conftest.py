"""What test folders share: the real clips if present, a tiny generated corpus, the commands as a user calls them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def grid() -> Path:
    """Folder of real GRID clips; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("SLTS_GRID", ROOT.parent / "shared" / "grid"))
    if not (folder / "s1").is_dir():
        pytest.skip("no GRID clips; set SLTS_GRID to a folder that holds s1/")
    return folder


@pytest.fixture(scope="session")
def cases() -> Path:
    """Folder of small inputs that failed once; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("SLTS_CASES", ROOT.parent / "shared" / "cases"))
    if not (folder / "score").is_dir():
        pytest.skip("no folder of failing inputs; SLTS_CASES names another")
    return folder


def slts(*arguments: str, check: bool = True, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Runs ``slts ...`` in a fresh process in ``cwd``, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "slts.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    """Shards of 24 generated clips on the lagged profile, made by the real command."""
    out = tmp_path_factory.mktemp("corpus") / "tiny"
    slts("prepare", "corpus=synthetic", "profile=lagged", "clips=24", "val=0.2", "test=0.2", "workers=1", f"out={out}")
    return out
