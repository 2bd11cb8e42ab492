"""Pools end, whenever one of their processes is killed."""

import os
import signal
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil
import pytest
from forked import FORKED

from slts import pools
from slts.pools import ending

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
