import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from slts.corpora import load_corpus
from slts.data.media import encode_h264, mux
from slts.errors import UserError


def read(root: Path | None, **changes) -> list:
    return load_corpus(
        "folder",
        SimpleNamespace(
            **{
                "root": root and str(root),
                "seed": 0,
                "fps": None,
                "video_stream": None,
                "audio_stream": None,
                **changes,
            }
        ),
    )[0]


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_speakers_are_folders_and_keys_are_unique(tmp_path):
    names = [
        "ann/a b.mp4",
        "ann/a-b.MOV",
        "ann/a_b.mkv",
        "bob/c/ü.webm",
        "bob/c/ö.webm",
        "top.avi",
        "bob/c/x.txt",
        ".h/y.mp4",
    ]
    touch(tmp_path, *names)
    found = {u.source: u for u in read(tmp_path)}
    assert found.keys() == set(names[:6])
    assert {source: u.speaker for source, u in found.items()} == {
        "ann/a b.mp4": "ann",
        "ann/a-b.MOV": "ann",
        "ann/a_b.mkv": "ann",
        "bob/c/ü.webm": "c",
        "bob/c/ö.webm": "c",
        "top.avi": tmp_path.name,
    }
    keys = [u.key for u in found.values()]
    assert len({key.lower() for key in keys}) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,90}", key) for key in keys)
    assert found["ann/a-b.MOV"].key == "ann_a-b"


def test_long_names_give_short_keys(tmp_path):
    touch(tmp_path, *(f"{'x' * 200}{i}.mp4" for i in range(3)))
    keys = {u.key for u in read(tmp_path)}
    assert len(keys) == 3 and max(map(len, keys)) < 95


def test_seeded_split_by_speaker(tmp_path):
    touch(tmp_path, *(f"{speaker}/{i}.mp4" for speaker in "ab" for i in range(40)))
    found = read(tmp_path)
    assert [u.split for u in found] == ["train"] * 72 + ["val"] * 4 + ["test"] * 4
    assert {u.speaker for u in found if u.split == "val"} == {"a", "b"}


def test_metadata_names_speaker_split_and_text(tmp_path):
    touch(tmp_path, "v/1.mp4", "v/2.mp4", "v/3.mp4")
    (tmp_path / "metadata.csv").write_text(
        '\ufefffile,speaker,split,text\nv/2.mp4,eva,test,"guten Tag, Welt"\nv/1.mp4,,,\n'
    )
    found = {u.source: (u.speaker, u.split, u.text) for u in read(tmp_path)}
    assert found == {"v/1.mp4": ("v", "train", None), "v/2.mp4": ("eva", "test", "guten Tag, Welt")}


@pytest.mark.parametrize(
    "table",
    [
        "path,speaker\nv.mp4,a\n",
        "file,mood\nv.mp4,glad\n",
        "file\n../v.mp4\n",
        "file\n/etc/v.mp4\n",
        'file\n""\n',
        "file,split\nv.mp4,dev\n",
        "file\nv.mp4\nv.mp4\n",
        b"file\n\xff\xfe.mp4\n",
        "",
    ],
)
def test_bad_metadata_is_named(tmp_path, table):
    touch(tmp_path, "v.mp4")
    path = tmp_path / "metadata.csv"
    path.write_bytes(table) if isinstance(table, bytes) else path.write_text(table)
    with pytest.raises(UserError, match=r"metadata\.csv"):
        read(tmp_path)


def test_missing_and_empty_roots_are_named(tmp_path):
    for root in (None, tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match="root="):
            read(root)


def test_a_video_loads_at_the_rate_asked_for(tmp_path):
    (tmp_path / "ann").mkdir()
    picture = encode_h264(np.zeros((50, 32, 32, 3), np.uint8), 25.0)
    mux(picture, np.zeros(32000, np.float32), tmp_path / "ann" / "a.mp4")
    clip = read(tmp_path, fps=12.5)[0].load()
    assert (clip.fps, len(clip.frames), len(clip.audio)) == (12.5, 25, 32000)
