"""The server as browsers, and as those who are none, meet it."""

import http.client
import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from forked import FORKED, run_command
from heard_runs import SYSTEMS, make_test, plausible, write_runs

from slts.cli import run
from slts.listening.answers import Answers
from slts.listening.server import ListeningServer

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server of a small test, its plan and its folder."""
    folder = tmp_path_factory.mktemp("served")
    plan = make_test(folder / "test", write_runs(folder / "runs"), "clips=2", "raters=4", "check_every=3")
    server = ListeningServer(("127.0.0.1", 0), folder / "test", plan, lambda rater: None)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server, plan, folder / "test"
    server.shutdown()
    server.server_close()


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers) -> tuple[int, bytes, bytes]:
    """Status, head and body of an answer, as bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, str(answer.getheaders()).encode(), answer.read()
    finally:
        connection.close()


def give(port: int, rater, row: dict) -> dict:
    status, _, body = ask(port, "POST", f"/{rater.token}/answer", json.dumps(row).encode())
    assert status == 200, body
    return json.loads(body)


def test_nothing_that_is_served_says_whose_a_clip_is(served):
    server, plan, folder = served
    rater, sent = plan.raters[0], []
    sent.append(ask(server.server_port, "GET", f"/{rater.token}"))
    for step, planned in enumerate(rater.steps):
        sent.append(ask(server.server_port, "GET", f"/{rater.token}/step"))
        shown = json.loads(sent[-1][2])
        assert shown["step"] == step and shown["kind"] == planned.kind.replace("check", "rating")
        for i in range(len(planned.clips)):
            sent.append(ask(server.server_port, "GET", f"/{rater.token}/clip/{step}/{i}"))
            file = folder / "clips" / plan.clips[planned.clips[i]].file
            assert sent[-1][0] == 200 and sent[-1][2] == file.read_bytes()
        sent.append((200, b"", json.dumps(give(server.server_port, rater, plausible(plan, rater, step))).encode()))
    assert json.loads(sent[-1][2])["kind"] == "thanks"
    for _, head, body in sent:
        for name in (*SYSTEMS, "walrus", "slts", "real", "runs", ".wav", *plan.raters[1:3]):
            name = getattr(name, "token", name).encode()
            assert name not in head.lower() and name not in body.lower()
    checks = [step for step, planned in enumerate(rater.steps) if planned.kind == "check"]
    steps = [json.loads(body) for _, _, body in sent if body.startswith(b"{")]
    as_check, as_rating = (
        next({**one, "step": 0} for one in steps if one["step"] == step)
        for step in (checks[0], next(i for i, planned in enumerate(rater.steps) if planned.kind == "rating"))
    )
    assert as_check == as_rating


def test_hostile_requests_get_nothing(served):
    server, plan, folder = served
    port, rater, other = server.server_port, plan.raters[1], plan.raters[2]
    paths = [
        "/",
        "/plan.json",
        "/../plan.json",
        "/%2e%2e/plan.json",
        "//etc/passwd",
        "/ratings.csv",
        "/answers/r01.jsonl",
    ]
    paths += [f"/{rater.token}/../plan.json", f"/{rater.token}/clip/0/../../plan.json", f"/{rater.token}/plan.json"]
    paths += [
        f"/{rater.token}/clip/{clip}" for clip in ("0/0", "1/0", "-1/0", "99999/0", "0/999", "x/0", "1/0/", "1/0?x")
    ]
    paths += [f"/{rater.token[:-1]}", f"/{rater.token}x", f"/{rater.token}/answer", "/" + "a" * 60000, "/\x7f"]
    for path in paths:
        status, _, body = ask(port, "GET", path.replace("\x7f", "%7f"))
        assert status in (404, 414) and b"system" not in body and len(body) < 200, path
    sent = json.dumps(plausible(plan, rater, 0)).encode()
    for path in (f"/{rater.token}", f"/{rater.token}/step", "/x/answer", f"/{rater.token}/clip/0/0"):
        assert ask(port, "POST", path, sent)[0] == 404
    bad = [b"", b"x", b"[" * 5000, b"\xff\xfe", b"null", b'{"step": 0}', json.dumps({"step": 3, "answer": {}}).encode()]
    for body in bad:
        assert ask(port, "POST", f"/{rater.token}/answer", body)[0] == 400
    assert ask(port, "POST", f"/{rater.token}/answer", b"9" * 20000)[0] == 413
    for length in ("1e9", "-5", "99999999999999999999", "", "0x10"):
        assert ask(port, "POST", f"/{rater.token}/answer", None, **{"Content-Length": length})[0] == 413
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert ask(port, method, f"/{rater.token}")[0] == 501
    for raw in (b"\r\n\r\n", b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=120) as connection:
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
            assert b"Traceback" not in connection.recv(4096)
    assert server.answers.turn(rater) == server.answers.turn(other) == 0
    assert [file.name for file in (folder / "answers").iterdir()] in ([], ["r01.jsonl"])


def test_two_windows_and_a_double_click_count_once(served):
    server, plan, folder = served
    rater = plan.raters[3]
    first = plausible(plan, rater, 0)
    shown = [give(server.server_port, rater, first) for _ in range(3)]
    assert [one["step"] for one in shown] == [1, 1, 1]
    assert give(server.server_port, rater, plausible(plan, rater, 5))["step"] == 1
    assert len((folder / "answers" / "r04.jsonl").read_text().splitlines()) == 1


def start(out: Path, log: Path) -> tuple:
    """The real command in a process of its own, and its port."""
    words = ["listen", f"out={out}", "port=0"]
    given = (words, str(out.parent), dict(os.environ), str(log), os.devnull)
    process = FORKED.Process(target=run_command, args=given, daemon=True)  # a failed test leaves none behind
    process.start()
    for _ in range(6000):
        if log.is_file() and "Ctrl-C" in log.read_text():
            return process, int(re.search(r"127\.0\.0\.1:(\d+)/", log.read_text())[1])
        time.sleep(0.05)
    raise AssertionError("no server")


def test_killed_at_any_instant_no_answer_is_lost(tmp_path, capsys):
    plan = make_test(tmp_path / "test", write_runs(tmp_path / "runs"), "clips=4", "raters=3", "training=3")
    acknowledged = dict.fromkeys(plan.raters, 0)
    process, port = start(tmp_path / "test", tmp_path / "first.log")

    def answer(rater) -> None:
        for step in range(len(rater.steps) - 1):
            try:
                give(port, rater, plausible(plan, rater, step))
            except (OSError, http.client.HTTPException):
                return
            acknowledged[rater] += 1
            time.sleep(0.01)

    threads = [threading.Thread(target=answer, args=(rater,)) for rater in plan.raters]
    for thread in threads:
        thread.start()
    while sum(acknowledged.values()) < 9 and any(thread.is_alive() for thread in threads):
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    for thread in (*threads, process):
        thread.join()
    assert process.exitcode == -signal.SIGKILL
    killed_at = dict(acknowledged)
    assert 9 <= sum(killed_at.values()) < sum(len(rater.steps) - 1 for rater in plan.raters)

    process, port = start(tmp_path / "test", tmp_path / "second.log")
    for rater in plan.raters:
        turn = json.loads(ask(port, "GET", f"/{rater.token}/step")[2])["step"]
        assert killed_at[rater] <= turn <= killed_at[rater] + 1  # one was kept and not acknowledged any more
        for step in range(turn, len(rater.steps)):
            shown = give(port, rater, plausible(plan, rater, step))
        assert shown["kind"] == "thanks"
    assert run("listen", [f"out={tmp_path / 'test'}", "port=0"]) == 2  # served already
    assert "is being served" in capsys.readouterr().err
    os.kill(process.pid, signal.SIGINT)
    process.join(60)
    assert process.exitcode == 0 and "3 of 3 raters have answered all" in (tmp_path / "second.log").read_text()
    answers = Answers(tmp_path / "test", plan)
    assert all(sorted(answers.rows[rater.name]) == list(range(len(rater.steps))) for rater in plan.raters)


def test_a_port_in_use_is_said_in_a_line(served, capsys):
    server, _, folder = served
    assert run("listen", [f"out={folder}", f"port={server.server_port}"]) == 2
    said = capsys.readouterr().err
    assert f"port={server.server_port}: Address already in use" in said and len(said.splitlines()) == 1
