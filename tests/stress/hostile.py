"""What strangers' files and arguments can do to slts: every attack must be refused in one line, or survived.

    python tests/stress/hostile.py [--only WORD] [--every N] [--verbose]

A corpus and a run are made in a temporary folder; each attack damages a copy of them, or names something hostile, and
calls the real command in this process. An attack has failed when an exception or a traceback comes out, when it takes
longer than LIMIT seconds, when a canary file appears (something was executed) or a file that was there before changed
outside the attack's own folder. Attacks that must be refused also fail when the command succeeds. The last line is
``N of N refused or survived``; exit status 0 only then.
"""

import argparse
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import traceback
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from safetensors.numpy import load_file, save_file

from slts.cli import run

LIMIT = 90
"""Seconds for one command."""
TINY = [
    "experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1", "model.frame_width=8",
    "steps=2", "validate_every=2", "validate_clips=2", "batch_size=2", "log_every=1", "workers=0",
]  # fmt: skip


@dataclass
class Scene:
    """What an attack may use: its own ``folder``, and pristine files that it copies from."""

    folder: Path
    corpus: Path
    run: Path
    video: Path
    canary: Path

    def own_run(self) -> Path:
        """A copy of the run, and of its corpus where its config looks for it."""
        shutil.copytree(self.run, self.folder / "runs" / "r", symlinks=True)
        return self.folder / "runs" / "r"

    def own_corpus(self) -> Path:
        shutil.copytree(self.corpus, self.folder / "corpus")
        return self.folder / "corpus"

    def train(self, data: Path) -> list[str]:
        return ["train", f"data={data}", "name=r", f"runs={self.folder / 'runs'}", *TINY]

    def pipe(self) -> str:
        """A command that leaves the canary."""
        return f"pipe:touch {self.canary} {{name}}"


@dataclass(frozen=True)
class Attack:
    name: str
    command: Callable[[Scene], list[str]]
    """Sets the scene; the arguments of slts."""
    refused: bool = True
    """Whether the command must not succeed."""


def attacks() -> Iterator[Attack]:
    yield from of_configs()
    yield from of_corpora()
    yield from of_checkpoints()
    yield from of_histories()
    yield from of_media()
    yield from of_arguments()
    yield from of_tables()


def of_configs() -> Iterator[Attack]:
    """A run's config.yaml by somebody else."""
    verbs = {
        "evaluate": lambda r, s: ["evaluate", f"run={r}", "calibrate=true", "split=val"],
        "offsets": lambda r, s: ["offsets", f"run={r}", f"data={s.corpus}", "calibrate=true", f"out={s.folder}/o.csv"],
        "evaluate plainly": lambda r, s: ["evaluate", f"run={r}", "split=val"],
        "generate": lambda r, s: ["generate", f"run={r}", f"input={s.video}", f"out={s.folder}/out"],
        "tables": lambda r, s: ["tables", f"runs={r.parent}", f"out={s.folder}/tables", f"clip={s.video}"],
    }
    for verb, arguments in verbs.items():

        def command(scene: Scene, arguments=arguments) -> list[str]:
            path = scene.own_run()
            file = path / "config.yaml"
            lines = [f"data: '{scene.pipe()}'" if x.startswith("data:") else x for x in file.read_text().splitlines()]
            file.write_text("\n".join(lines))
            return arguments(path, scene)

        yield Attack(f"config: data is a command, {verb}", command, refused=False)

    bomb = "a0: &a0 [x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]\n" for i in range(1, 12)
    )
    texts = {
        "empty": b"",
        "no YAML": b"{[}\n:",
        "a list": b"- 1\n- 2\n",
        "a number": b"5\n",
        "binary": os.urandom(400),
        "NUL bytes": b"task: {name: slts}\0\0\n",
        "an object of Python": b"task: !!python/object/apply:os.system ['touch /tmp/never']\n",
        "an alias bomb": bomb.encode(),
        "deep": b"[" * 5000,
        "nothing of a model": b"task: {name: slts}\nname: r\n",
        "another system": b"task: {name: ../../x}\nname: r\n",
        "an interpolation of the environment": b"name: ${oc.env:HOME}\ntask: ${task}\n",
    }
    for what, text in texts.items():

        def command(scene: Scene, text=text) -> list[str]:
            path = scene.own_run()
            (path / "config.yaml").write_bytes(text)
            return ["evaluate", f"run={path}", f"data={scene.corpus}", "split=val"]

        yield Attack(f"config: {what}", command)

    for line in ("image_size: 1000000000", "image_size: -4", "width: abc", "layers: .nan", "frame_width: []"):

        def command(scene: Scene, line=line) -> list[str]:
            path = scene.own_run()
            key = line.partition(":")[0]
            lines = (path / "config.yaml").read_text().splitlines()
            lines = [x[: len(x) - len(x.lstrip())] + line if x.strip().startswith(f"{key}:") else x for x in lines]
            (path / "config.yaml").write_text("\n".join(lines))
            return ["evaluate", f"run={path}", f"data={scene.corpus}", "split=val"]

        yield Attack(f"config: model with {line}", command)


def of_corpora() -> Iterator[Attack]:
    """corpus.json and shards by somebody else."""

    def changed(change: Callable[[dict], object]) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            corpus = scene.own_corpus()
            facts = json.loads((corpus / "corpus.json").read_text())
            found = change(facts)
            (corpus / "corpus.json").write_text(json.dumps(facts if found is None else found))
            return corpus

        return make

    def written(content: bytes) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            corpus = scene.own_corpus()
            (corpus / "corpus.json").write_bytes(content)
            return corpus

        return make

    def shard(change: Callable[[bytes], bytes]) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            corpus = scene.own_corpus()
            file = next(iter(sorted(corpus.glob("train-*.tar"))))
            file.write_bytes(change(file.read_bytes()))
            return corpus

        return make

    def flipped(data: bytes, part: float) -> bytes:
        place = int(len(data) * part)
        return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]

    def mel(name: str, values: object) -> Callable[[dict], None]:
        return lambda facts: facts["mel"].update({name: values})

    def shards(**change: object) -> Callable[[dict], None]:
        return lambda facts: [entry.update(change) for entry in facts["shards"]] and None

    cases = {
        "empty": written(b""),
        "no JSON": written(b'{"name": '),
        "a list": written(b"[]"),
        "null": written(b"null"),
        "not UTF-8": written(b'{"name": "\xff\xfe"}'),
        "deep": written(b"[" * 100_000),
        "nothing in it": written(b"{}"),
        "no shards": changed(lambda facts: facts.update(shards=[])),
        "shards as a number": changed(lambda facts: facts.update(shards=7)),
        "a shard outside": changed(shards(file="../../../../etc/train-000000.tar")),
        "a shard of an absolute path": changed(shards(file="/etc/passwd")),
        "a shard without a hash": changed(shards(sha256=None)),
        "a shard of a wrong hash": changed(shards(sha256="0" * 64)),
        "negative clips": changed(shards(clips=-1)),
        "a million clips": changed(shards(clips=10**6)),
        "clips as text": changed(shards(clips="7")),
        "a file that is none": changed(shards(file="train-999999.tar")),
        "no mel": changed(lambda facts: facts.pop("mel") and None),
        "mel of NaN": changed(mel("mean", [float("nan")] * 80)),
        "mel without spread": changed(mel("std", [0.0] * 80)),
        "mel of seven bins": changed(mel("mean", [0.0] * 7)),
        "mel as text": changed(mel("std", ["a"] * 80)),
        "speakers as a number": changed(lambda facts: facts.update(speakers=3)),
        "no speakers": changed(lambda facts: facts.update(speakers=[])),
        "a shard cut": shard(lambda data: data[: len(data) // 2]),
        "a shard empty": shard(lambda data: b""),
        "a shard of noise": shard(lambda data: os.urandom(20_000)),
        "a bit of a shard, at its start": shard(lambda data: flipped(data, 0.001)),
        "a bit of a shard, in the middle": shard(lambda data: flipped(data, 0.5)),
        "a bit of a shard, near the end": shard(lambda data: flipped(data, 0.8)),
    }
    for what, make in cases.items():
        yield Attack(f"corpus: {what}", lambda scene, make=make: scene.train(make(scene)))


def of_checkpoints() -> Iterator[Attack]:
    """Weights and state by somebody else, or from a failing disk."""

    def damage(file: str, change: Callable[[Path], object]) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            path = scene.own_run()
            for checkpoint in (path / "checkpoints").iterdir():
                change(checkpoint / file)
            return path

        return make

    def not_finite(file: Path) -> None:
        weights = load_file(file)
        name = next(name for name, value in weights.items() if value.dtype == np.float32 and value.size > 1)
        weights[name] = np.full_like(weights[name], np.nan)
        save_file(weights, file)

    def flip(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0x40
        file.write_bytes(content)

    cases = {
        "weights cut": damage("model.safetensors", lambda f: f.write_bytes(f.read_bytes()[:-500])),
        "weights empty": damage("model.safetensors", lambda f: f.write_bytes(b"")),
        "weights of NaN": damage("model.safetensors", not_finite),
        "a bit of the weights": damage("model.safetensors", flip),
        "weights that are a page": damage("model.safetensors", lambda f: f.write_text("<html>404</html>")),
        "weights that are a pickle": damage(
            "model.safetensors", lambda f: f.write_bytes(b"cos\nsystem\n(S'touch /tmp/never'\ntR.")
        ),
        "a header of petabytes": damage("model.safetensors", lambda f: f.write_bytes(b"\xff" * 8 + b"{}")),
        "weights gone": damage("model.safetensors", lambda f: f.unlink()),
        "state empty": damage("state.json", lambda f: f.write_text("")),
        "state a list": damage("state.json", lambda f: f.write_text("[]")),
        "state without a step": damage("state.json", lambda f: f.write_text("{}")),
        "state not UTF-8": damage("state.json", lambda f: f.write_bytes(b"\xff\xfe{}")),
    }
    for what, make in cases.items():
        yield Attack(f"checkpoint: {what}, evaluate", lambda s, make=make: ["evaluate", f"run={make(s)}", "split=val"])

        yield Attack(f"checkpoint: {what}, offsets", lambda s, make=make: [
            "offsets", f"run={make(s)}", f"data={s.video}", f"out={s.folder}/o.csv"])  # fmt: skip

        def resume(scene: Scene, make=make) -> list[str]:
            make(scene)
            return [*scene.train(scene.corpus), "steps=3"]

        yield Attack(f"checkpoint: {what}, train on", resume)

    def elsewhere(scene: Scene) -> list[str]:
        path = scene.own_run()
        for name in ("last", "best"):
            (path / name).unlink()
            (path / name).symlink_to("/etc")
        return ["evaluate", f"run={path}", "split=val"]

    yield Attack("checkpoint: best leads to /etc", elsewhere)


def of_histories() -> Iterator[Attack]:
    """metrics.jsonl and results.jsonl that others wrote, or that were cut."""
    contents = {
        "cut": b'{"step": 1, "name": "train/lo',
        "garbage": b"\x00\xff garbage\n\n[[[\n",
        "numbers": b"1\n2\n3\n",
        "strange types": b'{"step": "a", "name": 5, "value": {}}\n',
        "a formula": b'{"variant": "=cmd()", "corpus": "[x](javascript:1)", "task": "@a"}\n',
    }
    for what, content in contents.items():

        def shown(scene: Scene, content=content) -> list[str]:
            path = scene.own_run()
            for name in ("metrics.jsonl", "results.jsonl"):
                with (path / name).open("ab") as file:
                    file.write(content)
            return ["tables", f"runs={path.parent}", f"out={scene.folder}/tables", f"clip={scene.video}"]

        def resumed(scene: Scene, content=content) -> list[str]:
            path = scene.own_run()
            with (path / "metrics.jsonl").open("ab") as file:
                file.write(content)
            return scene.train(scene.corpus)

        yield Attack(f"history: {what}, tables", shown, refused=False)
        yield Attack(f"history: {what}, train again", resumed, refused=False)
    yield Attack(
        "history: a run that was never scored",
        lambda s: ["tables", f"runs={s.own_run().parent}", f"out={s.folder}/tables", f"clip={s.video}"],
        refused=False,
    )


def of_media() -> Iterator[Attack]:
    """Files that are named like videos."""

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
            return ["generate", f"run={scene.run}", f"input={root}", f"out={scene.folder}/out", "faces=none", *SPEAKER]

        def over(scene: Scene, generate=generate) -> list[str]:
            return [word.replace(f"out={scene.folder}/out", f"out={scene.folder}/raw") for word in generate(scene)]

        yield Attack(f"media: named as {what}, generate", generate, refused=False)
        yield Attack(f"media: named as {what}, generate over its source", over)
        yield Attack(f"media: named as {what}, prepare", prepare(put), refused=False)
        yield Attack(f"media: named as {what}, offsets", offsets(put), refused=False)


SPEAKER: list[str] = []
"""``speaker=`` of the run, where it has several."""
HARMLESS = {*(f"bytes flipped, {seed}" for seed in range(4)), "cut near the end", "cut in the middle"}
"""Damage that may leave enough to measure."""


def of_arguments() -> Iterator[Attack]:
    """Settings that came with somebody's study or from a forum."""
    for override in (
        "experiment=../../x/exp", "experiment=/etc/passwd", "task=../task/slts", "variant=[paper,no_asm]",
        "model=''", "seed=4294967296", "seed=-1", "seed=1e400", "steps=nan", "steps=99999999999999999999999",
        "name=../../outside", "name=/etc/outside", "name=", "+hydra.run.dir=/etc", "hydra.searchpath=[file:///etc]",
        "~task", "task.radius=${oc.env:HOME}", "batch_size=${now:%Y}", "data=pipe:", "data=ftp2://x/y",
        "data=pipe:true", "name=a\nb", "model.width=1e9999", "batch_size=0", "'", "=", "task@x=slts",
    ):  # fmt: skip

        def command(scene: Scene, override=override) -> list[str]:
            folder = scene.folder / "x"
            folder.mkdir()
            (folder / "exp.yaml").write_text(f"# @package _global_\ndata: '{scene.pipe()}'\n")
            return [*scene.train(scene.corpus), override]

        yield Attack(f"argument: {override!r}", command)

    for what, text in {
        "an experiment outside": 'overrides: ["experiment=../../x/exp"]\n',
        "a command": 'overrides: ["data=pipe:touch CANARY {name}"]\n',
        "no mapping": "- 1\n",
        "an object of Python": "overrides: !!python/object/apply:os.system ['touch CANARY']\n",
        "a strange space": "space: {task.temperature: {log: [a, b]}}\n",
        "binary": "\x00\x01",
    }.items():

        def command(scene: Scene, text=text) -> list[str]:
            study = scene.folder / "study.yaml"
            study.write_text(text.replace("CANARY", str(scene.canary)))
            return ["sweep", f"study={study}", f"data={scene.corpus}", f"runs={scene.folder}/runs", "trials=1"]

        yield Attack(f"study: {what}", command)


def of_tables() -> Iterator[Attack]:
    """CSV files and sounds by somebody else."""
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
    import struct

    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, 16000, 16000 * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 60, b"WAVE") + fmt + struct.pack("<4sI", b"data", 16) + bytes(16)


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


def print_of(folder: Path) -> dict[str, int]:
    """Checksums of every file that was there before."""
    return {str(p): zlib.crc32(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


class TooLong(Exception):
    pass


def outcome(attack: Attack, scene: Scene) -> tuple[str | None, str]:
    """What is wrong with the answer, None if nothing; and what the command said."""

    def late(*_: object) -> None:
        raise TooLong

    said = io.StringIO()
    arguments = attack.command(scene)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            status = run(arguments[0], arguments[1:])
    except TooLong:
        return f"longer than {LIMIT} s", said.getvalue()
    except BaseException:
        return "an exception", said.getvalue() + traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    text = said.getvalue()
    if "Traceback" in text or "traceback" in text:
        return "a traceback", text
    if scene.canary.exists():
        return "executed something", text
    if attack.refused and status == 0:
        return "was not refused", text
    return None, text


def stage(folder: Path) -> Scene:
    """The corpus, the run and the video that attacks start from."""
    corpus, runs = folder / "corpus", folder / "runs"
    made = ["prepare", "corpus=synthetic", "profile=lagged", "clips=12", "val=0.2", "test=0.2", "workers=1"]
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        for arguments in (
            [*made, f"out={corpus}"],
            ["train", f"data={corpus}", "name=r", f"runs={runs}", *TINY],
        ):
            if run(arguments[0], arguments[1:]):
                raise SystemExit(quiet.getvalue())
    SPEAKER[:] = [f"speaker={json.loads((corpus / 'corpus.json').read_text())['speakers'][0]}"]
    video = folder / "plain.mp4"
    write_talk(video)
    return Scene(folder, corpus, runs / "r", video, folder / "canary")


def write_talk(path: Path) -> None:
    """Two seconds of moving noise with a tone."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as target:
        picture, sound = target.add_stream("libx264", rate=25), target.add_stream("aac", rate=16000)
        picture.width = picture.height = 64
        picture.pix_fmt = "yuv420p"
        for _ in range(50):
            shown = rng.integers(0, 255, (64, 64, 3), np.uint8)
            target.mux(picture.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        tone = (np.sin(np.arange(32000) / 5) * 0.3).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        frame.sample_rate = 16000
        target.mux(sound.encode(frame))
        target.mux(picture.encode(None))
        target.mux(sound.encode(None))


def assault(folder: Path, only: str = "", every: int = 1, verbose: bool = False) -> tuple[int, int]:
    """(refused or survived, tried) of the attacks whose name holds ``only``, each ``every``-th of them."""
    base = stage(folder)
    pristine = print_of(folder)
    chosen = [attack for attack in attacks() if only in attack.name][::every]
    held = 0
    for attack in chosen:
        own = folder / "attack"
        own.mkdir()
        scene = Scene(own, base.corpus, base.run, base.video, folder / "canary")
        problem, said = outcome(attack, scene)
        scene.canary.unlink(missing_ok=True)
        shutil.rmtree(own)
        now = print_of(folder)
        if problem is None and {name: digest for name, digest in now.items() if name in pristine} != pristine:
            problem = "a file that was there changed"
        pristine = now
        held += problem is None
        if problem or verbose:
            print(f"{'held' if problem is None else 'FAILED'}: {attack.name}: {problem or ''}")
            print("    " + "\n    ".join(said.strip().splitlines()[-6 if problem else -1 :]))
    return held, len(chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="attacks whose name holds this")
    parser.add_argument("--every", type=int, default=1, help="each N-th attack only")
    parser.add_argument("--verbose", action="store_true", help="what was said to every attack")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held, tried = assault(Path(folder).resolve(), given.only, given.every, given.verbose)
    print(f"{held} of {tried} refused or survived")
    sys.exit(held != tried)


if __name__ == "__main__":
    main()
