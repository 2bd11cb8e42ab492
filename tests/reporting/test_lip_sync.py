"""Wav2Lip's tables: nothing unconfirmed is printed as published, and controls stand beside every system."""

import math

import pytest
from run_folders import corpus_json, result, write_run

from slts.reporting.lip_sync import (
    PUBLISHED,
    REMEASURED,
    UNCONFIRMED,
    beside_controls,
    drawn_rows,
    experts,
    learning_curves,
    published_lip_sync,
    titled,
)
from slts.reporting.records import read_record, write_record

RECORD = {
    "run": "e", "corpus": "grid", "inject": "lagged", "frames": 5, "sync": "dsm", "step": 10,
    "loss": [[1, 0.7], [2, 0.6]],
    "own_sound": {"accuracy": 0.7, "auc": 0.75}, "wrong_sound": {"accuracy": 0.5, "auc": 0.5},
}  # fmt: skip


def figures(frame, corpus: str, system: str, by: str) -> list:
    rows = frame[(frame["corpus"] == corpus) & (frame["system"] == system) & (frame["by"] == by)]
    return [None if math.isnan(value) else value for value in rows[["lse_d", "lse_c", "fid"]].values.flatten().tolist()]


def test_only_what_a_second_source_confirms_is_published():
    frame = published_lip_sync()
    assert figures(frame, "LRS2", "Wav2Lip", PUBLISHED) == [6.386, 7.789, 4.887]
    assert figures(frame, "LRS3", "Wav2Lip", PUBLISHED) == [6.652, 7.887, None]
    assert figures(frame, "LRS3", "Wav2Lip", UNCONFIRMED) == [None, None, 4.844]
    assert figures(frame, "LRW", "LipGAN", PUBLISHED) == []
    assert figures(frame, "LRW", "LipGAN", UNCONFIRMED) == [10.05, 3.35, 2.833]
    assert figures(frame, "LRS2", "Wav2Lip", REMEASURED) == [7.15, 6.77, None]
    assert figures(frame, "ReSyncED, dubbed", "unsynced", PUBLISHED) == [12.63, 0.896, None]


def test_experts_by_window():
    training = {name: value for name, value in RECORD.items() if not name.endswith("_sound")}
    frame = experts([RECORD, training]).set_index("what")
    assert frame.loc["LRS2, frozen", "by"].tolist() == [UNCONFIRMED, UNCONFIRMED, PUBLISHED]
    ours = frame.loc["grid, lagged, e, step 10"]
    assert ours["AUC"] == 0.75 and ours["AUC, another clip's sound"] == 0.5 and ours["by"] == "ours"
    assert learning_curves([RECORD]).mime == "image/png" and learning_curves([]) is None


def test_controls_stand_beside_a_system():
    row = {
        "run": "w", "system": "wav2lip", "corpus": "c", "split": "test", "lse_d": 8.0, "lse_d_recorded": 7.0,
        "lse_d_mismatched": 11.0, "recorded_offset_estimated_ms": 3.0, "drawn_offset_estimated_ms": 5.0,
    }  # fmt: skip
    frame = beside_controls([row])
    assert frame["system"].tolist() == ["wav2lip", "real", "mismatched"]
    assert frame["lse_d"].tolist() == [8, 7, 11] and frame["drawn_offset_estimated_ms"].tolist()[:2] == [5, 3]
    assert "LSE-D" in titled(frame) and "FID" not in titled(frame)
    other = beside_controls([row, row | {"run": "v", "lse_d": 9.0}])
    assert other["system"].tolist() == ["wav2lip", "real", "mismatched", "wav2lip"], "the same controls stand once"
    assert beside_controls([]).empty


def test_rows_of_runs_that_draw_are_found(tmp_path):
    assert drawn_rows(tmp_path / "absent") == drawn_rows(tmp_path) == []
    corpus = corpus_json()
    drawn = result(corpus, task="wav2lip", mouth_l1=0.1, lse_d=8.0, lse_d_still=9.0, drawn_offset_estimated_ms=25.0)
    write_run(
        tmp_path / "lips", corpus, [drawn, drawn | {"protocol": "tts", "mouth_l1": None, "drawn_offset_sure": 0.5}]
    )
    write_run(tmp_path / "voice", corpus, [result(corpus, lse_d=7.0)])
    rows = drawn_rows(tmp_path)
    assert [row["run"] for row in rows] == ["lips", "lips"]
    assert beside_controls(rows)["system"].tolist() == ["wav2lip", "still mouth", "wav2lip_tts", "still mouth"]


@pytest.mark.parametrize("record", [{"runs": [{"a": None}]}, [{"a": 1}, {"b": "é"}], []])
def test_a_record_is_read_as_it_was_written(record, tmp_path):
    write_record(record, tmp_path / "a.json")
    assert read_record(tmp_path / "a.json") == record
    assert read_record(tmp_path / "absent.json", []) == []
    with pytest.raises(FileNotFoundError):
        read_record(tmp_path / "absent.json")
