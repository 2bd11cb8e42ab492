"""metrics.jsonl is the truth: cut back on resuming, and replayed into each new offline segment of W&B."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT
from omegaconf import OmegaConf

from slts.config import compose
from slts.training import tracking
from slts.training.run_directory import RunDirectory


@pytest.fixture
def run(tmp_path):
    (tmp_path / "corpus.json").write_text('{"name": "toy"}')
    log = tracking.MetricsLog(tmp_path / "metrics.jsonl", 0)
    for step in (1, 2, 3):
        log.write(step, {"loss": step / 10, "rate": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "na')
    return RunDirectory(tmp_path)


def config(*overrides: str):
    return compose("train", ["data=x", "name=y", *overrides])[0]


def rows(run) -> list[tuple]:
    return [tuple(json.loads(line).values()) for line in run.metrics.read_text().splitlines()]


def test_the_log_is_cut_back_to_the_restored_step(run):
    log = tracking.MetricsLog(run.metrics, 2)
    assert rows(run) == [(1, "loss", 0.1), (1, "rate", 1.0), (2, "loss", 0.2), (2, "rate", 1.0)]
    assert list(log.restored()) == [(1, {"loss": 0.1, "rate": 1.0}), (2, {"loss": 0.2, "rate": 1.0})]
    log.write(3, {"loss": 9.0})
    assert rows(run)[-1] == (3, "loss", 9.0)


def train_from(folder: Path, step: int, until: int) -> None:
    """What a training process does: media every fourth step. It dies on SIGKILL after the last unless that is 12."""
    tracker = tracking.Tracking(config("seed=7", "name=toy"), RunDirectory(folder), step, None)
    for now in range(step + 1, until + 1):
        tracker.scalars(now, {"loss": 1 / now, "rate": 0.5})
        if now % 4 == 0:
            samples = folder / "samples" / f"step-{now:08d}"
            samples.mkdir(parents=True, exist_ok=True)
            soundfile.write(samples / "clip.wav", np.zeros(1600), 16000)
            media = tracking.Media({"clip": samples / "clip.wav"}, {}, {"offset_ms": [-10.0, 20.0]})
            tracker.media(now, media)
    if until < 12:
        os.kill(os.getpid(), signal.SIGKILL)
    tracker.close()


def records(segment: Path) -> list[dict]:
    """A segment as W&B's own reader prints it."""
    read = subprocess.run(
        [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(segment)], capture_output=True, text=True
    )
    assert read.returncode == 0, read.stderr
    return [json.loads(line) for line in read.stdout.splitlines()]


def test_a_run_killed_twice_leaves_one_gapless_curve(tmp_path):
    (tmp_path / "corpus.json").write_text('{"name": "toy"}')
    for step, until in ((0, 7), (4, 9), (8, 12)):
        code = f"from test_tracking import *; train_from(Path({str(tmp_path)!r}), {step}, {until})"
        paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=False)
        assert done.returncode == (0 if until == 12 else -signal.SIGKILL)
    segments = sorted((tmp_path / "wandb").rglob("offline-run-*"))
    assert len(segments) == 3 and len({s.name.rsplit("-", 1)[1] for s in segments}) == 1
    [segment] = (tmp_path / "wandb").glob("offline-run-*")
    assert {s.parent.name for s in segments if s != segment} == {"replaced"}
    found = records(segment)
    history = [row["history"]["item"] for row in found if row["type"] == "history"]
    curve = [(item["step"], item["loss"]) for item in history if "loss" in item]
    assert curve == [(step, 1 / step) for step in range(1, 13)]
    shown = [item for item in history if "val/sounds._type" in item]
    assert [item["step"] for item in shown] == [4, 8, 12]
    for item in shown:
        assert (segment / "files" / item["val/sounds.audio"][0]["path"]).exists()
        assert sum(item["val/histogram/offset_ms.values"]) == 2
    [described] = [row["run"] for row in found if row["type"] == "run"]
    assert described["run_id"] == segment.name.rsplit("-", 1)[1]
    assert (described["run_group"], described["job_type"]) == ("toy", "paper")
    assert set(described["tags"]) == {"slts", "paper", "toy", "seed-7"}
    assert "resumed" not in described


def test_an_online_run_is_continued_and_not_logged_again(run, monkeypatch):
    import wandb

    class Online:
        """What slts uses of a W&B run."""

        id, offline, logged = "abc", False, []

        def log(self, row):
            self.logged.append(row)

        def define_metric(self, *_, **__):
            pass

    given = {}
    monkeypatch.setattr(wandb, "init", lambda **settings: given.update(settings) or Online())
    for _ in range(2):
        tracking.Tracking(config("tracking.mode=online", "tracking.group=study"), run, 2, None)
    assert Online.logged == []
    assert (given["id"], given["resume"], given["group"]) == ("abc", "allow", "study")


def test_online_without_a_key_is_one_line_and_goes_on_offline(tmp_path):
    (tmp_path / "corpus.json").write_text('{"name": "toy"}')
    code = (
        "from test_tracking import *\n"
        f"tracker = tracking.Tracking(config('tracking.mode=online'), RunDirectory(Path({str(tmp_path)!r})), 0, None)\n"
        "tracker.scalars(1, {'loss': 0.5}); tracker.close()"
    )
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent)))
    # Without key, and with W&B where nothing answers.
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_API_KEY"}
    environment |= {"PYTHONPATH": paths, "HOME": str(tmp_path), "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    [line] = done.stdout.splitlines()
    assert line.startswith("W&B cannot be reached (") and "goes on offline" in line
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 1 and len(rows(RunDirectory(tmp_path))) == 1


def test_published_scores_hold_no_secret_of_an_older_config(run):
    secret = {"data": "https://me:hunter2@host/grid?token=hunter2"}
    older = config()
    OmegaConf.update(older, "data", secret["data"])
    OmegaConf.save(older, run.path / "config.yaml")
    (run.path / "wandb").mkdir()
    (run.path / "wandb" / "id").write_text("abc")
    row = {"split": "test", "sync": "none", "variant": "paper", "task": "slts", "corpus": "toy", "stoi": 0.5}
    rows = [row, row | {"protocol": "tts"}, row | {"modalities": "v", "sync": "dsm"}]
    run.results.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.path / "says-test-tts.csv").write_text("key,says\n")
    tracking.publish_scores(older, run)
    [segment] = (run.path / "wandb").glob("offline-run-*-scores")
    [copied] = segment.rglob("config.yaml")
    assert [*segment.rglob("says-test-tts.csv")]
    assert OmegaConf.load(copied).data == "https://***@host/grid?token=***"
    assert not [file for file in segment.rglob("*") if file.is_file() and b"hunter2" in file.read_bytes()]


def test_tensorboard_gets_scalars_and_sounds_once(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for restored in (3, 4):
        tracker = tracking.Tracking(config("tracking=tensorboard"), run, restored, None)
        for step in range(restored + 1, 7):
            tracker.scalars(step, {"loss": float(step)})
        tracker.media(4, tracking.Media(histograms={"offset": [1.0, 2.0]}))
        tracker.close()
    events = EventAccumulator(str(run.path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(4, 4.0), (5, 5.0), (6, 6.0)]
    assert events.Tags()["histograms"] == ["val/histogram/offset"]


def test_none_writes_only_the_log(run):
    tracker = tracking.Tracking(config("tracking=none"), run, 3, None)
    tracker.scalars(4, {"loss": 0.5})
    tracker.media(4, tracking.Media())
    tracker.close()
    assert rows(run)[-1] == (4, "loss", 0.5)
    assert tracker.dashboard is None and tracker.id is None
