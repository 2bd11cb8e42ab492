"""What a result row says of offsets."""

import csv
import json
from types import SimpleNamespace

import pytest
from conftest import slts
from omegaconf import OmegaConf
from ranks import TINY

from slts.evaluation.judges import Evaluation
from slts.evaluation.judges.offsets import OffsetsJudge
from slts.evaluation.results import known_pairs, result_row, write_results
from slts.metrics.columns import COLUMNS
from slts.training.run_directory import RunDirectory

CONFIG = OmegaConf.create({"task": {"name": "slts"}, "variant": "paper", "seed": 0})
ASKED = {"sync": "none", "natural": None, "above_confidence": 3.0, "calibrate": False}


def clip(true: float, found: float | None, **more) -> dict:
    given = {"key": "x", "offset_ms": true, "dsm_offset_ms": found, "frontend_offset_ms": true - 30, "at_edge": False}
    return given | more


def judged(clips: list[dict], natural: dict[str, float], **asked) -> dict:
    run = SimpleNamespace(corpus={"fps": [25.0]})
    judge = OffsetsJudge(Evaluation(SimpleNamespace(**ASKED | asked), run, None, None))
    judge.natural = natural
    return judge.rate([], clips)


def test_natural_offsets_join_the_injected():
    # DSM finds both together, 5 ms early; what was there before is unknown of one clip.
    natural = {"a": 20, "b": -20, "c": 40}
    clips = [clip(t, t + natural[key] - 5, key=key) for key, t in (("a", -100), ("b", -50), ("c", 0))]
    figures = judged([*clips, clip(40, 40)], natural)
    assert figures["offset_bias_whole_ms"] == -5 and figures["offset_mae_whole_ms"] == 5
    assert figures["offset_r2_whole_centred"] == pytest.approx(1) and figures["offset_r2_truth_centred"] < 0.97
    assert figures["offset_within_a_frame"] == 1 and figures["offset_within_10ms"] == pytest.approx(1 / 4)
    assert judged([clip(0, 0), clip(9, 9)], {})["offset_r2_whole"] is None


def test_against_a_moved_reference_the_frontend_says_nothing():
    clips = [clip(t, t + 5) for t in (-100, -50, 0)]
    assert judged(clips, {})["offset_r2_frontend"] is not None
    assert judged(clips, {}, sync="dsm")["offset_r2_frontend"] is None


def test_a_row_has_every_column_and_none_where_nobody_judged():
    row = result_row(CONFIG, {"name": "x", "hash": "0"}, "val", "none", 1, 3, {"stoi": 0.5, "failed": 1})
    assert row["stoi"] == 0.5 and row["failed"] == 1 and row["clips"] == 3
    judged_columns = {name for name, column in COLUMNS.items() if column.judge not in ("corpus", "opinion")}
    assert judged_columns <= row.keys() and row["pesq"] is None and row["offset_r2_truth"] is None


def test_pairs_are_of_clips_that_have_both():
    first, second = known_pairs([{"a": 1, "b": 2}, {"a": None, "b": 1}, {"a": 3}], "a", "b")
    assert first.tolist() == [1] and second.tolist() == [2]


def test_offsets_at_the_edge_are_counted():
    clips = [*(clip(0, 190, at_edge=True) for _ in range(4)), clip(0, 10)]
    assert judged(clips, {})["offset_at_edge"] == 0.8


def test_calibration_and_natural_offsets_by_the_command(tiny_corpus, tmp_path):
    slts("train", f"data={tiny_corpus}", f"runs={tmp_path}", "name=run", *TINY, "steps=2", "validate_every=2")
    slts("offsets", f"run={tmp_path}/run", f"data={tiny_corpus}", f"out={tmp_path}/own.csv")
    keys = [f"run={tmp_path}/run", "split=test", "workers=1", "show=1"]
    said = slts("evaluate", *keys, "calibrate=true", f"natural={tmp_path}/own.csv").stdout
    row = json.loads((tmp_path / "run" / "results.jsonl").read_text())
    assert row["offset_mae_whole_ms"] is not None
    clips = list(csv.DictReader((tmp_path / "run" / "clips-test.csv").open()))
    for name, of in (("at_edge", "DSM at +-task.radius"), ("frontend_at_edge", "the frontend at +-300 ms")):
        count = sum(clip[name] == "True" for clip in clips)
        assert (f"{count} of {len(clips)} clips have an offset of {of}" in said) == (count > 0)
    # A run of two steps may well not have locked, and then says so.
    assert row["offset_calibration_ms"] is not None or "offset_calibration_ms null (calibrate=true" in said
    refused = slts("evaluate", *keys, "natural=nowhere.csv", check=False)
    assert refused.returncode == 2 and "give a CSV of slts offsets" in refused.stderr
    (tmp_path / "other.csv").write_text("key,offset_ms\nsomebody_else,10\n")
    refused = slts("evaluate", *keys, f"natural={tmp_path}/other.csv", check=False)
    assert refused.returncode == 2 and "none of its clips is in the" in refused.stderr


def test_a_half_row_is_cut_off_and_garbage_stops_no_evaluation(tmp_path, caplog):
    run = RunDirectory(tmp_path)
    run.results.write_bytes(b"\xff garbage\n" + b'{"split": "val", "stoi": 0.')
    row = result_row(CONFIG, {"name": "x", "hash": "0"}, "val", "none", 1, 1, {})
    write_results(run, row, [clip(0, 0, key="a", reasons={"pesq": "too short"})])
    lines = run.results.read_bytes().splitlines()
    assert lines[0] == b"\xff garbage" and json.loads(lines[1])["split"] == "val" and len(lines) == 2
    [said] = caplog.messages
    assert f"{run.results}: its last line was half written" in said
    assert (tmp_path / "clips-val.csv").read_text().splitlines()[1].endswith("pesq: too short")
