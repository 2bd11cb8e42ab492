"""Stands in for slts/train.py: steps of a tenth of a second, a checkpoint at each, the files that a worker reads.

Called as ``stub_training.py slts/train.py key=value ...``. The score grows with task.temperature and with every step.
Radius 13 diverges. After step 3 it waits for as long as there is a file ``hold`` beside the runs. Every start is
written down in ``starts`` with the step it began from.
"""

import fcntl
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

SECONDS = 0.1

keys = dict(word.split("=", 1) for word in sys.argv[2:])
steps = int(keys["steps"])
run = Path(keys["runs"].strip('"')) / keys["name"]
run.mkdir(parents=True, exist_ok=True)
lock = (run / ".lock").open("a+")
try:
    fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    sys.exit(f"slts train: {run} is being trained")
lock.truncate(0)
lock.write(f"process {os.getpid()} on {socket.gethostname()}")
lock.flush()

stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
checkpoint = run / "checkpoint"
step = int(checkpoint.read_text()) if checkpoint.exists() else 0
with (run / "starts").open("a") as starts:
    starts.write(f"{step}\n")
while step < steps:
    time.sleep(SECONDS)
    step += 1
    if keys["task.radius"] == "13" and step == 3:
        print("slts train: 10 steps in a row gave no finite gradient", file=sys.stderr)
        sys.exit(2)
    score = float(keys["task.temperature"]) + 0.01 * step
    with (run / "metrics.jsonl").open("a") as metrics:
        for name, value in (("val/a_stoi", score), ("val/offset_mae_ms", 100 - score)):
            metrics.write(json.dumps({"step": step, "name": name, "value": value}) + "\n")
    (run / "checkpoint.tmp").write_text(str(step))
    (run / "checkpoint.tmp").rename(checkpoint)
    while step == 3 and (run.parent / "hold").exists() and not stopped:
        time.sleep(0.01)
    if stopped:
        sys.exit(75)
