"""A corpus spoken by a run: the speech of each clip beside it, the rest as it was, and one writer at a time."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from conftest import slts
from ranks import TINY

from slts.cli import run
from slts.data.claim import claimed
from slts.data.loader import evaluation_loader
from slts.data.media import decode_flac
from slts.data.shards import read_shard
from slts.data.verification import verify_corpus
from slts.files import sha256
from slts.systems.trained import load_run


@pytest.fixture(scope="module")
def speaking(tiny_corpus, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("speaking")
    slts("train", f"data={tiny_corpus}", f"runs={runs}", "name=base", *TINY, "steps=1", "validate_every=1")
    return runs / "base"


def command(*arguments: object) -> tuple[int, str]:
    """``slts ...`` in this process: its exit status, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = run(str(arguments[0]), [str(argument) for argument in arguments[1:]])
    return status, said.getvalue()


def speak(speaking: Path, data: Path, out: Path, *more: str) -> tuple[int, str]:
    return command("generate", f"run={speaking}", f"data={data}", f"out={out}", *more)


@pytest.fixture(scope="module")
def spoken(speaking, tiny_corpus, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("spoken") / "corpus"
    status, said = speak(speaking, tiny_corpus, out)
    assert status == 0 and "24 clips spoken" in said, said
    return out


def shards(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.tar"))


def test_the_rest_of_every_sample_is_as_it_was(tiny_corpus, spoken):
    assert [path.name for path in shards(spoken)] == [path.name for path in shards(tiny_corpus)]
    for before, after in zip(shards(tiny_corpus), shards(spoken), strict=True):
        for one, two in zip(read_shard(before), read_shard(after), strict=True):
            sound = decode_flac(two.pop("synth.flac"))
            assert one == two and abs(len(sound) - len(decode_flac(one["flac"]))) <= 160 and sound.any()
    before, after = (json.loads((folder / "corpus.json").read_text()) for folder in (tiny_corpus, spoken))
    same = ("name", "splits", "speakers", "fps", "size", "mel", "rejected", "config")
    assert {key: before[key] for key in same} == {key: after[key] for key in same}
    assert before["hash"] != after["hash"] and verify_corpus(spoken).faults == []


def test_spoken_to_an_address_are_the_bytes_of_the_folder(speaking, tiny_corpus, spoken, tmp_path):
    status, said = speak(speaking, tiny_corpus, f'"file://{tmp_path}/there"')
    assert status == 0 and f"24 clips spoken into file://{tmp_path}/there" in said, said
    for path in [*shards(spoken), spoken / "corpus.json"]:
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


def test_plain_webdataset_reads_it(spoken):
    sample = next(iter(webdataset.WebDataset(str(shards(spoken)[0]), shardshuffle=False)))
    assert {"mp4", "flac", "json", "synth.flac"} <= sample.keys() and sample["synth.flac"][:4] == b"fLaC"


def test_the_speech_is_that_of_the_clip(speaking, tiny_corpus, spoken):
    base = load_run(speaking)
    told = {}
    for batch in evaluation_loader(base.dataset(tiny_corpus, "test"), 16):
        for key, said in zip(batch.key, base.task.generate(batch), strict=True):
            told[key] = said.numpy()
    kept = {sample["key"]: decode_flac(sample["synth.flac"]) for sample in read_shard(spoken / "test-000000.tar")}
    assert told.keys() == kept.keys() and len(kept) > 2
    for key, sound in kept.items():
        assert np.abs(sound - told[key][: len(sound)].clip(-1, 1)).max() < 2**-15
    first, second = list(kept)[:2]
    shorter = min(len(kept[first]), len(kept[second]))
    assert np.abs(kept[first][:shorter] - kept[second][:shorter]).max() > 2**-10  # of another clip it is not


def test_corpus_json_says_who_spoke(speaking, tiny_corpus, spoken):
    made = json.loads((spoken / "corpus.json").read_text())["synthesised"]
    config = json.loads((tiny_corpus / "corpus.json").read_text())
    assert made == {
        "of": config["hash"], "run": "base", "task": "slts", "variant": "paper", "step": 1,
        "config_hash": made["config_hash"], "weights": sha256(speaking / "best" / "model.safetensors"),
    }  # fmt: skip
    assert len(made["config_hash"]) == 12


def test_what_was_finished_before_an_interruption_is_kept(speaking, tiny_corpus, spoken, tmp_path):
    out = Path(shutil.copytree(spoken, tmp_path / "out"))
    kept, lost = out / "train-000000.tar", out / "test-000000.tar"
    (out / "corpus.json").unlink()
    lost.unlink()
    (out / ".test-000000.json").unlink()
    (out / ".test-000000.tar.1.tmp").write_bytes(b"half")
    before = kept.stat().st_mtime_ns
    torch.manual_seed(5)
    assert speak(speaking, tiny_corpus, out)[0] == 0
    assert kept.stat().st_mtime_ns == before and not (out / ".test-000000.tar.1.tmp").exists()
    for name in ("corpus.json", lost.name):
        assert (out / name).read_bytes() == (spoken / name).read_bytes()


def test_parts_are_the_same_corpus(speaking, tiny_corpus, spoken, tmp_path):
    out = tmp_path / "out"
    assert speak(speaking, tiny_corpus, out, "part=0/2")[1] == (
        f"part 0/2 is in {out}; the last part to be done writes corpus.json\n"
    )
    assert len(shards(out)) < len(shards(spoken)) and not (out / "corpus.json").exists()
    status, said = speak(speaking, tiny_corpus, out, "part=1/2")
    assert status == 0 and "24 clips spoken" in said
    assert [sha256(path) for path in shards(out)] == [sha256(path) for path in shards(spoken)]
    assert (out / "corpus.json").read_bytes() == (spoken / "corpus.json").read_bytes()


def test_one_process_writes(speaking, tiny_corpus, tmp_path):
    out = tmp_path / "out"
    with claimed(out, {}):
        status, said = speak(speaking, tiny_corpus, out)
    assert status == 2 and "another" in said and len(said.splitlines()) == 1
    status, said = speak(speaking, tiny_corpus, out)
    assert status == 2 and "holds another corpus" in said and not list(out.glob("*.tar"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("run={run} out={out}", "and got neither"),
        ("run={run} out={out} data={plain} input={plain}", "and got both"),
        ("run={run} out={out} data={plain} speaker=s1", "speaker=s1 is of videos"),
        ("run={run} out={out} input={plain} part=0/2", "part=0/2 is of data="),
        ("run={run} out={out} data={plain} part=2/2", "part=2/2: must be NUMBER/PARTS"),
        ("run={run} out={out} data={plain} engine=ray address=localhost:1", "address=localhost:1"),
        ("run={run} out={plain} data={plain}", "is the source"),
        ("run={run} out={out} data={spoken}", "was spoken by the run base already"),
        ("run={run} out={out} data={nothing}", "no corpus.json there"),
    ],
)
def test_what_cannot_be_spoken_is_one_line(arguments, words, speaking, tiny_corpus, spoken, tmp_path):
    places = {"run": speaking, "plain": tiny_corpus, "spoken": spoken, "out": tmp_path / "out", "nothing": tmp_path}
    status, said = command("generate", *arguments.format(**places).split())
    assert status == 2 and words in said and len(said.splitlines()) == 1, said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("facts", "words"), [({"speakers": ["x"]}, "no voice of x"), ({"fps": [30.0]}, "30 video")])
def test_strangers_and_other_frame_rates_are_refused(facts, words, speaking, tiny_corpus, tmp_path):
    data = Path(shutil.copytree(tiny_corpus, tmp_path / "data"))
    corpus = json.loads((data / "corpus.json").read_text())
    (data / "corpus.json").write_text(json.dumps(corpus | facts))
    status, said = speak(speaking, data, tmp_path / "out")
    assert status == 2 and words in said and len(said.splitlines()) == 1, said


def test_a_shard_that_is_not_as_recorded_is_refused(speaking, tiny_corpus, tmp_path):
    data = Path(shutil.copytree(tiny_corpus, tmp_path / "data"))
    shutil.copy(data / "val-000000.tar", data / "test-000000.tar")
    status, said = speak(speaking, data, tmp_path / "out")
    assert status == 2 and "test-000000.tar: its SHA-256" in said.splitlines()[-1], said
    assert not (tmp_path / "out" / "corpus.json").exists()


def test_a_spoken_corpus_is_not_repaired(spoken, tmp_path):
    keys = [sample["key"] for sample in read_shard(spoken / "test-000000.tar")]
    (tmp_path / "o.csv").write_text("key,offset_ms\n" + "".join(f"{key},40\n" for key in keys))
    status, said = command(
        "offsets", "action=apply", f"data={spoken}", f"offsets={tmp_path}/o.csv", f"out={tmp_path}/x"
    )
    assert status == 2 and "synth.flac" in said and len(said.splitlines()) == 1, said


def test_speech_is_not_replaced_where_corpus_json_does_not_tell_of_it(speaking, spoken, tmp_path):
    data = Path(shutil.copytree(spoken, tmp_path / "data"))
    corpus = json.loads((data / "corpus.json").read_text())
    del corpus["synthesised"]
    (data / "corpus.json").write_text(json.dumps(corpus))
    status, said = speak(speaking, data, tmp_path / "out")
    assert status == 2 and "has a sound 'synth' already" in said.splitlines()[-1], said
    assert not list((tmp_path / "out").glob("*.tar"))
