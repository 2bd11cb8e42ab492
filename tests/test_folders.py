import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from slts.config import compose
from slts.corpora import load_corpus
from slts.data.clip import Reject
from slts.data.media import read_picture
from slts.folders import files_below, printable
from slts.systems.videos import find_videos


def reader(root: Path) -> SimpleNamespace:
    return SimpleNamespace(root=str(root), seed=0, fps=None, video_stream=None, audio_stream=None)


def test_links_are_followed_once_and_loops_end(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / "ann").mkdir(parents=True)
    elsewhere.mkdir()
    (root / "ann" / "a.mp4").touch()
    (elsewhere / "b.mp4").touch()
    (root / "bob").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    (root / "above").symlink_to(tmp_path)
    (root / "again").symlink_to(root / "ann")
    expected = [root / "ann" / "a.mp4", root / "bob" / "b.mp4"]
    assert files_below(root) == list(find_videos(root)) == expected
    found = load_corpus("folder", reader(root))[0]
    assert {(u.source, u.speaker) for u in found} == {("ann/a.mp4", "ann"), ("bob/b.mp4", "bob")}


def test_a_name_that_is_not_utf8_is_rejected_and_stops_nothing(tmp_path):
    (tmp_path / "good.mp4").touch()
    with open(bytes(tmp_path) + b"/bad\xff.mp4", "wb"):
        pass
    found = {u.source: u for u in load_corpus("folder", reader(tmp_path))[0]}
    assert found.keys() == {"good.mp4", "bad\\udcff.mp4"}
    with pytest.raises(Reject, match="bad_name"):
        found["bad\\udcff.mp4"].load()


@pytest.mark.parametrize(
    ("corpus", "speaker", "files"),
    [
        ("grid", "s1", ["bbaf2n.mpg"]),
        ("tcd_timit", "lipspeakers/Lipspkr1", ["Clips/straightcam/sa1.mp4"]),
        ("lip2wav", "chem", ["train.txt", "videos/abc.mp4"]),
    ],
)
def test_readers_of_official_layouts_follow_links_to_speakers(tmp_path, corpus, speaker, files):
    for name in files:
        file = tmp_path / "elsewhere" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("abc")
    link = tmp_path / "root" / speaker
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "elsewhere")
    config, _ = compose("prepare", [f"corpus={corpus}", f"root={tmp_path}/root"])
    [found], _ = load_corpus(corpus, config)
    assert found.speaker == link.name and Path(found.source).stem == Path(files[-1]).stem


def test_a_link_to_itself_is_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "z.mp4").symlink_to(tmp_path / "z.mp4")
    assert list(find_videos(tmp_path)) == [tmp_path / "z.mp4"]
    with pytest.raises(Reject, match="unreadable"):
        read_picture(tmp_path / "z.mp4")


def test_a_name_that_is_not_utf8_is_rejected_wherever_media_are_opened(tmp_path):
    name = os.fsdecode(b"\xff\xfe.mp4")
    (tmp_path / name).write_bytes(b"")
    assert printable(name) == r"\udcff\udcfe.mp4" and printable("é日") == "é日"
    with pytest.raises(Reject, match="bad_name: the name is not UTF-8; rename"):
        read_picture(tmp_path / name)
