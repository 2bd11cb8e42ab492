import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import slts

from slts.corpora import load_corpus
from slts.data.media import encode_h264, mux
from slts.errors import UserError

MLF = """#!MLF!#
"/media/disk/TCDTIMIT/lipspeakers/Lipspkr1/Clips/straightcam/sa1.mp4"
0 2000000 sil
2000000 4500001 sh
4500000 10000000 iy
.
"*/LIPSPKR2/Clips/straightcam/si100.rec"
0 100000 sil
.
"/media/disk/TCDTIMIT/volunteers/01M/Clips/straightcam/sa1.mp4"
0 9900000 ah
.
"""


def read(root: Path | None, **changes) -> list:
    config = {"root": root and str(root), "speakers": None, "labels": None, "seed": 0, "fps": None, **changes}
    return load_corpus("tcd_timit", SimpleNamespace(**config))[0]


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_the_split_of_the_paper_has_its_counts(tmp_path):
    touch(*(tmp_path / f"lipspeakers/Lipspkr{s}/Clips/straightcam/si{i}.mp4" for s in (1, 2, 3) for i in range(377)))
    touch(*(tmp_path / f"lipspeakers/Lipspkr1/Clips/30degcam/si{i}.mp4" for i in range(9)))
    touch(*(tmp_path / f"volunteers/01M/Clips/straightcam/si{i}.mp4" for i in range(9)))
    found = read(tmp_path)
    assert [u.split for u in found] == ["train"] * 1017 + ["val"] * 57 + ["test"] * 57
    assert sum(u.speaker == "Lipspkr2" and u.split == "val" for u in found) == 19
    assert len({u.key for u in found}) == 1131
    assert {u.speaker for u in read(tmp_path, speakers=["Lipspkr3"])} == {"Lipspkr3"}


@pytest.mark.parametrize(
    ("root", "folder"),
    [
        (".", "lipspeakers/Lipspkr1/Clips/straightcam"),
        ("lipspeakers", "lipspeakers/Lipspkr1/Clips/straightcam"),
        (".", "Lipspeakers/lipspkr1/clips/StraightCam"),
        (".", "lipspeakers/Lipspkr1/straightcam"),
    ],
)
def test_roots_and_letter_case(tmp_path, root, folder):
    touch(tmp_path / folder / "sa1.mp4", tmp_path / folder / "si7.MP4", tmp_path / folder / "notes.txt")
    found = read(tmp_path / root)
    assert {u.source for u in found} == {
        (tmp_path / folder / name).relative_to(tmp_path / root).as_posix() for name in ("sa1.mp4", "si7.MP4")
    }
    assert {u.key.lower() for u in found} == {"lipspkr1_sa1", "lipspkr1_si7"}


def test_missing_and_bad_input_is_named(tmp_path):
    for root in (None, tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match="root="):
            read(root)
    touch(tmp_path / "lipspeakers/Lipspkr1/Clips/straightcam/sa1.mp4")
    with pytest.raises(UserError, match="Lipspkr9"):
        read(tmp_path, speakers=["Lipspkr9"])
    with pytest.raises(UserError, match="labels="):
        read(tmp_path, labels=str(tmp_path / "absent.mlf"))
    for text in ("", "sil\n", '#!MLF!#\n"*/Lipspkr1/sa1.rec"\n0 sil\n', "\x00\xff"):
        (tmp_path / "bad.mlf").write_text(text)
        with pytest.raises(UserError, match=r"bad\.mlf"):
            read(tmp_path)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """Three speakers with five clips of 1.2 s at 29.97 fps, one of them cut off; labels and one text."""
    root = tmp_path_factory.mktemp("tcd") / "TCDTIMIT"
    picture = np.random.default_rng(0).integers(0, 255, (36, 54, 96, 3), dtype=np.uint8)
    clip = root / "clip.mp4"
    root.mkdir()
    mux(encode_h264(picture, 30000 / 1001), np.sin(np.arange(19200) / 5).astype(np.float32) * 0.3, clip)
    for speaker in (1, 2, 3):
        folder = root / f"lipspeakers/Lipspkr{speaker}/Clips/straightcam"
        folder.mkdir(parents=True)
        for name in ("sa1", "sa2", "si100", "si101", "sx5"):
            (folder / f"{name}.mp4").write_bytes(clip.read_bytes())
    clip.unlink()
    (folder / "sx5.mp4").write_bytes(b"\0" * 100)
    (root / "lipspeakers/Lipspkr1/Clips/straightcam/sa1.txt").write_text(
        "0 46797 She had your dark suit in greasy wash water all year.\n"
    )
    (root / "lipspeaker_labelfiles.mlf").write_text(MLF)
    return root


def test_text_and_phones(release):
    found = {u.key: u for u in read(release)}
    assert found["Lipspkr1_sa1"].text == "She had your dark suit in greasy wash water all year."
    assert found["Lipspkr1_sa2"].text is None
    clip = found["Lipspkr1_sa1"].load()
    assert clip.fps == pytest.approx(30000 / 1001) and clip.frames.shape[1:] == (54, 96, 3)
    assert clip.extra["phones"] == [(0.0, 0.2, "sil"), (0.2, 0.45, "sh"), (0.45, 1.0, "iy")]
    assert clip.words == []
    assert found["Lipspkr2_si100"].load().extra["phones"] == [(0.0, 0.01, "sil")]
    assert "phones" not in found["Lipspkr3_sa1"].load().extra
    elsewhere = read(release / "lipspeakers", labels=str(release / "lipspeaker_labelfiles.mlf"))
    assert "phones" in next(u for u in elsewhere if u.key == "Lipspkr1_sa1").load().extra


def test_prepare(release, tmp_path):
    out = tmp_path / "out"
    slts("prepare", "corpus=tcd_timit", f"root={release}", f"out={out}", "faces=none", "size=32", "workers=1")
    corpus = json.loads((out / "corpus.json").read_text())
    clips = {split: facts["clips"] for split, facts in corpus["splits"].items()}
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [(r["source"], r["reason"]) for r in rejected] == [
        ("lipspeakers/Lipspkr3/Clips/straightcam/sx5.mp4", "unreadable")
    ]
    assert sum(clips.values()) == 14 and corpus["speakers"] == ["Lipspkr1", "Lipspkr2", "Lipspkr3"]
    samples = {}
    for shard in out.glob("*.tar"):
        with tarfile.open(shard) as tar:
            for name in tar.getnames():
                if name.endswith(".json"):
                    samples[name.removesuffix(".json")] = json.load(tar.extractfile(name))
    sample = samples["Lipspkr1_sa1"]
    assert sample["phones"][1] == [0.2, 0.45, "sh"] and sample["fps"] == pytest.approx(29.97, abs=1e-3)
    assert sample["text"].startswith("She had") and sample["face"]["square"] == [21, 0, 54]
