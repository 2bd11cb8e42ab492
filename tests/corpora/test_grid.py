from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from slts.corpora import load_corpus
from slts.corpora.grid_grammar import stem
from slts.data.clip import Reject
from slts.errors import UserError

STEMS = [f"{a}b{b}{c}{d}{e}" for a in "bl" for b in "ai" for c in "fg" for d in "12z" for e in "np"]


def read(root: Path, **changes) -> list:
    config = {"root": str(root), "speakers": None, "lists": None, "seed": 0, "fps": None, **changes}
    return load_corpus("grid", SimpleNamespace(**config))[0]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(
    ("video", "audio"),
    [
        ("{0}/{1}.mpg", None),
        ("{0}/{0}/{1}.mpg", None),
        ("{0}.mpg_vcd/{0}/{1}.mpg", None),
        ("{0}/video/mpg_6000/{1}.mpg", None),
        ("{0}/video/{1}.mpg", None),
        ("{0}/video/{1}.mp4", "{0}/audio/{1}.flac"),
        ("{0}/video/{1}.mp4", "{0}/audio/{1}.wav"),
        ("{0}/video/{1}.mp4", None),
        ("video/{0}/{1}.mpg", None),
        ("video_mpg/{0}/{1}.mpg", None),
        ("video/{0}/{1}.mp4", "audio/{0}/{1}.wav"),
    ],
)
def test_layouts(tmp_path, video, audio):
    for speaker in ("s2", "s10"):
        touch(*(tmp_path / video.format(speaker, stem) for stem in STEMS))
        if audio:
            touch(*(tmp_path / audio.format(speaker, stem) for stem in STEMS))
    touch(tmp_path / "notes" / "bbaf2n.mpg")
    found = read(tmp_path)
    assert {u.key for u in found} == {f"{speaker}_{stem}" for speaker in ("s2", "s10") for stem in STEMS}
    assert [u.split for u in found] == ["train"] * 88 + ["val"] * 4 + ["test"] * 4
    assert [u.speaker for u in found if u.split == "val"] == sorted(["s2", "s10"] * 2, key=lambda s: int(s[1:]))
    first = found[0]
    stem = first.key.partition("_")[2]
    assert first.source == video.format(first.speaker, stem)
    sound = first.load.args[1][1]
    assert sound == (tmp_path / audio.format(first.speaker, stem) if audio else None)


@pytest.mark.parametrize(
    "place", ["align/{0}/{1}", "alignments/{0}/{1}", "aligns/{0}/align/{1}", "{0}/align/{1}", "{0}/video/align/{1}"]
)
def test_alignments_are_found(tmp_path, place):
    touch(tmp_path / "s1" / "bbaf2n.mpg", tmp_path / f"{place.format('s1', 'bbaf2n')}.align")
    (utterance,) = read(tmp_path)
    assert utterance.load.args[2].exists()


def test_the_split_of_the_paper_has_its_counts(tmp_path):
    for speaker in ("s1", "s2", "s4", "s29"):
        (tmp_path / speaker).mkdir()
        for number in range(0, 64000, 64):
            (tmp_path / speaker / f"{stem(number)}.mpg").touch()
    splits = [u.split for u in read(tmp_path)]
    assert [splits.count(split) for split in ("train", "val", "test")] == [3600, 200, 200]


def test_sentences_come_from_the_names(tmp_path):
    touch(tmp_path / "s1" / "bbaf2n.mpg", tmp_path / "s1" / "swwzzs.mpg", tmp_path / "s1" / "holiday.mpg")
    texts = {u.key: u.text for u in read(tmp_path)}
    assert texts == {
        "s1_bbaf2n": "bin blue at f two now",
        "s1_swwzzs": "set white with z zero soon",
        "s1_holiday": None,
    }
    with pytest.raises(Reject) as caught:
        next(u for u in read(tmp_path) if u.text is None).load()
    assert caught.value.reason == "file_name"


def test_the_seeded_split_is_a_function_of_seed_and_speaker(tmp_path):
    touch(*(tmp_path / speaker / f"{stem}.mpg" for speaker in ("s1", "s2") for stem in STEMS))
    splits = {u.key: u.split for u in read(tmp_path)}
    assert splits == {u.key: u.split for u in read(tmp_path)}
    alone = {u.key: u.split for u in read(tmp_path, speakers=["s2"])}
    assert alone == {key: split for key, split in splits.items() if key.startswith("s2")}
    assert splits != {u.key: u.split for u in read(tmp_path, seed=1)}
    held_out = [
        {key[3:] for key, split in splits.items() if split != "train" and key.startswith(s)} for s in ("s1", "s2")
    ]
    assert held_out[0] != held_out[1]


def test_explicit_lists_count_every_clip(tmp_path, caplog):
    touch(*(tmp_path / speaker / f"{stem}.mpg" for speaker in ("s1", "s2") for stem in STEMS[:5]))
    (tmp_path / "s1_train.txt").write_text("\n".join(STEMS[:2]))
    (tmp_path / "s1_val.txt").write_text(f"{STEMS[2]}\nlwwz9a\n")
    found = {u.key: u for u in read(tmp_path)}
    assert {key: u.split for key, u in found.items() if key.startswith("s1")} == {
        f"s1_{STEMS[0]}": "train",
        f"s1_{STEMS[1]}": "train",
        f"s1_{STEMS[2]}": "val",
        "s1_lwwz9a": "val",
    }
    assert sum(key.startswith("s2") for key in found) == 5
    assert "2 clips are in none of its lists" in caplog.text
    with pytest.raises(Reject) as caught:
        found["s1_lwwz9a"].load()
    assert caught.value.reason == "missing"
    elsewhere = tmp_path / "lists"
    touch(elsewhere / "s2_test.txt")
    (elsewhere / "s2_test.txt").write_text(STEMS[4])
    found = read(tmp_path, lists=str(elsewhere), speakers=["s2"])
    assert [(u.key, u.split) for u in found] == [(f"s2_{STEMS[4]}", "test")]


@pytest.mark.parametrize("bad", ["bbaf2n", "../../etc/passwd", "a,b"])
def test_bad_lists_are_named(tmp_path, bad):
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    (tmp_path / "s1_train.txt").write_text("bbaf2n\n")
    (tmp_path / "s1_val.txt").write_text(bad)
    with pytest.raises(UserError, match="s1_val"):
        read(tmp_path)


def test_missing_and_empty_roots_are_named(tmp_path):
    for root in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match="root="):
            read(root)
    with pytest.raises(UserError, match="root="):
        load_corpus("grid", SimpleNamespace(root=None, speakers=None, lists=None, seed=0, fps=None))
    touch(tmp_path / "s1" / "bbaf2n.mpg")
    with pytest.raises(UserError, match="s3"):
        read(tmp_path, speakers=["s1", "s3"])


def test_real_clip_with_its_words(grid):
    found = read(grid)
    counts = {
        (s, p): sum(u.speaker == s and u.split == p for u in found)
        for s in ("s1", "s26")
        for p in ("train", "val", "test")
    }
    assert counts[("s1", "train")], counts[("s1", "val")] == (890, 49)
    assert (counts[("s26", "train")], counts[("s26", "val")], counts[("s26", "test")]) == (8, 1, 1)
    utterance = next(u for u in found if u.key == "s1_bbaf3s")
    assert (utterance.text, utterance.split) == ("bin blue at f three soon", "train")
    clip = utterance.load()
    assert clip.words[0] == (0.71, 0.9, "bin") and [w for _, _, w in clip.words] == utterance.text.split()
    envelope = np.abs(clip.audio).reshape(-1, 160).mean(1)
    spoken = envelope[int(clip.words[0][0] * 100) : int(clip.words[-1][1] * 100)]
    assert spoken.mean() > 4 * envelope[:50].mean()


def test_a_program_stream_that_breaks_off_is_truncated(grid, tmp_path):
    data = (grid / "s1" / "bbaf3s.mpg").read_bytes()
    touch(tmp_path / "s1" / "bbaf3s.mpg")
    (tmp_path / "s1" / "bbaf3s.mpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(Reject) as caught:
        read(tmp_path)[0].load()
    assert caught.value.reason == "truncated"


def test_bad_alignment(grid, tmp_path):
    touch(tmp_path / "s1" / "align" / "bbaf3s.align")
    (tmp_path / "s1" / "bbaf3s.mpg").write_bytes((grid / "s1" / "bbaf3s.mpg").read_bytes())
    (tmp_path / "s1" / "align" / "bbaf3s.align").write_text("0 17750 sil\n17750 bin\n")
    with pytest.raises(Reject) as caught:
        read(tmp_path)[0].load()
    assert caught.value.reason == "bad_alignment"
