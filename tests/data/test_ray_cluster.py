"""A Ray cluster of two nodes on this machine, a core each, gives the same bytes as this machine alone.

All tests are one program to Ray, so that its processes import what they need once. None may wait for ever.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import pytest
import soundfile
from metric_clips import speech_like
from ray_nodes import ENVIRONMENT, Nodes

from slts import cli
from slts.data import ray_cluster
from slts.data.ray_cluster import RayCluster
from slts.data.verification import verify_corpus
from slts.errors import UserError
from slts.evaluation.distributed import score_with
from slts.evaluation.sounds import read_pair
from slts.metrics import score_pairs
from slts.offsets.shipped import load_shipped
from slts.reporting.sensitivity import delayed
from slts.systems.trained import load_run

ray = pytest.importorskip("ray")
RECIPE = ("corpus=synthetic", "clips=24", "shard_clips=2", "size=32", "region=mouth", "faces=none")
PATIENCE = 300
"""Seconds that a test, or what it stands on, may take on a busy machine."""


@contextmanager
def limited() -> Iterator[None]:
    def stop(*_):
        raise TimeoutError(f"not done after {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def no_waiting_for_ever():
    with limited():
        yield


@pytest.fixture(scope="module")
def nodes():
    with pytest.MonkeyPatch.context() as patch:
        for name, text in ENVIRONMENT.items():
            patch.setenv(name, text)
        nodes = Nodes(2)
        try:
            with limited():
                RayCluster(nodes.address).join()
            yield nodes
        finally:
            ray.shutdown()
            nodes.stop()


@pytest.fixture(scope="module")
def prepared(nodes, tmp_path_factory) -> Path:
    """What was made while one of the two nodes was killed."""
    out = tmp_path_factory.mktemp("prepared") / "corpus"

    def kill() -> None:
        while len(list(out.glob("*.tar"))) < 4:
            time.sleep(0.02)
        nodes.kill(2)

    killing = threading.Thread(target=kill, daemon=True)
    killing.start()
    with limited():
        assert cli.run("prepare", [*RECIPE, "engine=ray", f"address={nodes.address}", f"out={out}"]) == 0
    assert not killing.is_alive()
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_node_that_dies_changes_no_byte(prepared, tmp_path):
    assert cli.run("prepare", [*RECIPE, "workers=1", f"out={tmp_path}/corpus"]) == 0
    assert contents(prepared) == contents(tmp_path / "corpus")
    assert len(list(prepared.glob("*.tar"))) == 12


def test_a_cluster_verifies_as_this_machine_does(prepared):
    assert verify_corpus(prepared, RayCluster(None, (prepared / "corpus.json",))) == verify_corpus(prepared)


def test_a_cluster_measures_offsets_as_this_machine_does(prepared, nodes, tmp_path):
    where = {"ray": ["engine=ray", f"address={nodes.address}"], "local": ["workers=1"]}
    for name, keys in where.items():
        assert cli.run("offsets", [f"data={prepared}", f"out={tmp_path}/{name}.csv", *keys]) == 0
    assert (tmp_path / "ray.csv").read_bytes() == (tmp_path / "local.csv").read_bytes()
    assert len((tmp_path / "ray.csv").read_text().splitlines()) == 25


def test_a_cluster_scores_as_this_machine_does(nodes, tmp_path):
    speech = speech_like(0)
    sounds = [speech, delayed(speech, 640), 0 * speech]
    for number, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{number}.wav", sound, 16000)
    pairs = [partial(read_pair, tmp_path / "0.wav", tmp_path / f"{number}.wav") for number in range(len(sounds))]
    pairs.append((speech, delayed(speech, 320)))
    how = {"metrics": ["stoi", "pesq", "a_stoi", "frontend_offset_ms"], "pesq_mode": "nb", "stoi": "own"}
    rows = score_with(RayCluster(None, (tmp_path,)), pairs, **how)
    assert rows == score_pairs(pairs, **how)
    assert rows[1]["frontend_offset_ms"] == 40 and rows[2]["reasons"] and rows[3]["frontend_offset_ms"] == 20


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_pair_that_crashes_its_process_costs_itself_alone(nodes):
    speech = speech_like(0)
    rows = score_with(RayCluster(None), [(speech, speech), crash, (speech, 0.5 * speech)], metrics=["stoi", "estoi"])
    assert rows[0]["stoi"] == pytest.approx(1) and rows[2]["stoi"] == pytest.approx(1)
    assert rows[1]["reasons"] == dict.fromkeys(["stoi", "estoi"], "reading or scoring it crashed")


def doomed(job: int, tick) -> None:
    os._exit(1)


def test_a_job_that_always_dies_is_one_line(nodes, monkeypatch):
    monkeypatch.setattr("slts.data.nodes.RETRIES", 1)
    with pytest.raises(UserError, match="a job died 2 times, with its node or its process; see ray's logs"):
        on_cluster(doomed, 1)


def divided(job: int, tick) -> float:
    return 1 / job


def closed(job: str, tick) -> None:
    os.chmod(job, 0o600)


def named(job, tick) -> str:
    return job.config.name


def on_cluster(function, job, *shared: Path) -> list:
    return list(RayCluster(None, shared).run(function, [job], print))


def test_results_come_in_the_order_of_the_jobs(nodes):
    assert list(RayCluster(None, workers=1).run(divided, [1, 2, 4], print)) == [1, 0.5, 0.25]


def test_what_fails_on_a_node_is_one_line(nodes):
    with pytest.raises(UserError, match=r"engine=ray, node \S+: ZeroDivisionError: division by zero"):
        on_cluster(divided, 0)
    with pytest.raises(UserError, match=r"node \S+: .*operation not permitted; mend its permissions"):
        on_cluster(closed, "/proc/self/stat")
    stranger = Path("/proc/self/stat")  # another file in each process
    with pytest.raises(UserError, match=r"node \S+: it does not see /proc/self/stat .*must share"):
        on_cluster(divided, 1, stranger)


def test_a_node_unlike_this_machine_is_one_line(nodes, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("slts.data.nodes.versions", lambda: {"slts": "0.0", "av": av.__version__})
        with pytest.raises(UserError, match=r"it has slts \S+.* and not slts 0\.0.*; install the same on every node"):
            on_cluster(divided, 1)
    monkeypatch.setattr(av, "codecs_available", {*av.codecs_available, "av9"})
    with pytest.raises(UserError, match=r"its PyAV has no codec av9; install the same build"):
        on_cluster(divided, 1)


def test_a_node_without_the_weights_is_one_line(nodes, tmp_path):
    run = load_shipped()
    assert on_cluster(named, run) == ["offset_estimator.safetensors"]
    other = replace(run)
    other.weights_sha256 = "0"
    with pytest.raises(UserError, match=r"offset_estimator\S*: its weights are not those of the process that gave"):
        on_cluster(named, other)
    other.origin = load_run, f"{tmp_path}/run", "best"
    with pytest.raises(UserError, match=rf"engine=ray, node \S+: .*{tmp_path}/run"):
        on_cluster(named, other)


class NobodyLeft:
    """Ray once every node with a core has died."""

    @staticmethod
    def remote(**_):
        return lambda function: function

    @staticmethod
    def wait(references, num_returns, timeout):
        return [], references

    @staticmethod
    def cluster_resources():
        return {"memory": 1.0}


def test_jobs_do_not_wait_for_nodes_that_are_gone():
    with pytest.raises(UserError, match="no node of the cluster is left with a core"):
        ray_cluster._Jobs(NobodyLeft, divided, None, 1).one_done([1])


@pytest.mark.parametrize("address", ["localhost:1", "ray://localhost:1", "localhost", "localhost:99999"])
def test_no_cluster_at_the_address_is_one_line(address):
    with pytest.raises(UserError, match=f"address={address}: n"):
        RayCluster(address).join()


@pytest.mark.parametrize(("answer", "said"), [(b"", "no cluster there .*timed out"), (b"HTTP/1.1 4", "something else")])
def test_whoever_else_listens_at_the_address_is_found_out(answer, said, monkeypatch):
    monkeypatch.setattr(ray_cluster, "ANSWER", 60 if answer else 0.3)
    asked = threading.Event()
    with socket.create_server(("localhost", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(answer)
                asked.wait()

        threading.Thread(target=serve, daemon=True).start()
        with pytest.raises(UserError, match=said):
            RayCluster(f"localhost:{server.getsockname()[1]}").join()
        asked.set()


def test_a_command_without_a_cluster_leaves_nothing(tmp_path, capsys):
    for keys in (["address=localhost:6379"], ["engine=ray", "address=localhost:1"]):
        assert cli.run("prepare", [*RECIPE, *keys, f"out={tmp_path}/corpus"]) == 2
        said = capsys.readouterr().err
        assert "address=localhost:" in said and len(said.splitlines()) == 1 and not (tmp_path / "corpus").exists()
