"""Cross-fitting: each training clip is spoken by the run that did not learn from it, and nobody else may."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import webdataset
from omegaconf import OmegaConf
from ranks import Ranks

from slts.cli import run as command
from slts.data.batch import collate
from slts.data.dataset import ShardDataset
from slts.data.folds import Fold, fold_of
from slts.data.media import decode_flac, encode_flac
from slts.data.shards import read_corpus_json, read_shard, write_shard
from slts.data.verification import verify_corpus
from slts.errors import UserError
from slts.files import sha256
from slts.systems.cross_fit import speakers
from slts.systems.trained import load_run


def test_the_fold_is_that_of_the_hash():
    assert [fold_of(key, 2) for key in ("a", "b", "c")] == [1, 1, 0]  # sha256sum ends in ...bb, ...1d, ...a6
    assert int(hashlib.sha256(b"c").hexdigest()[-1], 16) % 2 == 0
    halves = sum(fold_of(str(number), 2) for number in range(1000))
    assert 440 < halves < 560
    # 16 is 1 modulo 3, so the digits of a hash add up to its fold of three: to 529, 455, 433 and 395.
    assert [fold_of(key, 3) for key in ("a", "b", "c", "x")] == [1, 2, 1, 2]
    assert [Fold.of("2/3").holds(key) for key in ("a", "b", "c", "x")] == [False, True, False, True]


@pytest.mark.parametrize("text", ["2/2", "0/1", "0", "a/b", "-1/2", "0/2/3", "0/99999"])
def test_what_is_no_fold_is_refused_before_data_is_read(text, capsys):
    with pytest.raises(UserError, match="must be NUMBER/FOLDS"):
        Fold.of(text)
    assert command("train", ["experiment=cpu", "data=nowhere", "name=x", f'leave_out="{text}"']) == 2
    assert "must be NUMBER/FOLDS" in capsys.readouterr().err


def keys_of(data: Path, split: str) -> list[str]:
    return [sample["key"] for file in sorted(data.glob(f"{split}-*.tar")) for sample in read_shard(file)]


@pytest.mark.parametrize("folds", [2, 3])
def test_what_is_left_is_seen_once_an_epoch(folds, tiny_corpus):
    there, seen = keys_of(tiny_corpus, "train"), []
    for number in range(folds):
        dataset = ShardDataset(tiny_corpus, "train", 16, 1, without=Fold(number, folds))
        assert sorted(dataset.keys) == sorted(key for key in there if fold_of(key, folds) != number)
        epoch = [dataset[dataset.order[place]]["key"] for place in range(len(dataset))]
        assert sorted(epoch) == sorted(dataset.keys) and 0 < len(epoch) < len(there)
        seen += epoch
    assert sorted(seen) == sorted(there * (folds - 1))


def test_no_clip_left_is_one_line(tiny_corpus, tmp_path):
    one = next(key for key in map(str, range(99)) if fold_of(key, 2) == 0)
    sample = next(read_shard(tiny_corpus / "train-000000.tar")) | {"key": one}
    write_shard(tmp_path / "train-000000.tar", [sample]).rename(tmp_path / "train-000000.tar")
    shards = [{"file": "train-000000.tar", "clips": 1, "sha256": sha256(tmp_path / "train-000000.tar")}]
    corpus = read_corpus_json(tiny_corpus) | {"shards": shards}
    (tmp_path / "corpus.json").write_text(json.dumps(corpus))
    assert len(ShardDataset(tmp_path, "train", 16, 1, without=Fold(1, 2))) == 1
    with pytest.raises(UserError, match="no train clip is left without fold 0/2"):
        ShardDataset(tmp_path, "train", 16, 1, without=Fold(0, 2))


@pytest.fixture(scope="module")
def runs(tiny_corpus, tmp_path_factory) -> Path:
    """A and B left a half out, C nothing. D is A that began with C's weights, E A of another corpus, F C that began
    with the weights of some run, G A that wrote its fold otherwise."""
    folder = tmp_path_factory.mktemp("runs")
    for name, keys in {"C": [], "A": ["leave_out=0/2"], "B": ["leave_out=1/2"]}.items():
        given = f"data={tiny_corpus}", f"runs={folder}", f"name={name}", "steps=1", "validate_every=1"
        said = Ranks(1, folder / f"{name}.log", *given, *keys).finish()
        count = len([key for key in keys_of(tiny_corpus, "train") if not keys or not _held(keys[0], key)])
        assert f"{count} clips" in said
    changes = {"D": {"warm_start": "runs/C"}, "F": {"warm_start": "runs/X"}, "G": {"leave_out": "00/2"}, "E": {}}
    for name, change in changes.items():
        shutil.copytree(folder / ("C" if name == "F" else "A"), folder / name, symlinks=True)
        changed = OmegaConf.load(folder / name / "config.yaml")
        OmegaConf.save(OmegaConf.merge(changed, change), folder / name / "config.yaml")
    other = json.loads((folder / "E" / "corpus.json").read_text()) | {"hash": "of another"}
    (folder / "E" / "corpus.json").write_text(json.dumps(other))
    return folder


def _held(leave_out: str, key: str) -> bool:
    return Fold.of(leave_out.partition("=")[2]).holds(key)


def speak(runs: Path, names: str, data: Path, out: Path, *more: str) -> int:
    given = ",".join(f"{runs}/{name}" for name in names)
    return command("generate", [f"run=[{given}]", f"data={data}", f"out={out}", "batch_size=1", *more])


@pytest.mark.parametrize(("names", "elsewhere"), [("BA", "B"), ("CBA", "C")])
def test_each_clip_is_spoken_by_who_did_not_learn_from_it(names, elsewhere, runs, tiny_corpus, tmp_path):
    out = tmp_path / "out"
    assert speak(runs, names, tiny_corpus, out, "folds=2") == 0
    made = read_corpus_json(out)["synthesised"]
    assert made["folds"] == 2 and made["run"] == elsewhere and made["of"] == read_corpus_json(tiny_corpus)["hash"]
    told = {one["run"]: (one["leave_out"], one["weights"]) for one in made["runs"]}
    by_fold = {"A": "0/2", "B": "1/2", "C": None}
    for name in names:
        assert told[name] == (by_fold[name], sha256(runs / name / "best" / "model.safetensors"))
    assert made["weights"] == told[elsewhere][1] and len(told) == len(names)
    loaded = {name: load_run(runs / name) for name in names}
    spoken_by = set()
    for split in ("train", "test"):
        kept = {s["key"]: s["synth.flac"] for s in read_shard(out / f"{split}-000000.tar")}
        for place, key in enumerate(list(kept)[:4]):
            who = "AB"[fold_of(key, 2)] if split == "train" else elsewhere
            clips = {name: collate([one.dataset(tiny_corpus, split)[0, place]]) for name, one in loaded.items()}
            told = {name: loaded[name].task.generate(clip)[0].numpy() for name, clip in clips.items()}
            sound = decode_flac(kept[key])
            inner = slice(0, len(sound) - 1280)  # the end may depend on what a clip was padded with
            apart = {name: np.abs(sound - said[: len(sound)].clip(-1, 1))[inner].max() for name, said in told.items()}
            assert apart[who] < 2**-14 and all(value > 2**-12 for name, value in apart.items() if name != who), apart
            spoken_by.add((split, who))
    assert {("train", "A"), ("train", "B"), ("test", elsewhere)} == spoken_by
    assert verify_corpus(out).faults == []
    sample = next(iter(webdataset.WebDataset(str(out / "train-000000.tar"), shardshuffle=False)))
    assert {"mp4", "flac", "json", "synth.flac"} <= sample.keys()
    before = {file.name: file.read_bytes() for file in out.glob("*.tar")}
    for file in ("corpus.json", "test-000000.tar"):
        (out / file).unlink()
    assert speak(runs, names, tiny_corpus, out, "folds=2") == 0
    assert {file.name: file.read_bytes() for file in out.glob("*.tar")} == before


@pytest.mark.parametrize("names", ["FAB", "GB", "BG"])
def test_what_cannot_have_seen_a_fold_speaks_it(names, runs, tiny_corpus):
    """What began with other weights speaks no training clip, and 00/2 is the fold 0/2."""
    given = [load_run(runs / name) for name in names]
    voices = speakers(given, 2, read_corpus_json(tiny_corpus), tiny_corpus)
    by_fold = {"0/2": "G" if "G" in names else "A", "1/2": "B"}
    assert [run.directory.path.name for run in voices.by_fold] == list(by_fold.values())
    assert voices.first is given[0] and voices.of("test", "a") is given[0]
    assert {one["leave_out"] for one in voices.provenance()["runs"]} - {None} == by_fold.keys()


@pytest.mark.parametrize(
    ("names", "more", "words"),
    [
        ("C", ["folds=2"], "none of the runs left fold 0/2 out, so each learned from its clips"),
        ("AA", ["folds=2"], "none of the runs left fold 1/2 out"),
        ("AB", ["folds=3"], "none of the runs left fold 0/3 out"),
        ("ABC", ["folds=2"], "and before them perhaps one that left nothing out; run= names 3"),
        ("ABB", ["folds=2"], "run= names 3"),
        ("DB", ["folds=2"], "began with the weights of runs/C (warm_start=)"),
        ("EB", ["folds=2"], "was trained on another corpus than"),
        ("AB", [], "names 2 runs, and folds=1 takes one"),
    ],
)
def test_runs_that_may_have_seen_a_clip_are_refused(names, more, words, runs, tiny_corpus, tmp_path, capsys):
    assert speak(runs, names, tiny_corpus, tmp_path / "out", *more) == 2
    said = capsys.readouterr().err
    assert words in said and len(said.splitlines()) == 1 and not (tmp_path / "out").exists(), said


def test_videos_have_no_folds(runs, tmp_path, capsys):
    given = [f"input={tmp_path}", f"out={tmp_path}/out"]
    for keys in ([f"run={runs}/A", "folds=2"], [f"run=[{runs}/A,{runs}/B]"]):
        assert command("generate", [*keys, *given]) == 2
        assert "videos take one run=" in capsys.readouterr().err


def test_a_clip_without_its_speech_is_a_fault(runs, tiny_corpus, tmp_path):
    """Hash and counts of the shard are right; only what the samples hold is not."""
    out = tmp_path / "out"
    assert command("generate", [f"run={runs}/C", f"data={tiny_corpus}", f"out={out}"]) == 0
    file = out / "test-000000.tar"
    samples = list(read_shard(file))
    del samples[0]["synth.flac"]
    samples[1]["synth.flac"] = encode_flac(decode_flac(samples[1]["synth.flac"])[:8000])
    write_shard(file, samples).rename(file)
    corpus = read_corpus_json(out)
    next(shard for shard in corpus["shards"] if shard["file"] == file.name)["sha256"] = sha256(file)
    (out / "corpus.json").write_text(json.dumps(corpus))
    faults = "\n".join(verify_corpus(out).faults)
    assert "good clips have KEY.synth.flac, which all or none must have" in faults
    assert f"{samples[1]['key']}: synth.flac is not as long as the clip" in faults
