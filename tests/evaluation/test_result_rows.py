"""What a result row says of offsets."""

import json

import pytest
from conftest import slts
from omegaconf import OmegaConf
from ranks import TINY

from slts.evaluation.results import SCORES, result_row, write_results
from slts.training.run_directory import RunDirectory

CONFIG = OmegaConf.create({"task": {"name": "slts"}, "variant": "paper", "seed": 0})


def clip(true: float, found: float | None, **more) -> dict:
    given = {"offset_ms": true, "dsm_offset_ms": found, "frontend_offset_ms": true - 30, "at_edge": False}
    return dict.fromkeys(SCORES, 1.0) | given | more


def row_of(clips: list[dict], **more) -> dict:
    return result_row(CONFIG, {"name": "x", "hash": "0"}, "val", "none", 1, clips, {}, **more)


def test_natural_offsets_join_the_injected():
    # DSM finds both together, 5 ms early; what was there before is unknown of one clip.
    clips = [clip(t, t + n - 5, natural_ms=n) for t, n in ((-100, 20), (-50, -20), (0, 40))]
    row = row_of([*clips, clip(40, 40, natural_ms=None)])
    assert row["offset_bias_whole_ms"] == -5 and row["offset_mae_whole_ms"] == 5
    assert row["offset_r2_whole_centred"] == pytest.approx(1) and row["offset_r2_truth_centred"] < 0.97
    assert row["model_offset_ms"] == -30
    assert row_of([clip(0, 0), clip(9, 9)])["offset_r2_whole"] is None


def test_calibration_and_natural_offsets_by_the_command(tiny_corpus, tmp_path):
    slts("train", f"data={tiny_corpus}", f"runs={tmp_path}", "name=run", *TINY, "steps=2", "validate_every=2")
    slts("offsets", f"run={tmp_path}/run", f"data={tiny_corpus}", f"out={tmp_path}/own.csv")
    keys = [f"run={tmp_path}/run", "split=test", "workers=1", "show=1"]
    said = slts("evaluate", *keys, "calibrate=true", f"natural={tmp_path}/own.csv").stdout
    row = json.loads((tmp_path / "run" / "results.jsonl").read_text())
    assert row["offset_mae_whole_ms"] is not None
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
    row = row_of([clip(0, 0)])
    write_results(run, "val", row, [clip(0, 0, key="a", reasons={"pesq": "too short"})])
    lines = run.results.read_bytes().splitlines()
    assert lines[0] == b"\xff garbage" and json.loads(lines[1])["split"] == "val" and len(lines) == 2
    [said] = caplog.messages
    assert f"{run.results}: its last line was half written" in said
    assert (tmp_path / "clips-val.csv").read_text().splitlines()[1].endswith("pesq: too short")
