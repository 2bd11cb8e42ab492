"""Systems compared on the same clips, by hand."""

import math

import pandas as pd
import pytest

from slts.metrics.columns import PLAIN
from slts.reporting.paired import differences, differences_table, means_table, scored_clips
from slts.reporting.published import load_published, video_to_speech_rows
from slts.reporting.records import read_record, write_record


def run(seed: int, stoi: list, clips: str = "abcd", **more) -> dict:
    return {"seed": seed, **more, "clips": list(clips), "scores": {"stoi": stoi}}


def test_the_difference_is_that_of_each_clip_and_seed():
    ours = [run(0, [0.5, 0.6, 0.7, None]), run(1, [0.7, 0.6, 0.7, 0.9]), run(7, [9, 9, 9, 9])]
    theirs = [run(1, [0.6, 0.6, 0.6, 0.6]), run(0, [0.4, 0.4, 0.4, 0.4])]
    found = differences(ours, theirs)["stoi"]
    # a: (.1 + .1) / 2, b: (.2 + 0) / 2, c: (.3 + .1) / 2, d: seed 1 alone, .3
    assert found["mean"] == pytest.approx((0.1 + 0.1 + 0.2 + 0.3) / 4)
    assert found["seeds"] == pytest.approx([0.2, (0.1 + 0 + 0.1 + 0.3) / 4])
    assert 0.0999 < found["low"] < found["mean"] < found["high"] < 0.3001


def test_clips_are_matched_by_their_keys():
    found = differences([run(0, [1.0, 2.0], "ab")], [run(0, [2.0, 1.0], "ba")])["stoi"]
    assert found["mean"] == found["low"] == found["high"] == 0.0


def test_pairs_are_sharper_than_what_they_are_made_of():
    """Clips that differ widely, and a gain that is the same for all: the interval has no width."""
    spread = [0.1, 0.9, 0.3, 0.7]
    found = differences([run(0, [value + 0.01 for value in spread])], [run(0, spread)])["stoi"]
    assert found["low"] == pytest.approx(0.01) == found["high"]
    assert differences([run(0, spread)], [run(1, spread)]) == {}


def test_tables():
    groups = {"ours": [run(0, [0.6, 0.7]), run(1, [0.6, 0.8])], "theirs": [run(0, [0.5, 0.5]), run(1, [0.5, 0.5])]}
    groups = {name: [one | {"clips": ["a", "b"]} for one in runs] for name, runs in groups.items()}
    groups["ours"][0]["scores"]["k_wer"] = [0.5, 0.0]
    means = means_table(groups)
    assert means.loc["ours"].to_dict() == {"seeds": 2, "STOI": "0.675", "k-WER %": "25.00"}
    assert means.loc["theirs", "k-WER %"] == ""
    told = differences_table(groups, "theirs")
    assert list(told.index) == ["ours"] and told.loc["ours", "STOI"] == "+0.175* [+0.100, +0.250]"


def test_a_record_is_read_as_it_was_written(tmp_path):
    table = tmp_path / "clips-test.csv"
    rows = {"key": ["b", "'=a"], "stoi": [0.123456, 0.2], "pesq": [math.nan, 1.5], "k_wer": [math.nan, math.nan]}
    pd.DataFrame(rows | {"mcd": [1, 2]}).to_csv(table, index=False)
    scored = scored_clips(table)
    assert scored == {"clips": ["=a", "b"], "scores": {"pesq": [1.5, None], "stoi": [0.2, 0.1235]}}
    write_record([{"seed": 0, **scored}], tmp_path / "record.json")
    assert read_record(tmp_path / "record.json") == [{"seed": 0, **scored}] and set(scored["scores"]) <= set(PLAIN)


def test_published_figures_of_video_to_speech():
    rows = video_to_speech_rows(load_published(part="other_papers")).set_index(["system", "data"])
    best = rows.loc[("AV2A, WaveGAN", "GRID 33spk seen")]
    assert (best["pesq"], best["stoi"], best["estoi"], best["w_wer"]) == (2.10, 0.723, 0.553, 2.65)
    assert rows.loc[("SVTS", "GRID seen"), "w_wer"] == 2.36 and len(rows) == 9
