"""The record of a set of runs, and its table over seeds."""

import pytest
import yaml
from run_folders import corpus_json, result, write_run

from slts.errors import UserError
from slts.reporting.evidence import claimed_and_true, collect_evidence, seed_table, told_apart, two_estimates
from slts.reporting.records import read_record, write_record

EASY, HARD = (corpus_json(profile="lagged", noise=noise) for noise in (3.0, 10.0))


def test_seeds_of_one_setting_are_one_row(tmp_path):
    for seed, r2 in enumerate((0.98, 0.99, 1.0)):
        write_run(tmp_path / f"a{seed}", EASY, [result(EASY, seed=seed, offset_r2_truth=r2, k_wer=0.1 * seed)])
    write_run(tmp_path / "hard", HARD, [result(HARD, seed=0, offset_r2_truth=0.5)])
    write_run(tmp_path / "later", EASY, [result(EASY, seed=0, offset_r2_truth=0.7)])
    config = yaml.safe_load((tmp_path / "later" / "config.yaml").read_text())
    (tmp_path / "later" / "config.yaml").write_text(yaml.safe_dump({**config, "steps": 12}))
    write_run(tmp_path / "unscored", EASY, [])
    (write_run(tmp_path / "stray", HARD, [result(HARD, variant="no_asm")]) / "config.yaml").unlink()
    write_record(collect_evidence(tmp_path), tmp_path / "evidence.json")
    record = read_record(tmp_path / "evidence.json")
    assert {facts["name"] for facts in record["corpora"].values()} == {
        "generated, lagged offsets, noise=3.0", "generated, lagged offsets, noise=10.0"
    }  # fmt: skip
    assert len(record["runs"]) == 6 and record["runs"][0]["offset_r2_syncnet"] is None
    table = seed_table(record).set_index(["corpus", "system"])
    assert "R2 (SN)" not in table
    row = table.loc["generated, lagged offsets, noise=3.0", "SLTS, steps=6"]
    assert (row["seeds"], row["R2 (truth)"], row["k-WER %"]) == (3, "0.990 ± 0.010", "10.00 ± 10.00")
    assert table.loc["generated, lagged offsets, noise=3.0", "SLTS, steps=12"]["R2 (truth)"] == "0.700"
    assert table.loc["generated, lagged offsets, noise=10.0", "SLTS"]["R2 (truth)"] == "0.500", "the only one there"


def test_what_some_lack_is_no_difference():
    assert told_apart([{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 4}]) == ["b=2", "b=4"]
    assert told_apart([{"a": 1}]) == [""]


def test_runs_that_nobody_scored_are_no_evidence(tmp_path):
    write_run(tmp_path / "unscored", EASY, [])
    with pytest.raises(UserError, match="holds no scored run"):
        collect_evidence(tmp_path)


def test_pictures_are_drawn_where_there_is_something_to_draw(tmp_path):
    write_run(tmp_path / "a", EASY, [result(EASY, offset_bias_ms=-30.0, offset_r2_truth=-7.0)])
    record = collect_evidence(tmp_path)
    assert claimed_and_true([record]).data.startswith(b"\x89PNG")
    assert claimed_and_true([record | {"runs": []}]) is None
    (tmp_path / "both.csv").write_text("key,reference_ms,predicted_ms\na,1,2\nb,-70,-80\nc,20,10\n")
    assert two_estimates(tmp_path / "both.csv").data.startswith(b"\x89PNG")
