"""A film dubbed: frames a second of every stage, beside the same stages done as the published scripts do them.

    python tests/benchmarks/dub.py [--video FILE] [--audio FILE] [--seconds S] [--rounds N] [--small] [--cpu]
        [--s3fd FILE]

Both draw with the same network (random weights of the published size, or with --small of the CPU size) and find faces
by the same detector: OpenCV's, or S3FD (--s3fd random: its network works, with random weights, and OpenCV's boxes are
taken, so that only the time is S3FD's). The published way, written here from its
description: all frames in memory, the detector on every frame, box by box a mean over five, a hard rectangle pasted
back, one lossy encoding of the picture and then another together with the sound. Without --video a drawn face moves in
a film of 640 x 480. Wall time, or with --cpu that of one thread, which other work on the machine does not spoil.
Both ways in turn, medians over the rounds. Ours encodes a piece while it draws the next, so that the stages sum to more
than the whole. Nothing is judged.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile
import torch

from slts.audio import SAMPLE_RATE
from slts.data.faces import DETECTORS, LINES, FaceCrop, cascade, cut, s3fd
from slts.data.media import encode_h264, mux, read_audio
from slts.data.media.film import FilmWriter, FrameReader
from slts.systems import dubbing
from slts.systems.trained import chosen_device, run_of_file
from slts.systems.wav2lip.generator import PUBLISHED, Generator
from slts.systems.wav2lip.published import CROP, TASK
from slts.systems.wav2lip.task import Wav2LipTask

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from drawn_faces import scene

SMALL = {"image_size": 48, "channels": 3, "width": 0.25}
FPS = 25


class Stages:
    """Seconds by stage, as ``clock`` counts them."""

    clock = staticmethod(time.perf_counter)

    def __init__(self):
        self.taken = defaultdict(float)
        self.begun = time.perf_counter(), time.process_time()

    def end(self) -> None:
        """Adds the whole path in both times."""
        self.taken["whole path, wall"] = time.perf_counter() - self.begun[0]
        self.taken["whole path, processors"] = time.process_time() - self.begun[1]

    @contextmanager
    def __call__(self, name: str):
        start = self.clock()
        yield
        self.taken[name] += self.clock() - start

    def timed(self, name: str, function):
        def call(*given, **more):
            with self(name):
                return function(*given, **more)

        return call


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--audio", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--s3fd")
    options = parser.parse_args()
    if options.cpu:
        Stages.clock = staticmethod(time.thread_time)
        torch.set_num_threads(1)  # what the others took would be missing from the stages
    torch.manual_seed(0)
    networks = SMALL if options.small else PUBLISHED
    task = Wav2LipTask({**TASK, "mel_lead_ms": 40.0}, Generator(**networks)).to(chosen_device()).eval()
    crop = {**CROP, "size": networks["image_size"]}
    if options.s3fd == "random":
        DETECTORS["cascade"] = replace(DETECTORS["cascade"], load=as_slow_as_s3fd)
    elif options.s3fd:
        crop |= {"faces": "s3fd", "s3fd_weights": options.s3fd}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        video, audio = options.video or drawn_film(place / "film.mp4", options.seconds), place / "sound.wav"
        if options.audio:
            sound = read_audio(options.audio)[0][: round(options.seconds * SAMPLE_RATE)]
        else:
            sound = np.random.default_rng(0).normal(size=round(options.seconds * SAMPLE_RATE)).astype(np.float32) * 0.1
        soundfile.write(audio, sound, SAMPLE_RATE)
        (place / "weights").touch()
        run = run_of_file(place / "weights", task, "wav2lip", "random", networks, crop)
        rounds = []
        for _ in range(options.rounds):
            ours, frames = ours_way(run, video, audio, place / "ours.mp4")
            theirs, count = published_way(run, video, audio, place / "theirs.mp4")
            rounds.append((ours.taken, theirs.taken))
    detector, clock = "s3fd" if options.s3fd else "cascade", "processor" if options.cpu else "wall"
    print(f"{frames} frames ours, {count} as published; {networks}, {detector}, {clock} time, {options.rounds} rounds")
    print(f"{'stage':<26}{'ours s':>10}{'frames/s':>10}{'published s':>13}{'frames/s':>10}{'ratio':>8}")
    for stage in dict.fromkeys([*ours.taken, *theirs.taken]):
        a, b = (float(np.median([taken[way].get(stage, 0.0) for taken in rounds])) for way in (0, 1))
        print(f"{stage:<26}{a:>10.2f}{frames / a if a else 0:>10.1f}{b:>13.2f}{count / b if b else 0:>10.1f}"
              + (f"{(b / count) / (a / frames):>8.2f}" if a and b else ""))  # fmt: skip


def ours_way(run, video: Path, audio: Path, out: Path) -> tuple[Stages, int]:
    """``dub`` itself, its parts timed from outside."""
    stages = Stages()
    watched = [
        (dubbing, "find_face", "find the face"), (dubbing, "_sound", "read the sound"), (FrameReader, "read", "decode"),
        (FilmWriter, "write", "encode and mux"), (dubbing, "cut", "crop"), (run.task, "draw_at", "draw"),
        (dubbing._Artist, "_pasted", "paste"),
    ]  # fmt: skip
    before = [getattr(owner, name) for owner, name, _ in watched]
    for owner, name, stage in watched:
        setattr(owner, name, stages.timed(stage, getattr(owner, name)))
    try:
        facts = dubbing.dub(run, video, audio, out)
    finally:
        for (owner, name, _), function in zip(watched, before, strict=True):
            setattr(owner, name, function)
    stages.end()
    return stages, facts["frames"]


def published_way(run, video: Path, audio: Path, out: Path) -> tuple[Stages, int]:
    stages = Stages()
    with stages("read the sound"):
        sound, _ = read_audio(audio)
    with stages("decode"), av.open(str(video)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    count = int(len(sound) / SAMPLE_RATE * FPS)
    frames = [frames[i % len(frames)] for i in range(count)]
    how, height = FaceCrop.of(run.corpus["config"]), frames[0].shape[0]
    with stages("find the face"):
        detect, scale = how.detector(), min(1.0, LINES / height)
        boxes = []
        for frame in frames:
            small = cv2.resize(frame, None, fx=scale, fy=scale) if scale < 1 else frame
            found = detect(small[None], max(20, int(how.smallest_face * min(small.shape[:2]))))[0] / scale
            if not len(found):
                raise SystemExit("as published: a frame without a face, and the run ends here")
            boxes.append(found[0])
        boxes = np.array([np.mean(boxes[i : i + 5], axis=0) for i in range(count)])
        squares = [dubbing.square(box, how, *frames[0].shape[:2]) for box in boxes]
    with stages("crop"):
        size = run.config.model.image_size
        faces = torch.from_numpy(cut(frames, {"squares": squares}, size)).permute(0, 3, 1, 2).contiguous()
    seconds = torch.arange(count) / FPS
    with stages("draw"):
        heard, drawn = torch.from_numpy(sound)[None].to(run.device), []
        for first in range(0, count, 128):
            piece = slice(first, first + 128)
            given = faces[piece].to(run.device)
            drawn.append(run.task.draw_at(given, seconds[piece].to(run.device), heard, given[:1]).cpu())
        drawn = torch.cat(drawn).permute(0, 2, 3, 1).numpy()
    with stages("paste"):
        for i, (x, y, side) in enumerate(squares):
            frames[i] = frames[i].copy()
            frames[i][y : y + side, x : x + side] = cv2.resize(drawn[i], (side, side))
    first_coding = out.with_name("first.avi")
    with stages("encode and mux"):
        writer = cv2.VideoWriter(str(first_coding), cv2.VideoWriter_fourcc(*"XVID"), FPS, frames[0].shape[1::-1])
        for frame in frames:
            writer.write(frame[..., ::-1])
        writer.release()
        with av.open(str(first_coding)) as container:  # and the second coding
            again = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        mux(encode_h264(again, FPS), sound, out)
    stages.end()
    return stages, count


def as_slow_as_s3fd(_: str | None):
    """OpenCV's boxes, found in the time of S3FD on the same pictures."""
    network, boxes = s3fd.S3FD().to(chosen_device()).eval(), cascade.load(None)

    @torch.inference_mode()
    def detect(pictures: np.ndarray, smallest: int) -> list[np.ndarray]:
        for picture in pictures:
            network(torch.from_numpy(picture).to(chosen_device()).permute(2, 0, 1)[None].float())
        return boxes(pictures, smallest)

    return detect


def drawn_film(file: Path, seconds: float) -> Path:
    places = [(320 + 20 * np.sin(n / 20), 240 + 8 * np.cos(n / 33), 90) for n in range(round(seconds * FPS))]
    file.write_bytes(encode_h264(np.stack([scene([place], (480, 640)) for place in places]), FPS))
    return file


if __name__ == "__main__":
    main()
