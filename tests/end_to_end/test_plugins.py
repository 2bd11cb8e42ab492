"""A package beside slts adds a corpus, a metric, and systems: one speaks, one draws, one takes a second sound."""

import csv
import json
import os
from pathlib import Path

import pytest
from conftest import ROOT, slts

from slts.data.assembly import assemble_shard, merge_facts
from slts.data.destination import Folder
from slts.data.shards import index_shard, read_corpus_json

pytestmark = pytest.mark.long

ENTRIES = """
[slts.conf]
toy = toy
[slts.corpora]
toy = toy.corpus
[slts.metrics]
gain = toy.metric:GAIN
level = toy.metric:LEVEL
[slts.systems]
toy_speaker = toy.systems:speaker
toy_painter = toy.systems:painter
toy_listener = toy.systems:listener
"""
SHORT = ("steps=4", "validate_every=2", "batch_size=2", "chunk_seconds=1", "workers=0", "tracking=none", "log_every=1")


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """``slts`` as it is where the package is installed."""
    installed = tmp_path_factory.mktemp("installed")
    facts = installed / "toy-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRIES)
    path = os.pathsep.join(map(str, [ROOT, ROOT / "tests" / "plugins", installed]))
    return lambda *arguments, **more: slts(*arguments, PYTHONPATH=path, **more)


@pytest.fixture(scope="module")
def corpus(command, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("toy") / "corpus"
    command("prepare", "corpus=toy", "faces=none", "size=32", "workers=1", f"out={out}")
    return out


def with_a_second_sound(corpus: Path, out: Path) -> Path:
    """The corpus with KEY.second.flac, its own sound, in every sample."""
    out.mkdir()
    facts, place = read_corpus_json(corpus), Folder(out)
    for shard in facts["shards"]:
        data, samples = (corpus / shard["file"]).read_bytes(), []
        for entry in index_shard(corpus / shard["file"]):
            read = {name: data[at : at + size] for name, (at, size) in entry["members"].items()}
            samples.append({"key": entry["key"], **read, "json": json.loads(read["json"]), "second.flac": read["flac"]})
        assemble_shard(out / shard["file"], samples, [])
    found = place.finished([shard["file"] for shard in facts["shards"]])
    merge_facts(place.write, list(found.values()), facts["name"], facts["config"])
    return out


def test_a_speaking_system_on_a_corpus_by_a_metric(command, corpus, tmp_path):
    runs = tmp_path / "runs"
    command("train", "task=toy_speaker", f"data={corpus}", "name=toy", f"runs={runs}", *SHORT)
    command("evaluate", f"run={runs}/toy", "workers=1", "show=1", "mos=[level]")
    row = json.loads((runs / "toy" / "results.jsonl").read_text())
    assert row["task"] == "toy_speaker" and row["stoi"] is not None
    assert -90 <= row["level"] <= 0 and row["dns_overall"] is None
    assert row["gain"] is not None and row["a_gain"] is not None and row["offset_r2_truth"] is None
    with (runs / "toy" / "clips-test.csv").open() as file:
        assert all(float(clip["gain"]) and float(clip["level"]) for clip in csv.DictReader(file))
    command("tables", f"runs={runs}", f"out={tmp_path}/tables", f"data={corpus.parent}")
    assert "gain dB" in (tmp_path / "tables" / "results.md").read_text()
    assert "gain" not in (tmp_path / "tables" / "table2.md").read_text()


def test_a_system_that_draws(command, corpus, tmp_path):
    command("train", "task=toy_painter", f"data={corpus}", "name=toy", f"runs={tmp_path}", *SHORT)
    command("evaluate", f"run={tmp_path}/toy", "workers=1", "show=1")
    row = json.loads((tmp_path / "toy" / "results.jsonl").read_text())
    assert row["task"] == "toy_painter" and row["stoi"] is None
    refused = command("generate", f"run={tmp_path}/toy", f"input={corpus}", f"out={tmp_path}/out", check=False)
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1


def test_a_second_sound_is_read_where_it_is_and_missed_where_it_is_not(command, corpus, tmp_path):
    keys = ["task=toy_listener", "name=toy", f"runs={tmp_path}", *SHORT]
    missed = command("train", f"data={corpus}", *keys, check=False)
    assert missed.returncode == 2 and "KEY.second.flac" in missed.stderr
    second = with_a_second_sound(corpus, tmp_path / "second")
    command("prepare", "action=verify", f"data={second}", "workers=1")
    command("train", f"data={second}", *keys)
    command("evaluate", f"run={tmp_path}/toy", "workers=1", "show=1")
    row = json.loads((tmp_path / "toy" / "results.jsonl").read_text())
    assert row["stoi"] > 0.99  # it repeats the recorded sound
    refused = command("offsets", "action=apply", f"data={second}", f"out={tmp_path}/out", "offsets=x.csv", check=False)
    assert refused.returncode == 2


def test_a_foreign_variant_and_a_foreign_model_are_refused(command, corpus):
    for keys in (["variant=no_asm"], ["model=s"], ["experiment=cpu"]):
        refused = command("train", "task=toy_speaker", f"data={corpus}", "name=x", *keys, check=False)
        assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1, refused.stderr
