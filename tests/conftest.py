"""What test folders share: the real clips if present, a tiny generated corpus, the commands as a user calls them."""

import os
import subprocess
import sys
import tempfile
from multiprocessing import forkserver
from pathlib import Path

import pytest
from forked import FORKED, PATIENCE, ROOT, run_command, status


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: on a whole file, which then is begun first, so that none ends alone")
    if hasattr(config, "workerinput"):  # at once: whoever asks for a server first says what it imports
        forkserver.ensure_running()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


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
    """Runs ``slts ...`` in a process of its own in ``cwd``, as a user does; with variables of others than slts, which
    may be read where they are imported, in a fresh interpreter, else forked from one that has imported everything,
    which is what most commands would wait for."""
    words, variables = [str(argument) for argument in arguments], {**os.environ, **environment}
    if not all(name.startswith("SLTS_") for name in environment):
        command = [sys.executable, "-m", "slts.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=variables, timeout=PATIENCE)
    else:
        with tempfile.TemporaryDirectory() as folder:
            out, err = (Path(folder, name) for name in ("out", "err"))
            process = FORKED.Process(target=run_command, args=(words, str(cwd), variables, str(out), str(err)))
            process.start()
            exit_status = status(process)
            done = subprocess.CompletedProcess(words, exit_status, out.read_text(), err.read_text())
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done


@pytest.fixture(scope="session")
def tiny_corpus(tmp_path_factory) -> Path:
    """Shards of 24 generated clips on the lagged profile, made by the real command."""
    out = tmp_path_factory.mktemp("corpus") / "tiny"
    slts("prepare", "corpus=synthetic", "profile=lagged", "clips=24", "val=0.2", "test=0.2", "workers=1", f"out={out}")
    return out


@pytest.fixture(scope="session")
def speaking(tiny_corpus, tmp_path_factory) -> Path:
    """A run of task=slts after one step."""
    from ranks import TINY

    runs = tmp_path_factory.mktemp("speaking")
    slts("train", f"data={tiny_corpus}", f"runs={runs}", "name=a", *TINY, "steps=1", "validate_every=1")
    return runs / "a"


@pytest.fixture(scope="session")
def drawing(tiny_corpus, tmp_path_factory) -> Path:
    """A run of task=wav2lip after one step."""
    runs = tmp_path_factory.mktemp("dubbing")
    slts("train", f"data={tiny_corpus}", f"runs={runs}", "name=lips", "experiment=wav2lip_cpu", "tracking=none",
         "steps=1", "validate_every=1", "validate_clips=1", "model.width=0.125", "batch_size=4")  # fmt: skip
    return runs / "lips"
