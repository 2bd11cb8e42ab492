"""metrics.jsonl is the truth: cut back on resuming, and replayed into each new offline segment of W&B."""

import json

import pytest

from slts.config import compose
from slts.training import tracking
from slts.training.run_directory import RunDirectory


class Segment:
    """What slts uses of a wandb run."""

    id = "abc"

    def __init__(self):
        self.rows = []

    def log(self, row):
        self.rows.append(row)


@pytest.fixture
def run(tmp_path):
    log = tracking.MetricsLog(tmp_path / "metrics.jsonl", 0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 10, "rate": 1.0})
    log.stream.write('{"step": 4, "na')
    log.stream.close()
    return RunDirectory(tmp_path)


def rows(run) -> list[tuple]:
    return [tuple(json.loads(line).values()) for line in run.metrics.read_text().splitlines()]


def test_the_log_is_cut_back_to_the_restored_step(run):
    log = tracking.MetricsLog(run.metrics, 2)
    assert rows(run) == [(1, "loss", 0.1), (1, "rate", 1.0), (2, "loss", 0.2), (2, "rate", 1.0)]
    log.write(3, {"loss": 9.0})
    assert rows(run)[-1] == (3, "loss", 9.0)


def test_a_new_offline_segment_holds_the_whole_curve(run, monkeypatch):
    segment = Segment()
    monkeypatch.setattr(tracking, "_start_wandb", lambda *_: segment)
    config, _ = compose("train", ["data=x", "name=y"])
    tracker = tracking.Tracking(config, run, 2, "abc")
    tracker.scalars(3, {"loss": 0.5})
    assert segment.rows == [
        {"loss": 0.1, "rate": 1.0, "step": 1},
        {"loss": 0.2, "rate": 1.0, "step": 2},
        {"loss": 0.5, "step": 3},
    ]


def test_an_online_run_is_not_logged_twice(run, monkeypatch):
    segment = Segment()
    monkeypatch.setattr(tracking, "_start_wandb", lambda *_: segment)
    config, _ = compose("train", ["data=x", "name=y", "tracking.mode=online"])
    tracking.Tracking(config, run, 2, "abc")
    assert segment.rows == []


def test_tensorboard_gets_scalars(run):
    config, _ = compose("train", ["data=x", "name=y", "tracking=tensorboard"])
    tracker = tracking.Tracking(config, run, 3, None)
    tracker.scalars(4, {"loss": 0.5})
    tracker.media(4, {}, {}, {"offset": [1.0, 2.0]})
    tracker.close()
    assert list((run.path / "tensorboard").glob("events*"))


def test_none_writes_only_the_log(run):
    config, _ = compose("train", ["data=x", "name=y", "tracking=none"])
    tracker = tracking.Tracking(config, run, 3, None)
    tracker.scalars(4, {"loss": 0.5})
    tracker.media(4, {}, {}, {})
    tracker.close()
    assert rows(run)[-1] == (4, "loss", 0.5)
    assert tracker.wandb is None and tracker.tensorboard is None
