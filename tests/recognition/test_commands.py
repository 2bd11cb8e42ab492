"""The real commands: a recogniser trained on a corpus, and rates in the rows of evaluate and score."""

import csv
import json
import shutil

import jiwer
import numpy as np
import pytest
import soundfile
from conftest import slts
from test_whisper import checkpoint  # noqa: F401

from slts.errors import UserError
from slts.metrics.words import normalise
from slts.recognition.error_rate import hear, summarise_words
from slts.recognition.grammar import GRID
from slts.recognition.recogniser import Recogniser
from slts.recognition.speech import read_speech, read_text_table
from slts.recognition.trained import load_trained


@pytest.fixture(scope="module")
def corpus(tiny_corpus, tmp_path_factory):
    """A copy of the tiny corpus with a recogniser of its own."""
    folder = tmp_path_factory.mktemp("words") / "corpus"
    shutil.copytree(tiny_corpus, folder)
    slts("recogniser", f"data={folder}")
    return folder


def read(file) -> list[dict]:
    with file.open() as stream:
        return list(csv.DictReader(stream))


def test_a_recogniser_is_stored_with_the_corpus(corpus, tmp_path):
    facts = json.loads((corpus / "recogniser" / "recogniser.json").read_text())
    training, held_out = (list(read_speech(corpus, split)) for split in ("train", "val"))
    assert (facts["clips"], facts["val_clips"]) == (len(training), len(held_out))
    said = {word for clip in training for word in clip.text.split()}
    assert set(facts["unheard"]) == set(GRID.words) - said
    recogniser = load_trained(corpus / "recogniser")
    heard = [recogniser.transcribe(clip.audio) for clip in held_out]
    assert all(GRID.parse(sentence) and set(sentence.split()) <= said for sentence in heard)
    assert facts["val_wer"] == pytest.approx(jiwer.wer([clip.text for clip in held_out], heard))
    # Its own training clips it knows by heart, also when they start late and are cut at the end.
    for clip in training[:3]:
        assert recogniser.transcribe(clip.audio) == clip.text

    slts("recogniser", f"data={corpus}", f"out={tmp_path}/again")
    again = (tmp_path / "again" / "models.safetensors").read_bytes()
    assert again == (corpus / "recogniser" / "models.safetensors").read_bytes()


def test_evaluate_fills_the_rates(corpus, checkpoint, tmp_path):  # noqa: F811
    slts(
        "train", f"data={corpus}", "name=a", f"runs={tmp_path}", "experiment=cpu", "tracking=none", "steps=1",
        "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8", "batch_size=4",
        "validate_every=1", "validate_clips=1",
    )  # fmt: skip
    slts("evaluate", f"run={tmp_path}/a", "workers=1", "show=0", f"whisper={checkpoint}")
    row = json.loads((tmp_path / "a" / "results.jsonl").read_text())
    clips = read(tmp_path / "a" / "clips-test.csv")
    for letter in "wk":
        said, heard = ([clip[f"{letter}_{side}"] for clip in clips] for side in ("said", "heard"))
        assert all(said) and row[f"{letter}_wer"] == pytest.approx(jiwer.wer(said, heard))
    assert row["w_wer_clips"] == row["k_wer_clips"] == len(clips) and row["w_wer_reference"] is None
    assert all(GRID.parse(clip["k_said"]) and GRID.parse(clip["k_heard"]) for clip in clips)

    shutil.rmtree(corpus / "recogniser")
    bare = slts("evaluate", f"run={tmp_path}/a", "workers=1", "show=0")
    row = json.loads((tmp_path / "a" / "results.jsonl").read_text().splitlines()[-1])
    assert row["k_wer"] is None and row["w_wer"] is None
    assert "k_wer null (no recogniser; slts recogniser data=DIR" in bare.stdout


def test_score_counts_words(tiny_corpus, checkpoint, tmp_path):  # noqa: F811
    texts = tmp_path / "said.csv"
    with texts.open("w") as table:
        table.write("stem,text\n")
        for clip in list(read_speech(tiny_corpus, "val"))[:3]:
            for side in ("reference", "generated"):
                (tmp_path / side).mkdir(exist_ok=True)
                soundfile.write(tmp_path / side / f"{clip.key}.wav", clip.audio, 16000)
            table.write(f"{clip.key},{clip.text}\n")
    folders = (f"reference={tmp_path}/reference", f"generated={tmp_path}/generated", f"out={tmp_path}/scores.csv")
    keys = (*folders, "metrics=[mcd]", "workers=1", "recogniser=pocketsphinx", f"text={texts}", f"whisper={checkpoint}")
    done = slts("score", *keys)
    summary, rows = json.loads(done.stdout.splitlines()[-1]), read(tmp_path / "scores.csv")
    assert (summary["k_wer"]["clips"], summary["k_wer"]["words"]) == (3, 18)
    assert summary["k_wer"]["rate"] < 0.5
    for letter in "wk":
        said, heard = ([row[f"{letter}_{side}"] for row in rows] for side in ("said", "heard"))
        assert summary[f"{letter}_wer"]["rate"] == pytest.approx(jiwer.wer(said, heard))
    refused = slts("score", *folders, "recogniser=pocketsphinx", check=False)
    assert refused.returncode == 2 and "give text=FILE.csv" in refused.stderr

    # Text of one clip only, and Whisper: two rates, and the clips without text counted.
    stem, said = texts.read_text().splitlines()[1].split(",")
    texts.write_text(f"stem,text\n{stem.upper()},{said}\n{stem},{said}\nsomebody,\n")
    done = slts("score", *folders, "metrics=[mcd]", "workers=1", f"text={texts}", f"whisper={checkpoint}")
    summary, rows = json.loads(done.stdout.splitlines()[-1]), read(tmp_path / "scores.csv")
    assert summary["w_wer"]["clips"] == 1 and summary["w_wer"]["reasons"] == {"no text": 2}
    assert [row["stem"] for row in rows if row["w_wer"]] == [stem]
    counted = summary.get("w_wer_reference", {"clips": 0})["clips"]
    assert counted == sum(bool(row.get("w_wer_reference")) for row in rows)
    assert f"line 2: {stem.upper()} is not the stem {stem}, whose case is another" in done.stdout
    assert "rows with the stem of no pair: 1" in done.stdout


def test_mistakes_are_named(tiny_corpus, tmp_path):
    done = slts("recogniser", f"data={tmp_path}", check=False)
    assert done.returncode == 2 and "no corpus.json" in done.stderr
    with pytest.raises(UserError, match="no recogniser there; make one with slts recogniser"):
        load_trained(tmp_path)
    (tmp_path / "recogniser.json").write_text('{"words": ["now"], "slots": [["now"]]}')
    (tmp_path / "models.safetensors").write_bytes(b"not tensors")
    with pytest.raises(UserError, match="damaged"):
        load_trained(tmp_path)
    table = tmp_path / "texts.csv"
    for content, problem in (
        ("a,b\n1,2\n", "needs stem and text"),
        ("stem,text\nother,now\n", "no row has the stem"),
        ("stem,text\nClip,now\n", "line 2: Clip is not the stem clip, .*; no row has the stem"),
        ("stem,text\nclip,now\nother,\nclip,then\n", "stem clip is in lines 2 and 4"),
        ('stem,text\nother,"two\nlines"\nclip,set, red\n', "line 4: 3 cells where there are 2 columns"),
        ('stem,text\nclip,"now\n', "line 2: unexpected end"),
        ("", "its columns are "),
    ):
        table.write_text(content)
        with pytest.raises(ValueError, match=problem):
            read_text_table(table, ["clip"])


def test_the_texts_that_failed(cases):
    """Duplicates are refused, blank ones are no text, and a stem in other case is said."""
    folder, stems = cases / "score" / "wtext", ["bbaf3s", "bbaf4p", "bbaf5a", "bbal6n"]
    with pytest.raises(ValueError, match="stem bbaf3s is in lines 2 and 3"):
        read_text_table(folder / "text_duplicate_stem.csv", stems)
    texts, notes = read_text_table(folder / "text_wrong_case.csv", stems)
    assert sorted(texts) == ["bbaf3s", "bbaf5a", "bbal6n"] and len(notes) == 1 and "line 3: BBAF4P" in notes[0]
    texts, notes = read_text_table(folder / "text_empty.csv", stems)
    assert notes == []
    silence = np.zeros(1600, np.float32)
    clips = hear(Recogniser("w_wer", lambda _: "", normalise), [(silence, silence)] * 4, [texts[s] for s in stems])
    summary = summarise_words({"w_wer": clips})
    assert summary["w_wer"]["rate"] is None and sum(summary["w_wer"]["reasons"].values()) == 4
    assert summary["w_wer"]["reasons"]["no text"] == 2
