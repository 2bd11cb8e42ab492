"""The paper's tables from run directories written by hand."""

import numpy as np
import pandas as pd
import pytest
from run_folders import GRID_4S, corpus_json, result, write_clips, write_run

from slts.errors import UserError
from slts.reporting import paper
from slts.reporting.published import load_published
from slts.reporting.results import PAPER, find_corpora, load_results
from slts.reporting.sensitivity import sensitivity_clip, table3

PUBLISHED = load_published()
GRID = corpus_json("grid", GRID_4S, (3600, 200, 200))
LAGGED = corpus_json(profile="lagged")


@pytest.fixture
def runs(tmp_path):
    """SLTS on what is GRID-4S; with and without ASM, and anchored, on a generated corpus; one run not evaluated."""
    grid = [result(GRID, w_wer=0.2, stoi=0.6), result(GRID, sync="dsm", stoi=0.757), result(GRID, split="val")]
    write_run(tmp_path / "grid", GRID, grid)
    without = result(LAGGED, variant="no_asm", a_stoi=0.6, stoi=0.8, offset_r2_frontend=None, offset_r2_truth=None)
    write_run(tmp_path / "none", LAGGED, [without], variant="no_asm")
    write_clips(tmp_path / "none", without, [10, -10, 20, -20], [0, 1, 2, 3], [None] * 4)
    write_run(tmp_path / "slts", LAGGED, [result(LAGGED, split="val", w_wer=None)])
    write_run(tmp_path / "anchored", LAGGED, [result(LAGGED, variant="anchored")], variant="anchored")
    write_run(tmp_path / "waiting", GRID, [], variant="with_discriminators")
    return tmp_path


def ours(table, **which):
    frame = table.frame[table.frame["by"] == "ours"]
    for name, value in which.items():
        frame = frame[frame[name] == value]
    return frame


def test_published_numbers_are_whole():
    assert len(PAPER) == 12
    table = paper.published_rows(PUBLISHED, "table2_ablation")
    assert len(table) == 9 and set(PAPER) <= set(table)
    chem = table[(table["corpus"] == "Lip2Wav-chem") & (table["system"] == "SLTS")].iloc[0]
    assert (chem["a_stoi"], chem["offset_r2_frontend"], chem["w_wer"], bool(chem["dummy"])) == (
        0.76,
        0.982,
        24.69,
        False,
    )
    lip2wav = paper.published_rows(PUBLISHED, "table7_lip2wav")
    assert lip2wav["corpus"].unique().tolist() == [f"Lip2Wav-{name}" for name in ("chem", "chess", "dl", "hs", "eh")]


def test_a_missing_file_of_published_results_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml"):
        load_published(tmp_path / "none.yaml")
    (tmp_path / "odd.yaml").write_text("- 1")
    with pytest.raises(UserError, match="not a file of published results"):
        load_published(tmp_path / "odd.yaml")


def test_ablation_takes_the_test_split_and_matches_by_corpus_and_system(runs):
    table = paper.table2(load_results(runs), PUBLISHED)
    (grid,) = ours(table, run="grid").to_dict("records")
    assert (grid["corpus"], grid["system"], grid["split"], grid["stoi"], grid["w_wer"]) == (
        "GRID-4S", "SLTS", "test", 0.6, pytest.approx(20)
    )  # fmt: skip
    (difference,) = table.differences().to_dict("records")
    assert difference["stoi"] == pytest.approx(0.6 - 0.703) and difference["w_wer"] == pytest.approx(20 - 12.83)
    generated = ours(table, corpus="generated, lagged offsets")
    assert generated["system"].tolist() == ["VCA-GAN", "SLTS_no_ASM", "SLTS", "SLTS_anchored"]
    assert generated["run"].tolist() == ["no run", "none", "slts", "anchored"]
    assert not table.frame[table.frame["run"].isin(["none", "slts"])]["corpus"].str.contains("GRID").any()


def test_missing_is_missing_and_never_zero(runs):
    table = paper.table2(load_results(runs), PUBLISHED)
    absent = ours(table, run="no run")
    assert len(absent) >= 4 and absent[list(PAPER)].isna().all(axis=None)
    assert ours(table, run="slts")["w_wer"].isna().all()
    waiting = ours(table, run="waiting").iloc[0]
    assert waiting[list(PAPER)].isna().all() and waiting["note"].startswith("not evaluated yet")
    assert not (ours(table)[list(PAPER)].drop(columns="offset_r2_frontend") == 0).any(axis=None)


def test_offset_r2_of_zeros_where_a_system_finds_none(runs):
    table = paper.table2(load_results(runs), PUBLISHED)
    (row,) = ours(table, run="none").to_dict("records")
    assert row["dummy"] and row["offset_r2_frontend"] == pytest.approx(0)  # the mean of 10, -10, 20, -20 is 0
    assert row["stoi_low"] < 0.8 < row["stoi_high"]
    assert table.intervals()["run"].tolist() == ["none"]
    assert "0.000†" in table.to_markdown()


def test_offset_r2_of_zeros_against_syncnet_counts_the_clips_it_is_sure_of(tmp_path):
    row = result(LAGGED, variant="no_asm", offset_r2_frontend=None, syncnet_clips=3)
    run = write_run(tmp_path / "a", LAGGED, [row], "no_asm")
    write_clips(run, row, [10, -10, 20, -20], [0] * 4, [None] * 4)
    clips = pd.read_csv(run / "clips-test.csv")
    clips["syncnet_offset_ms"], clips["syncnet_confidence"] = [40, -400, -40, 120], [5, 1, 4, 6]
    clips.to_csv(run / "clips-test.csv", index=False)
    (found,) = ours(paper.table2(load_results(tmp_path), PUBLISHED), run="a").to_dict("records")
    sure = np.array([40, -40, 120])
    expected = 1 - np.square(sure).sum() / np.square(sure - sure.mean()).sum()
    assert found["dummy"] and found["offset_r2_syncnet"] == pytest.approx(expected)


def test_pattern_says_which_figures_move_as_published(runs):
    moved = paper.pattern(paper.table2(load_results(runs), PUBLISHED)).set_index("run")
    row = moved.loc["anchored"]
    assert row["stoi"] == pytest.approx(-0.3) and row["a_stoi"] == pytest.approx(0.1)
    assert row["as Lip2Wav-chem"] == "2 of 2" and row["as GRID-4S"] == "1 of 2, not stoi"  # the others do not move
    assert "slts" not in moved.index  # val is not held against test


def test_published_systems_meet_rows_of_sync_dsm_alone(runs):
    table = paper.against_published(load_results(runs), PUBLISHED, 5)
    (row,) = ours(table, run="grid").to_dict("records")
    assert row["stoi"] == 0.757 and set(ours(table)["run"]) == {"grid", "waiting"}
    assert table.differences().iloc[0]["stoi"] == pytest.approx(0)
    rows = (runs / "grid" / "results.jsonl").read_text().splitlines()
    (runs / "grid" / "results.jsonl").write_text(rows[0] + "\n")
    (row,) = ours(paper.against_published(load_results(runs), PUBLISHED, 5), run="grid").to_dict("records")
    assert np.isnan(row["stoi"]) and "sync=dsm" in row["note"]
    lip2wav = paper.against_published(load_results(runs), PUBLISHED, 7)
    assert set(ours(lip2wav)["run"]) == {"no run"} and "grid (GRID-4S)" in lip2wav.remarks[0]


def test_table1_counts_what_is_there(runs):
    table = paper.table1(find_corpora(runs), PUBLISHED)
    (row,) = ours(table, corpus="GRID-4S").to_dict("records")
    assert (row["speakers"], row["train"], row["test"], row["test_h"]) == (4, 3600, 200, 0.2)
    assert len(table.frame) == 5


def test_ratings_fill_the_opinion_of_a_run(runs, tmp_path):
    lines = ["rater,clip,system,aspect,score"]
    for rater, (slts, other) in enumerate([(4, 1), (5, 2)]):
        lines += [f"{rater},c,grid,intelligibility,{slts}", f"{rater},c,real_voice,naturalness,{other}"]
    file = tmp_path / "ratings.csv"
    file.write_text("\n".join(lines))
    table = paper.table4(load_results(runs), PUBLISHED, file)
    (row,) = ours(table, run="grid").to_dict("records")
    assert row["mos_i"] == 4.5 and row["mos_i_ci"] == pytest.approx(6.353, abs=1e-3) and np.isnan(row["mos_n"])
    (voice,) = ours(table, corpus="listening test", system="real_voice").to_dict("records")
    assert voice["mos_n"] == 1.5 and np.isnan(voice["run"])
    without = paper.table4(load_results(runs), PUBLISHED)
    assert ours(without)["mos_i"].isna().all() and "No ratings" in without.footnotes()[0]


def test_table3_has_the_published_digits_on_the_papers_clip(runs, grid, monkeypatch):
    monkeypatch.setenv("SLTS_GRID", str(grid))
    table = table3(PUBLISHED, sensitivity_clip(load_results(runs)))
    assert table.differences()[["stoi", "estoi", "mcd"]].abs().max(axis=None) < 0.0005
    assert len(table.differences()) == 4 and not table.remarks


def test_table3_on_another_clip_says_so(runs, monkeypatch):
    monkeypatch.setenv("SLTS_GRID", "nowhere")
    results = load_results(runs)
    file, name = sensitivity_clip(results)
    assert name == "generated, lagged offsets: v1-00000-x" and file.name == "v1-00000-x-recorded.wav"
    table = table3(PUBLISHED, (file, name))
    assert ours(table)["corpus"].tolist() == [name] * 4 and name in table.remarks[0] and table.differences().empty
    assert ours(table)["mcd"].is_monotonic_increasing and ours(table)["mcd"].iloc[0] == 0
    assert ours(table3(PUBLISHED, None)).empty
    (runs / "odd.mpg").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"odd\.mpg"):
        table3(PUBLISHED, sensitivity_clip(results, runs / "odd.mpg"))
