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
from slts.data.faces import FaceCrop
from slts.data.media import read_audio
from slts.data.media.film import Film, FrameReader, Survey
from slts.data.media.streams import AS_PLAYERS
from slts.files import UNFINISHED
from slts.systems.dubbing import back_and_forth, find_face, soft_edge
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
def drawing(tiny_corpus, tmp_path_factory) -> Path:
    runs = tmp_path_factory.mktemp("dubbing")
    slts("train", f"data={tiny_corpus}", f"runs={runs}", "name=lips", "experiment=wav2lip_cpu", "tracking=none",
         "steps=1", "validate_every=1", "validate_clips=1", "model.width=0.125", "batch_size=4")  # fmt: skip
    return runs / "lips"


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
    assert back_and_forth(even, 10).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2, 3]
    assert back_and_forth(film([0.0]), 3).tolist() == [0, 0, 0]
    assert back_and_forth(film([0.0, 0.12]), 5).tolist() == [0, 0, 1, 1, 1]  # the nearest, of times 0 40 80 120 80


def test_the_edge_is_soft_and_the_upper_half_stays():
    edge = soft_edge(100)[..., 0]
    assert edge.min() == 0 and edge.max() == 1 and edge[75, 50] == 1
    assert (edge[:44] == 0).all() and edge[99].max() < 0.01 and edge[:, 0].max() < 0.01
    assert np.abs(np.diff(edge, axis=0)).max() < 0.2 and np.abs(np.diff(edge, axis=1)).max() < 0.2
