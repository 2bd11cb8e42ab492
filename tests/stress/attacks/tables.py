"""CSV files and sounds by somebody else."""

import csv
import os
import struct
from collections.abc import Iterator

import numpy as np
import soundfile

from attacks.scene import Attack, Scene


def attacks() -> Iterator[Attack]:
    offsets = {
        "keys outside": [["key", "offset_ms"], ["../../../etc/passwd", "40"]],
        "no columns": [["a", "b"], ["1", "2"]],
        "offsets that are words": [["key", "offset_ms"], ["x", "late"]],
        "offsets without end": [["key", "offset_ms"], ["x", "inf"]],
        "nothing": [],
        "ragged rows": [["key", "offset_ms"], ["x"], ["y", "1", "2", "3"]],
    }
    for what, rows in offsets.items():

        def command(scene: Scene, rows=rows) -> list[str]:
            table = scene.folder / "offsets.csv"
            with table.open("w", newline="") as file:
                csv.writer(file).writerows(rows)
            return ["offsets", "action=apply", f"offsets={table}", f"data={scene.corpus}", f"out={scene.folder}/mended"]

        yield Attack(f"offsets.csv: {what}", command)

    sounds = {
        "empty": lambda file: file.write_bytes(b""),
        "a page": lambda file: file.write_text("<html>"),
        "cut": lambda file: file.write_bytes(file.read_bytes()[:30]),
        "of no samples": lambda file: soundfile.write(file, np.zeros(0), 16000),
        "a FIFO": lambda file: (file.unlink(), os.mkfifo(file)),
        "silence": lambda file: soundfile.write(file, np.zeros(16000), 16000),
        "a million channels": lambda file: file.write_bytes(wave_header(channels=65535)),
        "NaN": lambda file: soundfile.write(file, np.full(16000, np.nan, np.float32), 16000, subtype="FLOAT"),
    }
    for what, damage in sounds.items():

        def command(scene: Scene, damage=damage) -> list[str]:
            rng = np.random.default_rng(0)
            for side in ("a", "b"):
                (scene.folder / side).mkdir()
                soundfile.write(scene.folder / side / "x.wav", rng.normal(0, 0.1, 16000), 16000)
            damage(scene.folder / "b" / "x.wav")
            return ["score", f"reference={scene.folder}/a", f"generated={scene.folder}/b",
                    f"out={scene.folder}/scores.csv", "workers=1"]  # fmt: skip

        yield Attack(f"sound: {what}", command, refused=False)


def wave_header(channels: int) -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, 16000, 16000 * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 60, b"WAVE") + fmt + struct.pack("<4sI", b"data", 16) + bytes(16)
