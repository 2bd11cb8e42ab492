"""Jobs as tasks of SLURM, whose commands are stubs that run them here: the bytes of one machine, whoever dies."""

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import slurm_stub
import soundfile
from metric_clips import speech_like

from slts import cli
from slts.data import slurm
from slts.data.slurm import Slurm
from slts.errors import UserError
from slts.evaluation.distributed import score_with
from slts.evaluation.sounds import read_pair
from slts.metrics import score_pairs

submitit = pytest.importorskip("submitit")
RECIPE = ("corpus=synthetic", "clips=12", "shard_clips=2", "size=32", "region=mouth", "faces=none")


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Path:
    """The folder of the stubs, which are on PATH."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sbatch", "sacct", "scancel", "srun"):
        (programs / name).write_text(f"#!{sys.executable}\n{Path(slurm_stub.__file__).read_text()}")
        (programs / name).chmod(0o755)
    (tmp_path / "cluster").mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_STUB", str(tmp_path / "cluster"))
    monkeypatch.setenv("SLTS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))  # nodes import tests
    monkeypatch.setattr(slurm, "POLL", 0.05)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 0.5)
    monkeypatch.setattr(submitit.SlurmJob, "watcher", type(submitit.SlurmJob.watcher)())  # the stub counts from 1 again
    return tmp_path / "cluster"


def states(cluster: Path) -> dict[str, str]:
    """Of all tasks, once they have ended, which is somewhat after their results are there."""
    while any(path.read_text().startswith("RUNNING") for path in cluster.glob("[0-9]*")):
        time.sleep(0.02)
    return {path.name: path.read_text() for path in cluster.glob("[0-9]*")}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_task_that_dies_changes_no_byte_and_nothing_is_left(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(slurm, "ROUNDS", 1)
    out = tmp_path / "corpus"
    (cluster / "kill").write_text("1_1 test-000000.tar")  # the second of three shards of the second task
    assert cli.run("prepare", [*RECIPE, "engine=slurm", "workers=2", f"out={out}"]) == 0
    assert cli.run("prepare", [*RECIPE, "workers=1", f"out={tmp_path}/here"]) == 0
    assert contents(out) == contents(tmp_path / "here")
    assert states(cluster) == {"1_0": "COMPLETED", "1_1": "NODE_FAIL", "2": "COMPLETED"}
    assert not any((tmp_path / "cache" / "slurm").iterdir())


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_tasks_score_as_this_machine_does_and_a_pair_that_crashes_costs_itself_alone(cluster, tmp_path):
    soundfile.write(tmp_path / "0.wav", speech_like(0), 16000)
    good = partial(read_pair, tmp_path / "0.wav", tmp_path / "0.wav")
    how = {"metrics": ["stoi", "a_stoi", "frontend_offset_ms"]}
    rows = score_with(Slurm((tmp_path,), 1), [good, crash, good], **how)
    assert rows[0] == rows[2] == score_pairs([good], **how)[0]
    assert rows[1]["reasons"] == dict.fromkeys(how["metrics"], "reading or scoring it crashed")


def divided(job: int, tick) -> float:
    tick()
    return 1 / job


def test_what_fails_on_a_node_is_one_line_and_ends_the_others(cluster, tmp_path):
    with pytest.raises(UserError, match=r"engine=slurm, node \S+: ZeroDivisionError: division by zero"):
        list(Slurm().run(divided, [1, 0], print))
    assert (cluster / "cancelled").read_text() == "1"
    stranger = Path("/proc/self/stat")  # another file in each process
    with pytest.raises(UserError, match=r"engine=slurm, node \S+: it does not see /proc/self/stat .*must share"):
        list(Slurm((stranger,)).run(divided, [1], print))


def test_a_task_that_cannot_start_is_one_line(cluster):
    with pytest.raises(UserError, match=r"engine=slurm: a task failed \(.*no such thing here.*\); its log: \S+\.out"):
        list(Slurm().run(divided, [Unknown()], print))


def test_a_task_whose_time_ends_is_given_again_as_it_is():
    task = slurm._Task(divided, "place")
    delayed = task.checkpoint(7)
    assert delayed.function == task and delayed.args == (7,)


@pytest.mark.parametrize("place", ["slurm", "."])
def test_where_others_could_put_what_tasks_load_nothing_is_begun(place, cluster, tmp_path, capsys):
    folder = tmp_path / "cache" / place
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    assert cli.run("prepare", [*RECIPE, "engine=slurm", f"out={tmp_path}/corpus"]) == 2
    said = capsys.readouterr().err
    assert f"others can change {folder.resolve()}, and" in said and len(said.splitlines()) == 1
    assert not (tmp_path / "corpus").exists() and not list(cluster.iterdir())
    folder.chmod(0o1777)  # as /tmp: what is there stays its owner's
    Slurm().join()


class Unknown:
    """What a node cannot load."""

    def __reduce__(self):
        return exec, ("raise ImportError('no such thing here')",)


@pytest.mark.parametrize("verb", ["prepare", "score"])
def test_a_command_without_a_cluster_or_with_one_that_refuses_leaves_nothing(verb, cluster, tmp_path, capsys):
    sound = tmp_path / "a" / "0.wav"
    sound.parent.mkdir()
    soundfile.write(sound, speech_like(0), 16000)
    out = tmp_path / "out.csv"
    words = {"prepare": [*RECIPE, f"out={out}"], "score": [f"reference={sound.parent}", f"generated={sound.parent}"]}
    words = [*words[verb], f"out={out}"]
    (cluster / "refuses").write_text("sbatch: error: invalid partition specified: gpu\nsbatch: error: Batch job failed")
    for keys, reason in (
        (["engine=slurm"], "sbatch takes no job (sbatch: error: invalid partition specified: gpu); mend"),
        (["engine=slurm", "address=localhost:1"], "is of a Ray cluster, and engine=slurm knows none"),
    ):
        assert cli.run(verb, [*words, *keys]) == 2
        said = capsys.readouterr().err
        assert reason in said and len(said.splitlines()) == 1 and not out.exists()
    (cluster / "refuses").unlink()
    (cluster / "no accounts").write_text("Slurm accounting storage is disabled")
    assert cli.run(verb, [*words, "engine=slurm"]) == 2
    said = capsys.readouterr().err
    assert "died (Slurm accounting storage is disabled); let" in said and not out.exists()
    os.environ["PATH"] = os.pathsep.join(os.environ["PATH"].split(os.pathsep)[1:])
    assert cli.run(verb, [*words, "engine=slurm"]) == 2
    said = capsys.readouterr().err
    assert "no sbatch here" in said and len(said.splitlines()) == 1 and not out.exists()
