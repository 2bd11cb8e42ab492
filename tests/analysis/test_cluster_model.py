"""The model of a cluster against cases computed by hand, and against prepare measured on two workers."""

import json
import sys
from dataclasses import replace

import pytest
from conftest import ROOT

pytest.importorskip("simpy")
sys.path.insert(0, str(ROOT / "analysis"))
from cluster_model import Cluster, Feed, Feeding, Preparation, Work

WORK = Work(clips=1000, core_seconds=0.5, shard_clips=10, read=3e6, written=1e6)


ONE = Cluster()


def prepared(work: Work, cluster: Cluster = ONE, seed: int = 0):
    return Preparation(work, cluster, seed).outcome()


def test_one_core_takes_the_sum_and_cores_share_it():
    found = prepared(replace(WORK, listing=0.01, merging=0.2), Cluster(start=3))
    assert found.seconds == pytest.approx(10 + 3 + 500 + 100 * 0.2)
    assert found.use["cores"] == pytest.approx(500 / 533) and found.bottleneck == "cores"
    assert prepared(Work(clips=1000, core_seconds=0.5, shard_clips=10)).seconds == pytest.approx(500)
    assert prepared(WORK, Cluster(nodes=2, cores=5)).seconds == pytest.approx(500 / 10)
    assert prepared(WORK, Cluster(nodes=7, cores=16)).seconds == pytest.approx(5)  # a shard is the smallest piece


def test_a_slow_storage_network_or_metadata_server_takes_bytes_by_bandwidth():
    many = Cluster(nodes=2, cores=40)
    found = prepared(WORK, replace(many, storage=20e6))
    assert found.seconds == pytest.approx(4e9 / 20e6, rel=0.05) and found.bottleneck == "storage"
    found = prepared(WORK, replace(many, network=20e6))
    assert found.seconds == pytest.approx(4e9 / 20e6 / 2, rel=0.1) and found.bottleneck == "network"
    found = prepared(replace(WORK, names=3, shard_names=10), replace(many, names=20))
    assert found.seconds == pytest.approx((3 * 1000 + 10 * 100) / 20, rel=0.05) and found.bottleneck == "names"
    found = prepared(replace(WORK, listing=0.1), many)
    assert found.seconds == pytest.approx(100 + 10) and found.bottleneck == "command"


def test_nodes_that_fail_lose_what_they_had_begun_and_nothing_else():
    work, nodes = replace(WORK, clips=10_000), Cluster(nodes=4, cores=2)
    calm = prepared(work, nodes)
    found = [prepared(work, replace(nodes, mtbf=100, repair=20), seed) for seed in range(8)]
    assert all(one.lost > 0 and one.seconds > calm.seconds for one in found)
    # Of its time a node works 100 of 120 s, and a failure loses half a shard (2.5 s) of each core.
    mean = sum(one.seconds for one in found) / len(found)
    assert mean == pytest.approx(calm.seconds * (120 + 2.5) / 100, rel=0.1)


def test_large_shards_leave_a_longer_tail():
    work = replace(WORK, spread=1.0, clips=4096)
    small, large = (prepared(replace(work, shard_clips=clips), Cluster(cores=16)) for clips in (4, 128))
    assert small.seconds == pytest.approx(4096 * 0.5 / 16, rel=0.1) and small.tail < 10
    assert large.seconds > 1.05 * small.seconds and large.tail > 30


def test_a_gpu_is_fed_by_as_many_connections_as_bytes_and_latency_ask_for():
    feed = Feed(jitter=0, decoding=0, latency=0.05, bandwidth=64e6, clip=100e3, shard_clips=64, window_shards=8)
    # A shard takes 0.05 + 0.1 s of a connection and 0.128 s of the GPU: one is not enough, two are.
    one, two = (Feeding(replace(feed, connections=count)).outcome() for count in (1, 2))
    assert one.clips_a_second == pytest.approx(64 / 0.15, rel=0.05) and one.waited == pytest.approx(0.147, abs=0.05)
    assert two.clips_a_second == pytest.approx(500) and two.waited == 0
    assert one.first == pytest.approx(8 * 0.15) and two.first == pytest.approx(4 * 0.15)
    link = Feeding(replace(feed, connections=8, network=25e6)).outcome()
    assert link.clips_a_second == pytest.approx(25e6 / 100e3, rel=0.05)
    slow = Feeding(replace(feed, connections=8, decoding=0.01, workers=2)).outcome()
    assert slow.clips_a_second == pytest.approx(200, rel=0.02)


def test_it_foretells_two_workers_from_one():
    record = json.loads((ROOT / "analysis" / "scaling.json").read_text())["workers"]
    for workers, measured in record["measured"].items():
        found = prepared(Work(**record["work"]), Cluster(cores=int(workers), start=measured["start"]))
        assert found.seconds == pytest.approx(measured["processor"], rel=0.15)
