"""metrics.jsonl with lines that are none: read by resumes, studies and dashboards all the same."""

import json

import pytest

from slts.commands.dashboard import draw
from slts.errors import UserError
from slts.sweeping.process import validations
from slts.training.metrics_log import MetricsLog, read_metrics

GARBAGE = rb"""null
{"step": "one", "name": "val/x", "value": 1}
{"step": true, "name": "x", "value": 1}
{"step": 1, "name": "val/x"}
{"step": 1, "name": "val/x", "value": [1]}
"""


@pytest.fixture
def run(tmp_path):
    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    log.write(1, {"val/a_stoi": 0.5, "train/skipped_clips": "a, b"})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n" + GARBAGE)
    log.write(2, {"val/a_stoi": float("nan"), "loss/total": 1.0})
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "name": "val/a_sto')
    return tmp_path


def test_rows_are_checked_and_the_rest_is_said_once(run, caplog):
    rows = read_metrics(run / "metrics.jsonl")
    assert [(row["step"], row["name"]) for row in rows] == [
        (1, "val/a_stoi"), (1, "train/skipped_clips"), (2, "val/a_stoi"), (2, "loss/total"),
    ]  # fmt: skip
    assert validations(run) == {1: {"val/a_stoi": 0.5}}
    draw([run], run / "panels.png")
    assert (run / "panels.png").stat().st_size > 5000
    assert caplog.messages == [f"{run}/metrics.jsonl, line 3: no JSON object, and 5 more such lines; left out"]


def test_a_resume_goes_on_from_what_is_whole(run):
    log = MetricsLog(run / "metrics.jsonl", 1)
    log.write(2, {"val/a_stoi": 0.75})
    assert [values for _, values in log.restored()] == [
        {"val/a_stoi": 0.5, "train/skipped_clips": "a, b"}, {"val/a_stoi": 0.75},
    ]  # fmt: skip
    assert json.loads((run / "metrics.jsonl").read_bytes().splitlines()[-1])["value"] == 0.75


def test_a_folder_without_metrics_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"holds no metrics.jsonl"):
        draw([tmp_path], tmp_path / "panels.png")
