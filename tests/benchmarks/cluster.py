"""What a Ray cluster costs, and that a node that dies changes no byte: two nodes of a core each on this machine.

    python tests/benchmarks/cluster.py [--rounds N] [--clips N] [--kill] [command ...]

The commands are prepare, offsets and score (all unless given), each on 200 generated clips unless told otherwise.
Without --kill each runs in pairs, with workers=2 and with engine=ray on the two nodes, in turn; medians of the seconds
are printed, and what Ray adds. The cluster is up before, as one is, and each command joins it anew. Also printed are
the seconds of processor time, which other load on the machine hardly changes: of the command, of the processes that it
starts, and of all of Ray's.

With --kill one node is killed in the middle of each command, whose files are held against those of engine=local.
"""

import argparse
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import soundfile

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
from metric_clips import speech_like  # noqa: E402
from ray_nodes import ENVIRONMENT, Nodes  # noqa: E402

from slts.reporting.sensitivity import delayed  # noqa: E402

LEFT = {"prepare": "corpus/*", "offsets": "offsets.csv", "score": "scores.csv"}
"""What each command leaves that is compared."""
STARTED = 14.0
"""Seconds of processor time after which the processes of both nodes are at work, and one of them is killed."""


def keys_of(command: str, inputs: Path, out: Path, clips: int) -> list[str]:
    """Of the command on what lies in ``inputs``."""
    if command == "prepare":
        how = "corpus=synthetic", f"clips={clips}", "shard_clips=8", "region=mouth", "faces=none"
        return [*how, f"out={out}/corpus"]
    if command == "offsets":
        return [f"data={inputs}/corpus", f"out={out}/offsets.csv", "batch_size=8"]
    return [f"reference={inputs}/a", f"generated={inputs}/b", f"out={out}/scores.csv"]


def make_inputs(folder: Path, clips: int, commands: list[str]) -> None:
    """The corpus for offsets, and the sounds for score."""
    for number in range(clips if "score" in commands else 0):
        speech = speech_like(number)
        for name, sound in (("a", speech), ("b", delayed(speech, 320))):
            (folder / name).mkdir(exist_ok=True)
            soundfile.write(folder / name / f"{number}.wav", sound, 16000)
    if "offsets" in commands:
        run("prepare", [*keys_of("prepare", folder, folder, clips), "workers=2"], Usage())


class Usage:
    """Seconds of processor time of all processes of some nodes and of the commands, also of those that ended."""

    def __init__(self, nodes: Nodes | None = None):
        self.roots, self.seen = [node.pid for node in nodes.processes] if nodes else [], {}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.total()
            time.sleep(0.5)

    def total(self) -> float:
        for root in [*self.roots]:
            with suppress(psutil.NoSuchProcess):
                above = psutil.Process(root)
                for process in [above, *above.children(recursive=True)]:
                    with suppress(psutil.NoSuchProcess):
                        times = process.cpu_times()
                        self.seen[process.pid, process.create_time()] = times.user + times.system
        return sum([*self.seen.values()])


def run(command: str, keys: list[str], usage: Usage, meanwhile=lambda process: None) -> tuple[float, float]:
    """Seconds on the wall, and of processor time, of ``slts COMMAND`` with all processes that work for it."""
    before, began = usage.total(), time.monotonic()
    words = [sys.executable, "-m", "slts.cli", command, *keys]
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)
        usage.roots.append(process.pid)
        meanwhile(process)
        if process.wait():
            log.seek(0)
            sys.exit(log.read().decode()[-3000:])
    return time.monotonic() - began, usage.total() - before


def compare(command: str, inputs: Path, clips: int, rounds: int) -> None:
    nodes = Nodes(2)
    usage = Usage(nodes)
    walls, cores = {"local": [], "ray": []}, {"local": [], "ray": []}
    try:
        time.sleep(10)  # until its processes have begun
        for number in range(rounds):
            for engine in ("local", "ray") if number % 2 else ("ray", "local"):
                where = ["workers=2"] if engine == "local" else ["engine=ray", f"address={nodes.address}"]
                with tempfile.TemporaryDirectory() as out:
                    wall, used = run(command, [*keys_of(command, inputs, Path(out), clips), *where], usage)
                walls[engine].append(wall)
                cores[engine].append(used)
    finally:
        nodes.stop()
    for what, found in (("s", walls), ("s of processors", cores)):
        told = {
            engine: f"{np.median(values):.1f} ({', '.join(f'{v:.1f}' for v in values)})"
            for engine, values in found.items()
        }
        extra = np.median(found["ray"]) / np.median(found["local"]) - 1
        paired = np.median(np.array(found["ray"]) / np.array(found["local"])) - 1
        print(
            f"{command}: local {told['local']}, ray {told['ray']} {what}: {extra:+.1%}, in pairs {paired:+.1%}",
            flush=True,
        )


def compare_killed(command: str, inputs: Path, clips: int) -> None:
    """Ends one of two nodes in the middle."""
    nodes = Nodes(2)
    usage = Usage(nodes)
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:

        def kill(process: subprocess.Popen) -> None:
            at_work = usage.total() + STARTED
            while usage.total() < at_work and process.poll() is None:
                time.sleep(0.3)
            assert process.poll() is None, "the command ended before the node was killed"
            nodes.kill(2)

        try:
            keys = [*keys_of(command, inputs, Path(there), clips), "engine=ray", f"address={nodes.address}"]
            seconds, _ = run(command, keys, usage, kill)
        finally:
            nodes.stop()
        run(command, [*keys_of(command, inputs, Path(here), clips), "workers=1"], usage)
        files = [
            {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).glob(LEFT[command])}
            for folder in (here, there)
        ]
    same = "the same" if files[0] == files[1] else "OTHER"
    print(
        f"{command}, one of two nodes killed: {len(files[1])} files, SHA-256 {same} as engine=local; {seconds:.1f} s",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("commands", nargs="*", metavar="command")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the nodes are stopped
    with tempfile.TemporaryDirectory() as folder:
        commands = options.commands or [*LEFT]
        make_inputs(Path(folder), options.clips, commands)
        for command in commands:
            if options.kill:
                compare_killed(command, Path(folder), options.clips)
            else:
                compare(command, Path(folder), options.clips, options.rounds)
    print(f"load of the machine at the end: {os.getloadavg()[0]:.1f} (2.0 is what two processes make)")


if __name__ == "__main__":
    main()
