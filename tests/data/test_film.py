"""Films frame by frame: the same pictures forwards, backwards and after a jump; sound that is copied."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from slts.data.clip import Reject
from slts.data.media import film as film_module
from slts.data.media import read_audio
from slts.data.media.film import FilmWriter, FrameReader, Survey

COUNT = 130


def level(number: int) -> int:
    return 20 + (number * 37) % 200


def write(path: Path, codec: str = "libx264", count: int = COUNT, rate: int = 25, **options: str) -> Path:
    """Flat pictures of 34 x 50 whose grey tells their number."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width, stream.pix_fmt = 34, 50, "yuv420p"
        for number in range(count):
            picture = np.full((34, 50, 3), level(number), np.uint8)
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(stream.encode(None))
    return path


def survey(path: Path, every: float = 0.2):
    reading = Survey(path, every)
    looks = list(reading)
    return reading.film, looks


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.mpg", "mpeg1video")])
def test_frames_by_number(tmp_path, name, codec):
    film, looks = survey(write(tmp_path / name, codec, **({"g": "30"} if codec == "libx264" else {})))
    assert (len(film.times), film.rate, film.height, film.width, film.grid) == (COUNT, 25, 34, 50, COUNT)
    assert [number for number, _ in looks] == pytest.approx([*range(0, COUNT, 5)], abs=1)  # MPEG rounds times
    begin = Survey(tmp_path / name, 0.2, seconds=1.0)
    assert [number for number, _ in begin] == [number for number, _ in looks if number <= 25]
    assert (begin.film.times == film.times).all()
    with FrameReader(film) as reader:
        for first, last in [(0, 3), (4, 4), (90, 97), (97, 99), (60, 64), (120, 129), (0, 0), (110, 111)]:
            found = reader.read(first, last)
            assert [round(float(frame.mean())) for frame in found] == pytest.approx(
                [level(number) for number in range(first, last + 1)], abs=4
            )


@pytest.mark.parametrize(("every", "most"), [("25", 400), ("1000", 676)])
def test_far_ahead_is_reached_by_a_jump_where_there_are_key_frames(tmp_path, monkeypatch, every, most):
    film, _ = survey(write(tmp_path / "a.mp4", count=750, g=every, sc_threshold="0"))
    decoded, frames = [], film_module.decoded_frames
    monkeypatch.setattr(
        film_module, "decoded_frames", lambda *given: (decoded.append(frame) or frame for frame in frames(*given))
    )
    with FrameReader(film) as reader:
        for number in (75, 225, 375, 525, 675):
            [found] = reader.read(number, number)
            assert float(found.mean()) == pytest.approx(level(number), abs=4)
    assert len(decoded) <= most


def test_a_still_picture_is_a_film_of_one_frame(tmp_path):
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 31, 3), 77, np.uint8))
    film, looks = survey(tmp_path / "a.png")
    assert len(film.times) == 1 and film.grid == 1 and (film.height, film.width) == (20, 31) and len(looks) == 1
    with FrameReader(film) as reader:
        assert (reader.read(0, 0)[0] == 77).all()


def test_what_is_no_film_is_rejected(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"hello" * 100)
    with pytest.raises(Reject, match="unreadable"):
        survey(tmp_path / "a.mp4")
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16000)
    with pytest.raises(Reject, match="no_video"):
        survey(tmp_path / "a.wav")


def speech(path: Path, rate: int = 44100, channels: int = 2) -> Path:
    time = np.arange(int(1.3 * rate)) / rate
    wave = 0.3 * np.sin(2 * np.pi * (200 + 300 * time) * time) * (time > 0.4)
    if path.suffix in (".wav", ".flac"):
        soundfile.write(path, np.repeat(wave[:, None], channels, 1), rate)
        return path
    with av.open(str(path), "w") as target:
        stream = target.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


def stream_bytes(source) -> bytes:
    with av.open(source) as container:
        return b"".join(bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size)


@pytest.mark.parametrize(
    ("sound", "suffix", "copied"),
    [("a.wav", ".mkv", True), ("a.wav", ".mov", True), ("a.wav", ".mp4", False), ("a.flac", ".mp4", True),
     ("a.m4a", ".mp4", True), ("a.m4a", ".mkv", True)],
)  # fmt: skip
def test_the_sound_is_the_one_given(tmp_path, sound, suffix, copied):
    given, out = speech(tmp_path / sound), tmp_path / f"out{suffix}"
    with out.open("wb") as file, FilmWriter(file, suffix, 30, 33, 51, given, metadata={"comment": "who"}) as writer:
        assert writer.copied == copied
        for number in range(40):
            writer.write([np.full((33, 51, 3), level(number), np.uint8)])
    if copied:
        assert stream_bytes(str(given)) == stream_bytes(io.BytesIO(out.read_bytes()))
    film, _ = survey(out)
    before, (after, start) = read_audio(given)[0], read_audio(out)
    # Counted from the first picture: Matroska begins with what an AAC decoder drops, and the picture after it.
    late = np.argmax(np.correlate(after[: len(before)], before[2000:16000], "valid")) - 2000
    late -= round(16000 * (film.times[0] - start))
    assert abs(late) <= (24 if suffix == ".mkv" else 1)  # and counts in milliseconds
    assert np.abs(after).max() == pytest.approx(np.abs(before).max(), rel=0.05)
    assert len(film.times) == 40 and (film.height, film.width) == (34, 52)
    with av.open(str(out)) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
        assert tags["comment"] == "who"
