import os

import pandas as pd
import pytest
import yaml
from run_folders import corpus_json, result, write_clips, write_run

from slts.errors import UserError
from slts.reporting.paper import table2
from slts.reporting.published import load_published
from slts.reporting.results import intervals, load_clips, load_results

CORPUS = corpus_json(profile="lagged")


def test_latest_row_of_each_split_and_sync(tmp_path):
    rows = [result(CORPUS, stoi=0.1), result(CORPUS, stoi=0.2), result(CORPUS, split="val"), result(CORPUS, sync="dsm")]
    write_run(tmp_path / "study" / "a", CORPUS, rows)
    found = load_results(tmp_path)
    assert list(zip(found["run"], found["split"], found["sync"], found["stoi"], strict=True)) == [
        ("study/a", "test", "none", 0.2),
        ("study/a", "val", "none", 0.5),
        ("study/a", "test", "dsm", 0.5),
    ]
    assert set(found["system"]) == {"SLTS"} and set(found["corpus"]) == {"generated, lagged offsets"}
    assert set(found["model"]) == {"small model, griffin_lim, step 6"} and set(found["note"]) == {""}


def test_a_row_of_the_clips_own_sound_replaces_an_older_one_that_does_not_say_so(tmp_path):
    rows = [result(CORPUS, stoi=0.1), result(CORPUS, protocol="own", stoi=0.2), result(CORPUS, protocol="random")]
    write_run(tmp_path / "a", CORPUS, rows)
    found = load_results(tmp_path)
    assert list(zip(found["system"], found["protocol"], found["stoi"], strict=True)) == [
        ("SLTS", "own", 0.2), ("SLTS_random", "random", 0.5)
    ]  # fmt: skip


def test_runs_that_were_trained_and_not_scored_have_rows_too(tmp_path):
    write_run(tmp_path / "a", CORPUS, [])
    write_run(tmp_path / "b", CORPUS, [], variant="no_asm")
    found = load_results(tmp_path)
    assert list(found["system"]) == ["SLTS", "SLTS_no_ASM"] and found["scored_at"].isna().all()


def test_the_papers_w_wer_of_a_corpus_without_text_is_that_against_the_reference(tmp_path):
    write_run(tmp_path / "a", CORPUS, [result(CORPUS, w_wer=None, w_wer_reference=0.4)])
    write_run(tmp_path / "b", CORPUS, [result(CORPUS, variant="no_asm", w_wer=0.3, w_wer_reference=0.4)], "no_asm")
    found = load_results(tmp_path).set_index("run")
    assert found["w_wer"].to_dict() == {"a": 0.4, "b": 0.3}
    said = "w-WER of clips without text is against what Whisper hears in the recorded sound"
    assert said in found.loc["a", "note"] and said not in found.loc["b", "note"]


def test_what_is_wrong_with_a_run_is_said(tmp_path):
    old = result(CORPUS, version="0.0.1")
    del old["w_wer"]
    write_run(tmp_path / "broken", CORPUS, ["{", result(CORPUS), "1", "[]", "{}"])
    write_run(tmp_path / "nothing", CORPUS, [], variant="no_asm")
    write_run(tmp_path / "odd", CORPUS, [result(CORPUS, stoi="high", mcd=None, failed=2, split="val")])
    write_run(tmp_path / "old", CORPUS, [old | {"split": "train"}])
    write_run(tmp_path / "other", CORPUS, [{"loss": 1}])
    write_run(tmp_path / "begun", None, [])
    (tmp_path / "begun" / "config.yaml").write_text("task: {name: [")
    write_run(tmp_path / "offsets", CORPUS, [])
    (tmp_path / "offsets" / "config.yaml").write_text(
        "{task: {name: syncnet}, variant: paper, model: {name: syncnet}, vocoder: {name: univnet}}"
    )
    write_run(tmp_path / "stray", None, [result(CORPUS | {"hash": "feed"}, variant="dsm_only")])
    (tmp_path / "stray" / "config.yaml").unlink()
    (tmp_path / "tables").mkdir()
    found = load_results(tmp_path).set_index("run")
    assert found["note"].to_dict() == {
        "begun": f"config.yaml of another version; not evaluated yet: slts evaluate run={tmp_path.name}/begun",
        "broken": "results.jsonl line 1: no JSON object; 3 more lines that are none",
        "nothing": f"not evaluated yet: slts evaluate run={tmp_path.name}/nothing",
        "odd": "stoi is not a number; 2 clips without some figure",
        "old": "row without w_wer; written by version 0.0.1",
        "other": "results.jsonl line 1: no corpus, split, variant, task",
        "stray": "no config.yaml",
    }
    assert found["system"].to_dict() == {
        "begun": "unknown system", "broken": "SLTS", "nothing": "SLTS_no_ASM", "odd": "SLTS", "old": "SLTS",
        "other": "SLTS", "stray": "SLTS_dsm_only",
    }  # fmt: skip
    assert found.loc[["nothing", "odd"], "stoi"].isna().all() and found.loc["odd", "mcd"] != 0
    assert "corpus.json not found (feed)" in found.loc["stray", "corpus"]
    table = table2(load_results(tmp_path), load_published())
    assert set(found.index) - {"old"} == set(table.frame["run"].dropna()) - {
        "no run"
    }  # a row of the train split is in no table
    notes = "\n".join(table.footnotes())
    assert all(note in notes for run, note in found["note"].items() if run != "old")


def test_of_two_runs_of_one_row_the_newest_is_marked(tmp_path):
    """By the time that a row bears, and not by that of its file, which copying changes."""
    for hour, name in enumerate(("c", "a", "b")):
        run = write_run(tmp_path / name, CORPUS, [result(CORPUS, scored_at=f"2026-01-01T0{hour}:00:00+00:00")])
        os.utime(run / "results.jsonl", (1000 - hour, 1000 - hour))
    write_run(tmp_path / "val", CORPUS, [result(CORPUS, split="val")])
    notes = load_results(tmp_path).set_index("run")["note"]
    assert notes.to_dict() == {
        "a": "an older run of the same row", "b": "newest of 3 runs", "c": "an older run of the same row", "val": ""
    }  # fmt: skip
    run = write_run(tmp_path / "bare", CORPUS, [result(CORPUS)])
    os.utime(run / "results.jsonl", (1000, 1000))
    assert load_results(tmp_path).set_index("run")["note"]["b"] == "newest of 4 runs"
    os.utime(run / "results.jsonl")
    assert load_results(tmp_path).set_index("run")["note"]["bare"] == "newest of 4 runs"


def test_no_run_is_a_users_mistake(tmp_path):
    with pytest.raises(UserError, match=r"no results\.jsonl"):
        load_results(tmp_path / "nowhere")


def test_clips_of_another_evaluation_are_not_taken(tmp_path):
    run = write_run(tmp_path / "a", CORPUS, [result(CORPUS), result(CORPUS, sync="dsm", stoi=0.6)])
    write_clips(run, result(CORPUS), [0, 10, 20, 30], [0, 10, 20, 30], [0, 10, 20, 30])
    plain, dsm = (row for _, row in load_results(tmp_path).iterrows())
    clips = load_clips(plain)
    assert len(clips) == 4 and load_clips(dsm) is None
    (run / "clips-test.csv").rename(run / "clips-test-dsm.csv")
    assert load_clips(plain) is None and load_clips(dsm) is None
    low, high = intervals(clips)["stoi"]
    assert 0.45 <= low < 0.5 < high <= 0.55
    assert "a_mcd" in intervals(clips) and intervals(clips.assign(a_mcd=pd.NA)).get("a_mcd") is None


@pytest.mark.parametrize(
    ("variant", "system"),
    [("paper", "SLTS_dis"), ("with_discriminators", "SLTS_dis"), ("no_asm", "SLTS_no_asm_dis")],
)
def test_discriminators_are_told_apart_however_they_were_given(tmp_path, variant, system):
    run = write_run(tmp_path / "run", CORPUS, [result(CORPUS, variant=variant)], variant=variant)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["task"]["discriminators"] = True
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert load_results(tmp_path)["system"].tolist() == [system]


def test_what_took_one_modality_is_a_row_of_its_own(tmp_path):
    rows = [result(CORPUS, task="av2a", modalities=given, stoi=stoi) for given, stoi in (("av", 0.1), ("v", 0.2))]
    write_run(tmp_path / "a", CORPUS, [*rows, result(CORPUS, task="av2a", modalities="av", stoi=0.3)])
    found = load_results(tmp_path).set_index("system")
    assert found["stoi"].to_dict() == {"AV2A": 0.3, "AV2A_v": 0.2} and not found["note"].str.contains("run").any()
