"""``sbatch``, ``sacct`` and ``scancel`` that run what they are given on this machine, for tests.

Each is this file under that name. Their cluster is the folder ``$SLURM_STUB``: of each task a file ``JOB_TASK`` with
its process, then with how it ended. ``kill`` there names a task and a file: at its first start the task dies where it
would give the file its name. ``refuses`` is what sbatch says in place of taking a job, ``no accounts`` what sacct says.
"""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

CLUSTER = Path(os.environ.get("SLURM_STUB", "."))
DYING = """import os, signal, sys

def die(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith({!r}):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
"""


def sbatch(words: list[str]) -> None:
    if (CLUSTER / "refuses").exists():
        sys.exit((CLUSTER / "refuses").read_text())
    if "--test-only" in words:
        return
    script = Path(words[-1])
    job = str(1 + sum(1 for _ in CLUSTER.glob("job-*")))
    (CLUSTER / f"job-{job}").touch()
    array = re.search(r"--array=0-(\d+)%(\d+)", script.read_text())
    subprocess.Popen(
        [sys.executable, __file__, "run", str(script), job, *(array.groups() if array else [])],
        start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    print(f"Submitted batch job {job}")


def run(script: str, job: str, last: str = "", at_once: str = "1") -> None:
    """All tasks of a job, as many at once as it may."""
    left, running = list(range(int(last) + 1)) if last else [None], []
    while left or running:
        while left and len(running) < int(at_once):
            running.append(_start(script, job, left.pop(0)))
        for name, process in running[:]:
            if process.poll() is not None:
                _tell(name, "COMPLETED" if process.returncode == 0 else "NODE_FAIL")
                running.remove((name, process))
        time.sleep(0.02)


def _start(script: str, job: str, task: int | None) -> tuple[str, subprocess.Popen]:
    name = job if task is None else f"{job}_{task}"
    told = {"SLURM_JOB_ID": job, "SLURM_JOB_NODELIST": "here"}
    if task is not None:
        told |= {"SLURM_ARRAY_JOB_ID": job, "SLURM_ARRAY_TASK_ID": str(task)}
    victim = CLUSTER / "kill"
    if victim.exists() and victim.read_text().split()[0] == name:
        (CLUSTER / "sitecustomize.py").write_text(DYING.format(victim.read_text().split()[1]))
        told["PYTHONPATH"] = f"{CLUSTER}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        victim.unlink()
    output = re.search(r"--output=(\S+)", Path(script).read_text())[1]
    log = output.replace("%A", job).replace("%a", str(task)).replace("%j", job)
    with open(log, "a") as file:
        process = subprocess.Popen(
            ["bash", script], env={**os.environ, **told}, stdout=file, stderr=file, process_group=0
        )
    _tell(name, f"RUNNING {process.pid}")
    return name, process


def _tell(name: str, state: str) -> None:
    (CLUSTER / f".{name}").write_text(state)
    (CLUSTER / f".{name}").rename(CLUSTER / name)


def sacct(words: list[str]) -> None:
    if (CLUSTER / "no accounts").exists():
        sys.exit((CLUSTER / "no accounts").read_text())
    print("JobID|State|NodeList")
    for job in (words[i + 1] for i, word in enumerate(words) if word == "-j"):
        for path in [*CLUSTER.glob(f"{job}_*"), *CLUSTER.glob(job)]:
            print(f"{path.name}|{path.read_text().split()[0]}|here")


def scancel(words: list[str]) -> None:
    for job in words:
        for path in [*CLUSTER.glob(f"{job}_*"), *CLUSTER.glob(job)]:
            state, *process = path.read_text().split()
            if state == "RUNNING":
                os.killpg(int(process[0]), signal.SIGKILL)
    (CLUSTER / "cancelled").write_text(" ".join(words))


if __name__ == "__main__":
    program, given = Path(sys.argv[0]).name, sys.argv[1:]
    if given[:1] == ["run"]:
        run(*given[1:])
    elif program in ("sbatch", "sacct", "scancel"):
        {"sbatch": sbatch, "sacct": sacct, "scancel": scancel}[program](given)
