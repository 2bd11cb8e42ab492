import json

import pytest
from run_folders import GRID_4S, corpus_json

from slts.reporting.corpora import label, read_corpora

WHOLE = (3600, 200, 200)


@pytest.mark.parametrize(
    ("corpus", "name"),
    [
        (corpus_json("grid", GRID_4S, WHOLE, inject="none"), "GRID-4S"),
        (corpus_json("grid", GRID_4S, (3586, 199, 200)), "GRID-4S"),
        (
            corpus_json("grid", GRID_4S, WHOLE, inject="lagged"),
            "GRID s1 s2 s29 s4 (4000 clips), lagged offsets injected",
        ),
        (corpus_json("grid", GRID_4S, (100, 5, 5)), "GRID s1 s2 s29 s4 (110 clips)"),
        (corpus_json("grid", ["s1"], (890, 49, 0)), "GRID s1"),
        (corpus_json("grid", [f"s{i}" for i in range(33)], (30000, 1000, 1000)), "GRID 33 speakers"),
        (corpus_json("tcd_timit", ["a", "b", "c"], (1017, 57, 57)), "TCD-TIMIT-LS"),
        (corpus_json("lip2wav", ["chem"], (5000, 100, 100)), "Lip2Wav-chem"),
        (
            corpus_json("lip2wav", ["chem"], (5000, 100, 100)) | {"rejected": {"missing": 3}},
            "Lip2Wav chem (5200 clips)",
        ),
        (corpus_json("synthetic", profile="lagged"), "generated, lagged offsets"),
        (corpus_json("synthetic", GRID_4S, WHOLE, profile="none"), "generated, none offsets"),
        (corpus_json("folder", GRID_4S, WHOLE), "own videos s1 s2 s29 s4"),
        ({**corpus_json("grid", GRID_4S, WHOLE), "repaired": {}}, "GRID s1 s2 s29 s4 (4000 clips), offsets repaired"),
    ],
)
def test_only_the_papers_corpus_bears_its_name(corpus, name):
    assert label(corpus) == name


def test_corpora_of_one_name_are_told_apart_and_broken_ones_left_out(tmp_path):
    for name, text in {
        "a": json.dumps(corpus_json(profile="lagged", digest="a" * 12)),
        "b": json.dumps(corpus_json(profile="lagged", digest="b" * 12)),
        "c": json.dumps(corpus_json(profile="none", digest="c" * 12)),
        "d": "{",
        "e": "[]",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "corpus.json").write_text(text)
    found = read_corpora(sorted(tmp_path.iterdir()))
    assert [corpus.label for corpus in found.values()] == [
        "generated, lagged offsets [aaaaaa]",
        "generated, lagged offsets [bbbbbb]",
        "generated, none offsets",
    ]
