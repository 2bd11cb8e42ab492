"""What a folder of videos holds, and that nothing in it is passed over in silence."""

import json
import os
from pathlib import Path

import pytest
from conftest import slts
from flash_and_beep import beep, flash_frames, write_video

from slts.data.media.folder import unread_note, videos_below
from slts.errors import UserError
from slts.systems.videos import find_videos

STRANGERS = ["a.txt.bak", "ann/b.xyz", "ann/notes.txt", "README"]
COMPANIONS = ["metadata.csv", "ann/a.txt", "ann/a.JSON", "ann/a.mp4.repair.json", ".DS_Store", ".cache/x.bin"]


def folder(root: Path) -> Path:
    for name in ("ann/a.mp4", "ann/c.d.MKV", "ann/c.d.txt", ".cache/hidden.mp4", *STRANGERS, *COMPANIONS):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_companions_are_no_strangers(tmp_path):
    videos, unread = videos_below(folder(tmp_path))
    assert [path.relative_to(tmp_path).as_posix() for path in videos] == ["ann/a.mp4", "ann/c.d.MKV"]
    assert {path.relative_to(tmp_path).as_posix() for path in unread} == set(STRANGERS)


def test_the_note_counts_suffixes(tmp_path):
    names = ["b.txt", "c.TXT", "d.xyz", os.fsdecode(b"e.\xff"), "README"]
    note = unread_note([tmp_path / name for name in names])
    assert note.startswith("5 files were not read: .txt 2, .xyz 1, .\\udcff 1, no suffix 1; the first is b.txt")
    assert unread_note(names[:0]) is None and unread_note([tmp_path / "x.y"]).startswith("1 file was not read: .y 1")


def test_videos_to_work_on_are_found_and_the_rest_is_noted(tmp_path):
    notes = []
    assert len(find_videos(folder(tmp_path), notes.append)) == 2
    assert notes == ["4 files were not read: no suffix 1, .bak 1, .xyz 1, .txt 1; the first is README"]
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.webp").touch()
    with pytest.raises(UserError, match=r"no video here \(1 file was not read: \.webp 1"):
        find_videos(tmp_path / "none")


def test_prepare_lists_what_it_did_not_read(tmp_path):
    root, out = tmp_path / "in", tmp_path / "out"
    (root / "ann").mkdir(parents=True)
    write_video(root / "ann" / "a.mkv", flash_frames(2, 1.2), beep(2, 1.2))
    how = [f"root={root}", "corpus=folder", "faces=none", "size=32", "workers=1"]
    slts("prepare", *how, f"out={tmp_path}/alone")
    for name in ("ann/a.txt", "ann/b.txt", "c.TXT", "a.xyz"):
        (root / name).touch()
    said = slts("prepare", *how, f"out={out}").stdout
    assert "rejected: 3 {'not_read': 3}" in said and "3 files were not read: .txt 2, .xyz 1" in said
    ledger = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [(line["source"], line["reason"]) for line in ledger] == [
        (name, "not_read") for name in ("a.xyz", "ann/b.txt", "c.TXT")
    ]
    shard = "train-000000.tar"  # a stranger of the same stem changes no key and no split
    assert (out / shard).read_bytes() == (tmp_path / "alone" / shard).read_bytes()
    assert "; 0 faults" in slts("prepare", "action=verify", f"data={out}", "workers=1").stdout
    (root / "ann" / "a.mkv").unlink()
    refused = slts("prepare", *how, f"out={tmp_path}/none", check=False)
    assert refused.returncode == 2 and "no videos there (4 files were not read: .txt 3, .xyz 1" in refused.stderr
