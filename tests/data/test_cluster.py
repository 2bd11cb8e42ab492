"""A Ray cluster of two nodes on this machine, a core each, makes the same corpus as this machine alone."""

import json
import operator
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
import soundfile
from conftest import slts
from metric_clips import speech_like

from slts.data.cluster import Cluster
from slts.data.verification import verify_corpus
from slts.errors import UserError
from slts.evaluation.distributed import score_on
from slts.evaluation.sounds import read_pair
from slts.metrics import score_pairs
from slts.reporting.sensitivity import delayed

ray = pytest.importorskip("ray")
RECIPE = ("corpus=synthetic", "clips=24", "shard_clips=2", "size=32", "region=mouth", "faces=none")


@pytest.fixture(scope="module")
def nodes():
    """The head and another node."""
    from ray.cluster_utils import Cluster as Nodes

    settings = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_log_monitor": False}
    with tempfile.TemporaryDirectory(prefix="ray") as folder:  # its sockets' names may not be long
        nodes = Nodes(initialize_head=True, head_node_args={**settings, "include_dashboard": False, "temp_dir": folder})
        nodes.add_node(**settings)
        yield nodes
        nodes.shutdown()


@pytest.fixture(scope="module")
def prepared(nodes, tmp_path_factory) -> Path:
    """What was made while one of the two nodes was killed."""
    out = tmp_path_factory.mktemp("prepared") / "corpus"
    with ThreadPoolExecutor(1) as pool:
        command = pool.submit(slts, "prepare", *RECIPE, "engine=ray", f"address={nodes.address}", f"out={out}")
        while len(list(out.glob("*.tar"))) < 4 and not command.done():
            time.sleep(0.02)
        nodes.remove_node(next(node for node in nodes.list_all_nodes() if not node.head), allow_graceful=False)
        command.result()
    return out


@pytest.fixture(scope="module")
def connected(nodes, prepared):
    """This process is connected, as a program of a user may be; after the death, which Ray might wait for."""
    ray.init(nodes.address, log_to_driver=False)
    yield
    ray.shutdown()


def test_a_node_that_dies_changes_no_byte(prepared, tmp_path):
    slts("prepare", *RECIPE, "workers=1", f"out={tmp_path}/corpus")
    alone, together = (
        {path.name: path.read_bytes() for path in folder.iterdir()} for folder in (tmp_path / "corpus", prepared)
    )
    assert len(json.loads(together["corpus.json"])["shards"]) == 12
    assert together == alone


def test_a_cluster_verifies_as_this_machine_does(prepared, connected):
    cluster = Cluster(None, (prepared / "corpus.json",))
    assert verify_corpus(prepared, cluster=cluster) == verify_corpus(prepared, workers=1)


def test_a_cluster_scores_as_this_machine_does(connected, tmp_path):
    speech = speech_like(0)
    sounds = [speech, delayed(speech, 640), 0 * speech]
    for number, sound in enumerate(sounds):
        soundfile.write(tmp_path / f"{number}.wav", sound, 16000)
    pairs = [partial(read_pair, tmp_path / "0.wav", tmp_path / f"{number}.wav") for number in range(len(sounds))]
    how = {"metrics": ["stoi", "pesq", "a_stoi", "frontend_offset_ms"], "pesq_mode": "nb", "stoi": "own"}
    rows = score_on(Cluster(None, (tmp_path,)), pairs, 0, **how)
    assert rows == score_pairs(pairs, **how)
    assert rows[1]["frontend_offset_ms"] == 40 and rows[2]["reasons"]


def test_what_fails_on_a_node_is_one_line(connected):
    with pytest.raises(UserError, match=r"engine=ray, node \S+: TypeError: unsupported operand"):
        Cluster(None).run(operator.truediv, [1], 0, print)
    stranger = Path("/proc/self/stat")  # another file in each process
    with pytest.raises(UserError, match=r"node \S+: it does not see /proc/self/stat .*must share"):
        Cluster(None, (stranger,)).run(operator.truediv, [1], 0, print)


@pytest.mark.parametrize("address", ["localhost:1", "ray://localhost:1", "localhost"])
def test_no_cluster_at_the_address_is_one_line(address):
    with pytest.raises(UserError, match=f"address={address}: n"):
        Cluster(address).run(operator.truediv, [1], 0, print)


def test_an_address_without_the_engine_is_refused(tmp_path):
    done = slts("prepare", *RECIPE, "address=localhost:6379", f"out={tmp_path}/corpus", check=False)
    assert done.returncode == 2 and "engine=ray" in done.stderr and not (tmp_path / "corpus").exists()
