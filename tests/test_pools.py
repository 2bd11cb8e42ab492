"""Pools end, whenever one of their processes is killed and wherever they are interrupted."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest
from forked import FORKED, PATIENCE

from slts import pools
from slts.pools import awaited, ending, interruptible, submitted

JOBS = 2


def stop_where_it_waits(folder: Path, job: int) -> int:
    """A job after which the process stops, all of it, once it holds the lock of the queue and waits for more."""
    (folder / str(job)).touch()
    while len(list(folder.iterdir())) < JOBS:  # so that each process has a job
        time.sleep(0.01)

    def watch() -> None:
        named = ""
        while named != "recv_bytes":
            time.sleep(0.02)
            frame = sys._current_frames()[threading.main_thread().ident]
            while frame and frame.f_code.co_name != "recv_bytes":
                frame = frame.f_back
            named = frame.f_code.co_name if frame else ""
        os.kill(os.getpid(), signal.SIGSTOP)

    threading.Thread(target=watch, daemon=True).start()
    return job


def test_a_process_killed_while_it_waits_for_more_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "LEAVING", 1.5)
    with ending(ProcessPoolExecutor(JOBS, FORKED)) as pool:
        futures = [pool.submit(stop_where_it_waits, tmp_path, job) for job in range(JOBS)]
        assert [future.result() for future in futures] == [0, 1]
        processes = [psutil.Process(pid) for pid in pool._processes]
        until = time.monotonic() + 60
        while not (stopped := [p for p in processes if p.status() == psutil.STATUS_STOPPED]):
            assert time.monotonic() < until
            time.sleep(0.01)
        assert len(stopped) == 1
        threading.Timer(0.5, stopped[0].kill).start()  # when the pool is being left
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_nothing_is_waited_for_after_a_failure():
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), ending(ProcessPoolExecutor(1, FORKED)) as pool:
        pool.submit(time.sleep, 600)
        time.sleep(0.5)
        [process] = [psutil.Process(pid) for pid in pool._processes]
        1 / 0  # noqa: B018
    assert time.monotonic() - began < 60 and not process.is_running()


def stop_where_it_answers(mark: Path) -> bytes:
    """A job after which the process sends the first half of its result."""

    def send_half(connection: Connection, data: bytes) -> None:
        os.write(connection.fileno(), data[: len(data) // 2])
        mark.touch()
        time.sleep(600)

    Connection._send = send_half
    return b"result"


def test_a_process_killed_while_it_answers_stops_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), ending(ProcessPoolExecutor(1, FORKED)) as pool:
        pool.submit(stop_where_it_answers, tmp_path / "sent")
        while not (tmp_path / "sent").exists():
            time.sleep(0.01)
        thread = pool._executor_manager_thread
        1 / 0  # noqa: B018
    assert not thread.is_alive()


INTERRUPTED = """
import signal, sys, threading, time
from concurrent.futures import Future
from functools import partial
from slts.data.parallel import Processes
from slts.metrics.scoring import score_pairs

def job(number, tick):
    time.sleep(number)
    return number

def pair(seconds):
    time.sleep(seconds)

class Interrupting(threading.Condition):
    # Ctrl-C once the lock of a future is taken, in the thread that uses the pool.
    times = 0

    def __enter__(self):
        entered = super().__enter__()
        if threading.current_thread() is threading.main_thread():
            Interrupting.times += 1
            if Interrupting.times == int(sys.argv[2]):
                signal.raise_signal(signal.SIGINT)
        return entered

def init(self, before=Future.__init__):
    before(self)
    self._condition = Interrupting()

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Future.__init__ = init
    if sys.argv[1] == "jobs":
        list(Processes(2).run(job, [0, 600, 600, 600], print))
    else:
        score_pairs([partial(pair, 600)] * 4, workers=2)
"""


@pytest.mark.parametrize("work", ["jobs", "pairs"])
@pytest.mark.parametrize("lock", [1, 2, 5])
def test_an_interrupt_while_a_lock_of_the_pool_is_held_ends_it(work, lock, tmp_path):
    script = tmp_path / "interrupted.py"
    script.write_text(INTERRUPTED)
    command = [sys.executable, str(script), work, str(lock)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode != 0 and ended.stderr.count("Traceback") == 1
    assert "\nKeyboardInterrupt\n" in ended.stderr


def interrupt_that_comes_early(mark: Path) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    mark.touch()
    interruptible()
    mark.with_name("later").touch()


@pytest.fixture
def handled():
    """Ctrl-C as what is typed in a shell has it, however the suite was begun."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_process_that_is_interrupted_as_it_begins_says_nothing(handled, tmp_path, capfd):
    early = tmp_path / "early"
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, context, interrupt_that_comes_early, (early,))
    with ending(pool), pytest.raises(BrokenProcessPool):
        awaited(submitted(pool, int))
    assert [file.name for file in tmp_path.iterdir()] == ["early"]
    assert capfd.readouterr().err == ""


def test_what_ignores_interrupts_has_processes_that_do(handled, tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    early = tmp_path / "early"
    context = multiprocessing.get_context("spawn")
    with ending(ProcessPoolExecutor(1, context, interrupt_that_comes_early, (early,))) as pool:
        assert awaited(submitted(pool, int)) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["early", "later"]
