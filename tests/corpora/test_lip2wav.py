import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import soundfile
from conftest import slts
from drawn_faces import scene

from slts.corpora import load_corpus
from slts.data.clip import Reject
from slts.data.media import encode_h264, mux
from slts.errors import UserError

IDS = {"train": ["wrgnaV-cVrs", "-L6TFnaXvMg", "vC2v1n-bZQU"], "val": ["AGZZGR5Otxw"], "test": ["V_0Bnc_URos"]}
WINDOWS = {"chess": [0.6015625, 0.375, 0.8828125, 0.63888889], "dl": [0.75, 0.75, 1.0, 1.0]}


def read(root: Path | None, **changes) -> list:
    config = {
        "root": root and str(root),
        "speakers": None,
        "source": "videos",
        "windows": WINDOWS,
        "fps": None,
        "video_stream": None,
        "audio_stream": None,
        "faces": "cascade",
        "size": 32,
        "largest_gap": 1.0,
        **changes,
    }
    return load_corpus("lip2wav", SimpleNamespace(**config))[0]


def lists(folder: Path, ids: dict[str, list[str]] = IDS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in ids.items():
        (folder / f"{split}.txt").write_text("\n".join(names))


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


@pytest.mark.parametrize(("folder", "root"), [("Dataset", "."), ("Dataset", "Dataset"), ("Dataset", "Dataset/chem")])
def test_lists_and_roots(tmp_path, folder, root):
    lists(tmp_path / folder / "chem")
    videos = tmp_path / folder / "chem" / "videos"
    touch(*(videos / f"{name}.mp4" for names in IDS.values() for name in names[:1]), videos / "-L6TFnaXvMg.webm")
    touch(videos / "vC2v1n-bZQU.mp4.part", videos / "vC2v1n-bZQU.f137.mp4", videos / "unlisted123.mp4")
    found = read(tmp_path / root)
    assert [(u.key, u.split) for u in found] == [(f"chem_{n}", split) for split, names in IDS.items() for n in names]
    assert {u.speaker for u in found} == {"chem"}
    assert [u.source for u in found[:3]] == [
        "chem/videos/wrgnaV-cVrs.mp4",
        "chem/videos/-L6TFnaXvMg.webm",
        "chem/videos/vC2v1n-bZQU",
    ]
    assert [u.video and u.video.name for u in found[:3]] == ["wrgnaV-cVrs.mp4", "-L6TFnaXvMg.webm", None]
    with pytest.raises(Reject) as caught:
        found[2].load()
    assert caught.value.reason == "missing" and "vC2v1n-bZQU is in train.txt" in caught.value.detail


def test_bad_input_is_named(tmp_path):
    for root in (None, tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match="root="):
            read(root)
    lists(tmp_path / "chem")
    with pytest.raises(UserError, match="hs"):
        read(tmp_path, speakers=["hs"])
    for changes, match in (
        ({"source": "preprocessed", "fps": 30}, "faces=none"),
        ({"source": "preprocessed", "faces": "none"}, "fps="),
        ({"windows": {"chess": [0.5, 0, 0.4, 1]}}, r"windows\.chess"),
        ({"windows": {"dl": [0, 0, 2, 1]}}, r"windows\.dl"),
        ({"windows": {"dl": [0, 1]}}, r"windows\.dl"),
        ({"windows": {"dl": ["a", 0, 1, 1]}}, r"windows\.dl"),
    ):
        with pytest.raises(UserError, match=match):
            read(tmp_path, **changes)
    for bad in ("../../etc/passwd", "a.b", "wrgnaV-cVrs"):  # the last is in train.txt too
        (tmp_path / "chem" / "test.txt").write_text(bad)
        with pytest.raises(UserError, match=r"test\.txt"):
            read(tmp_path)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """Two speakers; dl's small face is in the last quarter of lines and columns, a larger one elsewhere."""
    root = tmp_path_factory.mktemp("lip2wav") / "Dataset"
    tone = np.sin(np.arange(32000) / 5).astype(np.float32) * 0.3
    pictures = {
        ("chem", 30000 / 1001): scene([(160, 120, 50)]),
        ("dl", 25.0): scene([(200, 180, 100), (560, 420, 40)], (480, 640)),
    }
    for (speaker, fps), picture in pictures.items():
        lists(root / speaker)
        (root / speaker / "videos").mkdir()
        video = encode_h264(np.repeat(picture[None], round(2 * fps), 0), fps)
        for name in [*IDS["train"][:2], *IDS["val"], *IDS["test"]]:
            mux(video, tone, root / speaker / "videos" / f"{name}.mp4")
    return root


def test_windows_and_spans(dataset):
    found = {u.key: u for u in read(dataset)}
    clip = found["dl_wrgnaV-cVrs"].load(span=(0.4, 1.0))
    assert clip.frames.shape == (15, 120, 160, 3) and clip.extra["start"] == pytest.approx(0.4)
    assert clip.extra["window"] == [480, 360, 640, 480] and len(clip.audio) == 9600
    assert abs(int(clip.frames[0, 60, 80].mean()) - int(scene([(80, 60, 40)], (120, 160))[60, 80].mean())) < 20
    clip = found["chem_wrgnaV-cVrs"].load()
    assert clip.frames.shape == (60, 240, 320, 3) and "window" not in clip.extra
    assert clip.fps == pytest.approx(30000 / 1001)


def test_the_chess_window_is_the_official_one(tmp_path):
    lists(tmp_path / "chess", {"train": IDS["train"][:1]})
    (tmp_path / "chess" / "videos").mkdir()
    frames = np.zeros((10, 720, 1280, 3), np.uint8)
    mux(encode_h264(frames, 25.0), np.zeros(6400, np.float32), tmp_path / "chess" / "videos" / f"{IDS['train'][0]}.mp4")
    clip = read(tmp_path)[0].load()
    assert clip.extra["window"] == [770, 270, 1130, 460] and clip.frames.shape[1:3] == (190, 360)


def test_prepare(dataset, tmp_path):
    """The real command: every id is a clip or a line in the ledger, and the face found is the one in the window."""
    out = tmp_path / "out"
    slts(
        "prepare",
        "corpus=lip2wav",
        f"root={dataset}",
        f"out={out}",
        "size=32",
        "workers=1",
        "speakers=[dl]",
        "chunk_seconds=1",
    )
    corpus = json.loads((out / "corpus.json").read_text())
    assert {split: facts["clips"] for split, facts in corpus["splits"].items()} == {"train": 4, "val": 2, "test": 2}
    assert corpus["rejected"] == {"missing": 1} and corpus["fps"] == [25.0]
    (line,) = (out / "rejected.jsonl").read_text().splitlines()
    assert json.loads(line)["source"] == "dl/videos/vC2v1n-bZQU"
    with tarfile.open(out / "val-000000.tar") as tar:
        sample = json.load(tar.extractfile(next(name for name in tar.getnames() if name.endswith(".json"))))
    left, _, right, _ = sample["face"]["box"]
    assert 70 < (left + right) / 2 < 90 and 40 < right - left < 130 and sample["window"] == [480, 360, 640, 480]


@pytest.fixture
def cut(tmp_path) -> Path:
    """cut-0 of one video as Lip2Wav leaves it: 2 s at 25 fps, crops of many sizes, frame i is grey 4 i."""
    lists(tmp_path / "hs", {"train": [IDS["train"][0]], "val": ["absent_____"]})
    folder = tmp_path / "hs" / "preprocessed" / IDS["train"][0] / "cut-0"
    folder.mkdir(parents=True)
    for i in range(50):
        cv2.imwrite(str(folder / f"{i}.jpg"), np.full((40 + i, 30 + i, 3), 4 * i, np.uint8))
    soundfile.write(folder / "audio.wav", np.sin(np.arange(32000) / 5) * 0.3, 16000)
    return folder


def cuts(folder: Path, **changes) -> list:
    return read(folder.parents[3], source="preprocessed", faces="none", fps=25.0, **changes)


def test_preprocessed_crops(cut):
    for name in ("cut-10", "cut-2"):
        cut.with_name(name).mkdir()
    found = cuts(cut)
    assert [u.key for u in found] == [f"hs_{IDS['train'][0]}_{n}" for n in (0, 2, 10)] + ["hs_absent_____"]
    assert found[0].source == f"hs/preprocessed/{IDS['train'][0]}/cut-0"
    clip = found[0].load()
    assert clip.frames.shape == (50, 32, 32, 3) and clip.fps == 25.0 and len(clip.audio) == 32000
    assert np.abs(clip.frames[:, 16, 16, 0].astype(int) - 4 * np.arange(50)).max() <= 2
    assert clip.extra == {"start": 0.0, "held_frames": 0}
    reasons = []
    for utterance in found[1:]:
        with pytest.raises(Reject) as caught:
            utterance.load()
        reasons.append(caught.value.reason)
    assert reasons == ["no_face", "no_face", "missing"]


def test_dropped_faces_are_held_and_the_ends_cut_off(cut):
    for i in (0, 1, 10, 11, 12, 48, 49):
        (cut / f"{i}.jpg").unlink()
    clip = cuts(cut)[0].load()
    shown = (clip.frames[:, 16, 16, 0] / 4).round().astype(int).tolist()
    assert shown == [*range(2, 10), 9, 9, 13, *range(13, 48)]
    assert clip.extra == {"start": 0.08, "held_frames": 3}
    assert np.allclose(clip.audio, np.sin(np.arange(1280, 48 * 640) / 5) * 0.3, atol=1e-3)


def test_a_long_gap_is_rejected(cut):
    for i in range(10, 20):
        (cut / f"{i}.jpg").unlink()
    assert cuts(cut, largest_gap=0.4)[0].load().extra["held_frames"] == 10
    with pytest.raises(Reject) as caught:
        cuts(cut, largest_gap=0.39)[0].load()
    assert caught.value.reason == "face_gap"
    (cut / "999999999.jpg").write_bytes((cut / "9.jpg").read_bytes())
    with pytest.raises(Reject) as caught:
        cuts(cut)[0].load()
    assert caught.value.reason == "face_gap"


@pytest.mark.parametrize(("name", "reason"), [("audio.wav", "unreadable"), ("7.jpg", "unreadable")])
def test_damaged_parts(cut, name, reason):
    (cut / name).write_bytes(b"damage")
    with pytest.raises(Reject) as caught:
        cuts(cut)[0].load()
    assert caught.value.reason == reason


def test_no_sound(cut):
    (cut / "audio.wav").unlink()
    with pytest.raises(Reject) as caught:
        cuts(cut)[0].load()
    assert caught.value.reason == "no_audio"
