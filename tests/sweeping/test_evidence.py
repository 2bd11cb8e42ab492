"""A tiny grid by the real command: trained, scored, killed on the way, resumed; its table and its record."""

import json
import signal

import pytest
from conftest import slts
from optuna.trial import TrialState
from ranks import TINY
from stub_sweep import Sweep, Worker, kill, wait_for

from slts.reporting.evidence import seed_table
from slts.reporting.records import read_record
from slts.sweeping.trials import run_name, trainings

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def evidence(tiny_corpus, tmp_path_factory) -> Sweep:
    """The study after a kill in its first training and one where that run is scored."""
    folder = tmp_path_factory.mktemp("evidence")
    steps = ["steps=4", "validate_every=2"]
    study = Sweep(
        folder,
        tiny_corpus,
        space={"variant": {"choices": ["paper", "no_asm"]}},
        sampler="grid",
        overrides=[*TINY, *steps],
        evaluate=["split=test", "workers=1", "show=1", "calibrate=true"],
    )
    keys = [key for key in study.keys if not key.startswith("launch")] + [f"storage={study.storage}"]
    first = study.runs / "trial-0000"
    for step in (2, 4):
        worker = Worker(folder / "killed.log", *keys)
        wait_for(lambda step=step: (first / "last").exists() and (first / "last").resolve().name == f"step-{step:08d}")
        kill(worker.tree())
        assert worker.end() == -signal.SIGKILL
    assert not (first / "results.jsonl").exists()
    Worker(folder / "worker.log", *keys).finish()
    return study


def test_every_run_is_scored_once(evidence):
    done = trainings(evidence.study)
    assert {trial.state for trial in done} == {TrialState.COMPLETE} and len(done) == 2
    for trial, variant in zip(done, ("paper", "no_asm"), strict=True):
        [row] = map(json.loads, (evidence.runs / run_name(trial) / "results.jsonl").open())
        assert row["variant"] == trial.params["variant"] == variant and row["split"] == "test"


def test_the_record_has_hashes_and_no_figure_that_does_not_apply(evidence, tiny_corpus):
    record = read_record(evidence.runs / "report" / "evidence.json")
    corpus = json.loads((tiny_corpus / "corpus.json").read_text())
    assert record["corpora"][corpus["hash"]]["settings"]["profile"] == "lagged"
    paper, no_asm = sorted(record["runs"], key=lambda run: run["system"])
    assert (paper["system"], no_asm["system"]) == ("SLTS", "SLTS_no_ASM")
    assert paper["config_hash"] != no_asm["config_hash"] and paper["corpus_hash"] == corpus["hash"]
    assert paper["steps"] == 4 and paper["seed"] == 0 and paper["clips"] == 5
    assert paper["offset_r2_truth"] is not None and no_asm["offset_r2_truth"] is None
    assert no_asm["offset_calibration_ms"] is None and no_asm["model_offset_ms"] is not None
    assert not any(isinstance(value, str) and "/" in value for run in record["runs"] for value in run.values())


def test_the_table_is_in_the_report(evidence):
    text = (evidence.runs / "report" / "report.md").read_text()
    table = seed_table(read_record(evidence.runs / "report" / "evidence.json"))
    assert list(table["system"]) == ["SLTS", "SLTS_no_ASM"] and list(table["seeds"]) == [1, 1]
    assert f"| {table['a-STOI'][0]} |" in text and "Scores of slts evaluate" in text


def test_a_grid_without_its_corpus_says_how_to_make_it(tmp_path):
    # In a folder of its own, where data/ is not.
    refused = slts("sweep", "study=evidence_cpu", f"runs={tmp_path}", check=False, cwd=tmp_path)
    assert refused.returncode == 2
    assert "slts prepare profile=lagged out=data/lagged && slts recogniser data=data/lagged" in refused.stderr
