"""slts dub as a user calls it: drawn faces that move, other rates, stills, gaps, and input that cannot be used."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile
import torch
from conftest import ROOT, slts
from drawn_faces import scene

from slts.cli import run
from slts.commands.dub_pairs import Pair, listed_pairs
from slts.data.faces import FaceCrop
from slts.data.media import read_audio
from slts.data.media.film import Film, FrameReader, Survey
from slts.data.media.streams import AS_PLAYERS
from slts.files import UNFINISHED, sha256
from slts.systems.dubbing import HOLD, find_face, frame_order
from slts.systems.wav2lip.generator import Generator

HEIGHT, WIDTH = 240, 321


def write_film(path: Path, pictures: list[np.ndarray], rate: int) -> Path:
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=rate, options={"crf": "10"})
        stream.height, stream.width = (side - side % 2 for side in pictures[0].shape[:2])
        stream.pix_fmt = "yuv420p"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(picture[: stream.height, : stream.width].copy(), format="rgb24")
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def faces(count: int, without: range = range(0), step: float = 0.5) -> list[np.ndarray]:
    return [
        scene([] if number in without else [(150 + number * step, 120, 45)], (HEIGHT, WIDTH)) for number in range(count)
    ]


def command(*arguments: str) -> tuple[int, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = run(arguments[0], [str(argument) for argument in arguments[1:]])
    return status, said.getvalue()


def frames(path: Path) -> list[np.ndarray]:
    survey = Survey(path, 1.0)
    list(survey)
    with FrameReader(survey.film) as reader:
        return reader.read(0, len(survey.film.times) - 1)


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """film.mp4: 40 frames at 20 a second with a face; speech.wav: 1.5 s."""
    folder = tmp_path_factory.mktemp("given")
    write_film(folder / "film.mp4", faces(40), 20)
    noise = 0.1 * np.random.default_rng(0).normal(size=(int(1.5 * 22050), 2))
    soundfile.write(folder / "speech.wav", noise, 22050)
    return folder


def dub(run: Path, video: Path, audio: Path, out: Path, *more: str) -> tuple[int, str]:
    return command("dub", f"run={run}", f"video={video}", f"audio={audio}", f"out={out}", "faces=cascade", *more)


def refused(out: Path, *arguments) -> str:
    status, said = dub(*arguments[:3], out, *arguments[3:])
    assert status == 2 and len(said.strip().splitlines()) == 1, said
    assert not out.exists() and not out.with_suffix(".json").exists() and not list(out.parent.glob(UNFINISHED))
    return said


def test_a_film_is_dubbed(drawing, given, tmp_path):
    before = (given / "film.mp4").read_bytes()
    status, said = dub(drawing, given / "film.mp4", given / "speech.wav", tmp_path / "out.mkv")
    assert status == 0 and "30 frames at 20 a second, 0 of them without a face" in said
    sidecar = json.loads((tmp_path / "out.json").read_text())
    assert sidecar["synthetic"] == "lips" and sidecar["run"] == "lips" and sidecar["frames"] == 30
    with av.open(str(tmp_path / "out.mkv")) as film:
        tags = {name.lower(): value for name, value in film.metadata.items()}
    assert "synthetic" in tags["comment"] and "run lips" in tags["comment"]
    assert (given / "film.mp4").read_bytes() == before
    np.testing.assert_allclose(read_audio(tmp_path / "out.mkv")[0], read_audio(given / "speech.wav")[0], atol=1e-3)
    shown, source = frames(tmp_path / "out.mkv"), frames(given / "film.mp4")
    assert len(shown) == 30 and shown[0].shape == source[0].shape
    _, found = find_face(given / "film.mp4", FaceCrop())
    for number in (0, 15, 29):
        x, y, side = found.squares[number]
        change = np.abs(shown[number].astype(int) - source[number]).max(2)
        inside = np.zeros_like(change, bool)
        inside[y + side * 2 // 5 : y + side, x : x + side] = True
        assert change[~inside].max() < 24  # of the encoder alone
        assert change[inside].mean() > 2 * change[~inside].mean()


def test_frames_without_a_face_stay_and_are_counted(drawing, given, tmp_path):
    film = write_film(tmp_path / "gap.mp4", faces(60, range(20, 45)), 20)
    soundfile.write(tmp_path / "s.wav", np.random.default_rng(1).normal(size=48000) * 0.1, 16000)
    status, said = dub(drawing, film, tmp_path / "s.wav", tmp_path / "out.mp4")
    assert status == 0
    left = json.loads((tmp_path / "out.json").read_text())["without_face"]
    assert 8 <= left <= 25 and f"{left} of them without a face" in said
    change = np.abs(frames(tmp_path / "out.mp4")[32].astype(int) - frames(film)[32])
    assert change.max() < 24


def test_a_short_film_goes_back_and_forth_and_a_still_picture_speaks(drawing, given, tmp_path):
    film = write_film(tmp_path / "short.mp4", faces(10, step=3), 20)
    assert dub(drawing, film, given / "speech.wav", tmp_path / "out.mp4")[0] == 0
    shown, source = frames(tmp_path / "out.mp4"), frames(film)
    assert len(shown) == 30
    top = slice(0, 60)
    for number, place in {0: 0, 9: 9, 10: 8, 17: 1, 18: 0, 19: 1, 29: 7}.items():
        errors = [np.abs(shown[number][top].astype(int) - picture[top]).mean() for picture in source]
        assert int(np.argmin(errors)) == place
    cv2.imwrite(str(tmp_path / "face.png"), faces(1)[0])
    assert dub(drawing, tmp_path / "face.png", given / "speech.wav", tmp_path / "still.mp4")[0] == 0
    assert len(frames(tmp_path / "still.mp4")) == 38  # 1.5 s at 25 a second, to the end of the sound


def test_a_short_film_may_hold_its_last_picture(drawing, given, tmp_path):
    film = write_film(tmp_path / "short.mp4", faces(10, step=3), 20)
    assert dub(drawing, film, given / "speech.wav", tmp_path / "out.mp4", "short=hold")[0] == 0
    top = slice(0, 60)
    shown, source = (np.stack(frames(file)).astype(int)[:, top] for file in (tmp_path / "out.mp4", film))
    assert len(shown) == 30 and np.abs(shown[9:] - source[9]).mean() < 1 < np.abs(shown[9] - source[0]).mean()


def test_of_several_faces_the_chosen_one_speaks(drawing, given, tmp_path):
    two = [scene([(75, 120, 50), (170, 120, 38)], (HEIGHT, WIDTH)) for _ in range(10)]
    film, changes = write_film(tmp_path / "two.mp4", two, 20), {}
    for person in ("largest", "central"):
        status, said = dub(drawing, film, given / "speech.wav", tmp_path / f"{person}.mkv", f"person={person}")
        assert status == 0, said
        changes[person] = np.abs(frames(tmp_path / f"{person}.mkv")[5].astype(int) - frames(film)[5]).max(2)
    left, right = np.s_[:, :115], np.s_[:, 135:]
    assert changes["largest"][right].max() < 24 < changes["largest"][left].max()
    assert changes["central"][left].max() < 24 < changes["central"][right].max()


def several(run: Path, folder: Path, *more: str) -> tuple[int, str]:
    return command("dub", f"run={run}", f"out={folder / 'out'}", "faces=cascade", *more)


@pytest.fixture
def pairs(given, tmp_path) -> Path:
    """films/{a,b,bad}.mp4, sounds/{a,b,c}.wav and list.csv of three pairs, the second of which is bad."""
    (tmp_path / "films").mkdir()
    (tmp_path / "sounds").mkdir()
    for name in ("a", "b"):
        write_film(tmp_path / "films" / f"{name}.mp4", faces(6, step=ord(name) - 96), 20)
    for name in ("a", "b", "c"):
        noise = 0.1 * np.random.default_rng(ord(name)).normal(size=6400)
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", noise, 16000)
    (tmp_path / "films" / "bad.mp4").write_text("hello")
    lines = ["key,video,audio", "one,a.mp4,b.wav", "two,bad.mp4,a.wav", "sub/three,b.mp4,c.wav"]
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def of_list(folder: Path) -> tuple[str, ...]:
    return f"video={folder / 'films'}", f"audio={folder / 'sounds'}", f"pairs={folder / 'list.csv'}"


def test_a_list_is_dubbed_past_a_bad_pair_and_goes_on(drawing, pairs):
    status, said = several(drawing, pairs, *of_list(pairs))
    assert status == 0 and "2 of 3 pairs are dubbed" in said and "two: video=" in said, said
    out = pairs / "out"
    assert sorted(file.relative_to(out).as_posix() for file in out.rglob("*.*")) == [
        "one.json", "one.mp4", "sub/three.json", "sub/three.mp4"
    ]  # fmt: skip
    assert json.loads((out / "one.json").read_text())["audio"] == "b.wav"
    before = (out / "one.mp4").stat().st_mtime_ns
    (out / "sub" / "three.mp4").unlink()
    status, said = several(drawing, pairs, *of_list(pairs))
    assert status == 0 and "2 of 3 pairs are dubbed" in said and "1 of them from before" in said
    assert (out / "one.mp4").stat().st_mtime_ns == before and (out / "sub" / "three.mp4").is_file()
    several(drawing, pairs, *of_list(pairs), "short=hold")  # another manner: done anew
    assert (out / "one.mp4").stat().st_mtime_ns > before


def test_folders_go_by_name_and_a_file_with_all(drawing, pairs):
    (pairs / "films" / "bad.mp4").unlink()
    status, said = several(drawing, pairs, *of_list(pairs)[:2])
    assert status == 0 and "2 of 2 pairs" in said and "1 sounds without a partner are left out, the first is c" in said
    assert {file.stem for file in (pairs / "out").glob("*.mp4")} == {"a", "b"}
    status, said = several(drawing, pairs, f"video={pairs / 'films' / 'a.mp4'}", f"audio={pairs / 'sounds'}")
    assert status == 0 and "3 of 3 pairs" in said
    assert json.loads((pairs / "out" / "b.json").read_text())["video"] == "a.mp4"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("key,video\n", "its first line must be key,video,audio"),
        ("key,video,audio\n", "no pair below"),
        ("key,video,audio\na,a.mp4,\n", "line 2: a key, a video and an audio file"),
        ("key,video,audio\na,a.mp4,a.wav\nA,b.mp4,b.wav\n", "line 3: the key A is there twice, first in line 2"),
        ("key,video,audio\na,a.mp4,a.wav\n./a,b.mp4,b.wav\n", "line 3: the key a is there twice, first in line 2"),
        ("key,video,audio\n.,a.mp4,a.wav\n", "or is one"),
        ("key,video,audio\n../a,a.mp4,a.wav\n", "line 2: ../a leads out of its folder"),
        ("key,video,audio\na,/etc/passwd,a.wav\n", "leads out of its folder"),
        ("key,video,audio\na/,a.mp4,a.wav\n", "or is one"),
        ('key,video,audio\n"a,a.mp4\n', "give a CSV"),
    ],
)
def test_a_list_that_is_none_gets_one_line(text, why, drawing, pairs):
    (pairs / "list.csv").write_text(text)
    status, said = several(drawing, pairs, *of_list(pairs))
    assert status == 2 and why in said and len(said.strip().splitlines()) == 1, said
    assert not (pairs / "out").exists()


def test_a_list_of_a_spreadsheet_is_read(pairs):
    (pairs / "list.csv").write_text("\ufeffkey,video,audio\r\n./one,a.mp4,b.wav\r\n", encoding="utf-8")
    [pair] = listed_pairs(pairs / "list.csv", pairs / "films", pairs / "sounds")
    assert pair == Pair("one", pairs / "films" / "a.mp4", pairs / "sounds" / "b.wav")


def test_what_is_hashed_is_hashed_once_and_what_is_wrong_with_the_run_is_said_once(drawing, pairs, monkeypatch):
    (pairs / "list.csv").write_text("key,video,audio\none,a.mp4,b.wav\ntwo,b.mp4,c.wav\n")
    hashed = []
    for module in ("dubbing", "trained"):
        monkeypatch.setattr(f"slts.systems.{module}.sha256", lambda file: hashed.append(file.name) or sha256(file))
    assert several(drawing, pairs, *of_list(pairs))[0] == 0
    assert sorted(hashed) == ["a.mp4", "b.mp4", "b.wav", "c.wav", "model.safetensors"]
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(pairs))
    status, said = several(drawing, pairs, *of_list(pairs), "faces=s3fd")
    assert status == 2 and len(said.strip().splitlines()) == 1 and "s3fd" in said, said


def test_a_json_of_the_user_stays(drawing, given, pairs):
    (pairs / "list.csv").write_text("key,video,audio\none,a.mp4,b.wav\ntwo,b.mp4,c.wav\n")
    (pairs / "out").mkdir()
    (pairs / "out" / "one.json").write_text('{"mine": 1}')
    status, said = several(drawing, pairs, *of_list(pairs))
    assert status == 0 and "1 of 2 pairs" in said and "one.json is there and not of slts dub" in said
    status, said = dub(drawing, given / "film.mp4", given / "speech.wav", pairs / "out" / "one.mp4")
    assert status == 2 and "choose another out=" in said
    assert (pairs / "out" / "one.json").read_text() == '{"mine": 1}' and not (pairs / "out" / "one.mp4").exists()


def test_what_lies_in_the_folder_and_was_not_dubbed_stays(drawing, pairs):
    (pairs / "out").mkdir()
    (pairs / "out" / "one.mp4").write_text("mine")
    status, said = several(drawing, pairs, *of_list(pairs))
    assert status == 0 and "1 of 3 pairs" in said and "no .json beside it says" in said
    assert (pairs / "out" / "one.mp4").read_text() == "mine"
    (pairs / "sounds" / "one.mp4").write_text("source")
    (pairs / "list.csv").write_text("key,video,audio\none,a.mp4,one.mp4\n")
    status, said = command("dub", f"run={drawing}", *of_list(pairs), f"out={pairs / 'sounds'}")
    assert status == 2 and "is the source" in said


def test_a_silent_film_is_spoken_and_dubbed(drawing, tiny_corpus, given, tmp_path):
    """As README shows it: slts generate, then slts dub."""
    slts("train", f"data={tiny_corpus}", f"runs={tmp_path}", "name=voice", "experiment=cpu", "tracking=none", "steps=1",
         "validate_every=1", "validate_clips=1", "batch_size=2", "model.image_size=32", "model.width=32",
         "model.layers=1", "model.frame_width=8")  # fmt: skip
    film = write_film(tmp_path / "silent.mp4", faces(40), 20)
    voice = json.loads((tmp_path / "voice" / "corpus.json").read_text())["speakers"][0]
    status, said = command("generate", f"run={tmp_path / 'voice'}", f"input={film}", f"out={tmp_path / 'spoken'}",
                           f"speaker={voice}", "faces=cascade")  # fmt: skip
    assert status == 0, said
    status, said = dub(drawing, film, tmp_path / "spoken" / "silent.wav", tmp_path / "dubbed.mp4")
    assert status == 0, said
    assert len(frames(tmp_path / "dubbed.mp4")) == 40
    spoken, heard = (read_audio(tmp_path / name)[0] for name in ("spoken/silent.wav", "dubbed.mp4"))
    assert np.corrcoef(spoken[:30000], heard[:30000])[0, 1] > 0.9  # AAC


def test_published_weights_and_pieces_draw_the_same(given, tmp_path, monkeypatch):
    torch.manual_seed(0)
    torch.save({"state_dict": Generator().state_dict()}, tmp_path / "w.pth")
    film = write_film(tmp_path / "short.mp4", faces(6), 20)
    soundfile.write(tmp_path / "s.wav", np.random.default_rng(1).normal(size=8000) * 0.1, 16000)
    outs = []
    for size in (64, 3):
        monkeypatch.setattr("slts.systems.dubbing.AT_ONCE", size)
        status, said = dub(tmp_path / "w.pth", film, tmp_path / "s.wav", tmp_path / f"{size}.mkv")
        assert status == 0, said
        outs.append(np.stack(frames(tmp_path / f"{size}.mkv")).astype(int))
    assert np.abs(outs[0] - outs[1]).max() <= 8


def test_input_that_cannot_be_used_gets_one_line(drawing, given, tmp_path):
    film, sound, out = given / "film.mp4", given / "speech.wav", tmp_path / "out.mp4"
    soundfile.write(tmp_path / "short.wav", np.zeros(1600), 16000)
    assert "0.10 s of sound" in refused(out, drawing, film, tmp_path / "short.wav")
    broken = np.zeros(16000, np.float32)
    broken[5000] = np.nan
    soundfile.write(tmp_path / "nan.wav", broken, 16000, subtype="FLOAT")
    assert "not finite numbers" in refused(out, drawing, film, tmp_path / "nan.wav")
    blank = write_film(tmp_path / "blank.mp4", [np.full((HEIGHT, WIDTH, 3), 90, np.uint8)] * 20, 20)
    assert "no_face" in refused(out, drawing, blank, sound)
    (tmp_path / "text.mp4").write_text("hello")
    assert "unreadable" in refused(out, drawing, tmp_path / "text.mp4", sound)
    assert "unreadable" in refused(out, drawing, film, tmp_path / "text.mp4")
    assert "no_audio" in refused(out, drawing, film, film)
    assert "no such file" in refused(out, drawing, tmp_path / "absent.mp4", sound)
    assert "end it with" in refused(tmp_path / "out.txt", drawing, film, sound)
    (tmp_path / "page.pth").write_text("<html>sign in</html>")
    assert "web page" in refused(out, tmp_path / "page.pth", film, sound)


def test_a_source_is_never_written_over(drawing, given, tmp_path):
    copy = Path(shutil.copy(given / "film.mp4", tmp_path))
    (tmp_path / "link.mp4").symlink_to(copy)
    for out in (copy, tmp_path / "link.mp4"):
        status, said = dub(drawing, copy, given / "speech.wav", out)
        assert status == 2 and "is the source" in said
    assert copy.read_bytes() == (given / "film.mp4").read_bytes()


def test_killed_in_the_middle_nothing_is_left_under_the_name(drawing, given, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.random.default_rng(1).normal(size=16000 * 120) * 0.1, 16000)
    arguments = ["dub", f"run={drawing}", f"video={given / 'film.mp4'}", f"audio={tmp_path / 'long.wav'}",
                 f"out={tmp_path / 'out.mp4'}", "faces=cascade"]  # fmt: skip
    process = subprocess.Popen([sys.executable, "-m", "slts.cli", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None and not any(file.stat().st_size for file in tmp_path.glob(UNFINISHED)):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out.mp4").exists() and not (tmp_path / "out.json").exists()


def test_the_order_of_frames():
    def film(times: list[float]) -> Film:
        return Film(Path(), AS_PLAYERS, np.array(times), 25.0, 10, 10, True)

    even = film([0.3, 0.34, 0.38, 0.42])
    assert frame_order(even, 10).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert frame_order(even, 7, HOLD).tolist() == [0, 1, 2, 3, 3, 3, 3]
    assert frame_order(film([0.0]), 3).tolist() == [0, 0, 0]
    assert frame_order(film([0.0, 0.12]), 5).tolist() == [0, 0, 1, 1, 1]  # the nearest, of times 0 40 80 120 80
