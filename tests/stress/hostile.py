"""What strangers' files and arguments can do to slts: every attack must be refused in one line, or survived.

    python tests/stress/hostile.py [--only WORD] [--every N] [--verbose]

A corpus and a run are made in a temporary folder; each attack of the package ``attacks`` damages a copy of them, or
names something hostile, and calls the real command in this process, in an empty current folder. An attack has failed
when an exception or a traceback comes out, when it takes longer than LIMIT seconds, when a canary file appears or
anything in the current folder (something was executed), or a file outside the attack's own folder changed or came into
being. Attacks that must be refused also fail when the command succeeds. The last line is ``N of N refused or
survived``; exit status 0 only then.
"""

import argparse
import contextlib
import io
import json
import shutil
import signal
import sys
import tempfile
import traceback
import zlib
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from attacks import Attack, every_attack
from attacks.scene import TINY, Scene

from slts.cli import run

LIMIT = 90
"""Seconds for one command."""


class TooLong(Exception):
    pass


def outcome(attack: Attack, scene: Scene) -> tuple[str | None, str]:
    """What is wrong with the answer, None if nothing; and what the command said."""

    def late(*_: object) -> None:
        raise TooLong

    said = io.StringIO()
    arguments = attack.command(scene)
    scene.here.mkdir()
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.chdir(scene.here):
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
    if scene.canary.exists() or any(scene.here.iterdir()):
        return "executed something", text
    if attack.refused and status == 0:
        return "was not refused", text
    return None, text


def assault(folder: Path, only: str = "", every: int = 1, verbose: bool = False) -> tuple[int, int]:
    """(refused or survived, tried) of the attacks whose name holds ``only``, each ``every``-th of them."""
    base = stage(folder)
    pristine = print_of(folder)
    chosen = [attack for attack in every_attack() if only in attack.name][::every]
    held = 0
    for attack in chosen:
        own = folder / "attack"
        own.mkdir()
        problem, said = outcome(attack, replace(base, folder=own))
        base.canary.unlink(missing_ok=True)
        shutil.rmtree(own)
        now = print_of(folder)
        if problem is None and now != pristine:
            changed = min(name for name, _ in now.items() ^ pristine.items())
            problem = f"{Path(changed).relative_to(folder)} changed or appeared"
        pristine = now
        held += problem is None
        if problem or verbose:
            print(f"{'held' if problem is None else 'FAILED'}: {attack.name}: {problem or ''}")
            print("    " + "\n    ".join(said.strip().splitlines()[-6 if problem else -1 :]))
    return held, len(chosen)


def print_of(folder: Path) -> dict[str, int]:
    """Checksums of every file that is there."""
    return {str(p): zlib.crc32(p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()}


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
    speaker = json.loads((corpus / "corpus.json").read_text())["speakers"][0]
    video = folder / "plain.mp4"
    write_talk(video)
    return Scene(folder, corpus, runs / "r", speaker, video, folder / "canary")


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
