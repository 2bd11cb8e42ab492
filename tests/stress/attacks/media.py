"""Files that are named like videos."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np

from attacks.scene import Attack, Scene

HARMLESS = {*(f"bytes flipped, {seed}" for seed in range(4)), "cut near the end", "cut in the middle"}
"""Damage that may leave enough to measure."""


def attacks() -> Iterator[Attack]:
    def prepare(make: Callable[[Scene, Path], object]) -> Callable[[Scene], list[str]]:
        def command(scene: Scene) -> list[str]:
            root = scene.folder / "raw" / "s"
            root.mkdir(parents=True)
            make(scene, root)
            return ["prepare", "corpus=folder", f"root={root.parent}", f"out={scene.folder}/made", "workers=1",
                    "faces=none", "min_seconds=0.2", "size=32"]  # fmt: skip

        return command

    def offsets(make: Callable[[Scene, Path], object]) -> Callable[[Scene], list[str]]:
        def command(scene: Scene) -> list[str]:
            root = scene.folder / "raw"
            root.mkdir()
            make(scene, root)
            return ["offsets", f"run={scene.run}", f"data={root}", f"out={scene.folder}/o.csv", "faces=none"]

        return command

    def content(data: bytes, name: str = "z.mp4") -> Callable[[Scene, Path], object]:
        return lambda scene, root: (root / name).write_bytes(data)

    def cut(part: float) -> Callable[[Scene, Path], object]:
        def make(scene: Scene, root: Path) -> None:
            data = scene.video.read_bytes()
            (root / "z.mp4").write_bytes(data[: int(len(data) * part)])

        return make

    def noisy(seed: int) -> Callable[[Scene, Path], object]:
        def make(scene: Scene, root: Path) -> None:
            data = np.frombuffer(scene.video.read_bytes(), np.uint8).copy()
            places = np.random.default_rng(seed).integers(0, len(data), 40)
            data[places] ^= 0xFF
            (root / "z.mp4").write_bytes(data.tobytes())

        return make

    def bomb(width: int, height: int, frames: int) -> Callable[[Scene, Path], object]:
        def make(scene: Scene, root: Path) -> None:
            write_still(root / "z.mkv", width, height, frames)

        return make

    def looped(scene: Scene, root: Path) -> None:
        (root / "loop").symlink_to(root, target_is_directory=True)

    playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
    cases: dict[str, Callable[[Scene, Path], object]] = {
        "a FIFO": lambda scene, root: os.mkfifo(root / "z.mp4"),
        "a device": lambda scene, root: (root / "z.mp4").symlink_to("/dev/zero"),
        "a folder": lambda scene, root: (root / "z.mp4").mkdir(),
        "a link to nothing": lambda scene, root: (root / "z.mp4").symlink_to(root / "none"),
        "a link to itself": lambda scene, root: (root / "z.mp4").symlink_to(root / "z.mp4"),
        "a loop of folders": looped,
        "empty": content(b""),
        "a page": content(b"<html><body>404</body></html>"),
        "noise": content(os.urandom(50_000)),
        "zeros": content(bytes(50_000)),
        "a playlist of a file": content(playlist),
        "a playlist of an address": content(playlist.replace(b"file:///etc/passwd", b"http://127.0.0.1:1/x")),
        "a concat script": content(b"ffconcat version 1.0\nfile /etc/passwd\n", "z.mkv"),
        "cut at a tenth": cut(0.1),
        "cut in the middle": cut(0.5),
        "cut near the end": cut(0.95),
        "many frames": bomb(1280, 720, 4000),
        "a huge picture": bomb(16384, 720, 3),
        **{f"bytes flipped, {seed}": noisy(seed) for seed in range(4)},
    }
    for what, make in cases.items():
        yield Attack(f"media: {what}, prepare", prepare(make))
        if what not in ("a loop of folders",):
            yield Attack(f"media: {what}, offsets", offsets(make), refused=what not in HARMLESS)

    names = {
        "an option": b"-rf.mp4",
        "a protocol": b"http:127.0.0.1:1?x.mp4",
        "a pipe": b"pipe:1.mp4",
        "a command": b"$(touch never).mp4",
        "quotes": b"a'b\"c.mp4",
        "a newline": b"a\nb.mp4",
        "not UTF-8": b"\xff\xfe.mp4",
        "long": b"a" * 240 + b".mp4",
        "a formula": b"=cmd().mp4",
        "percents": b"%03d.mp4",
        "Japanese": "日本é.mp4".encode(),
    }
    for what, name in names.items():

        def put(scene: Scene, root: Path, name=name) -> None:
            shutil.copy(scene.video, os.fsencode(root) + b"/" + name)

        def generate(scene: Scene, put=put) -> list[str]:
            root = scene.folder / "raw"
            root.mkdir()
            put(scene, root)
            return [
                "generate",
                f"run={scene.run}",
                f"input={root}",
                f"out={scene.folder}/out",
                "faces=none",
                f"speaker={scene.speaker}",
            ]

        def over(scene: Scene, generate=generate) -> list[str]:
            return [word.replace(f"out={scene.folder}/out", f"out={scene.folder}/raw") for word in generate(scene)]

        yield Attack(f"media: named as {what}, generate", generate, refused=False)
        yield Attack(f"media: named as {what}, generate over its source", over)
        yield Attack(f"media: named as {what}, prepare", prepare(put), refused=False)
        yield Attack(f"media: named as {what}, offsets", offsets(put), refused=False)


def write_still(path: Path, width: int, height: int, frames: int) -> None:
    """One picture shown ``frames`` times within three seconds."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("ffv1" if width > 4096 else "libx264", rate=max(1, frames // 3))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if width <= 4096:
            stream.options = {"preset": "ultrafast", "g": "10000"}
        picture = av.VideoFrame.from_ndarray(np.zeros((height * 3 // 2, width), np.uint8), format="yuv420p")
        for number in range(frames):
            picture.pts = number
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
