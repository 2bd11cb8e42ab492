"""The server of a test: one page, and for every rater the step whose turn it is, its clips and a place for the answer.

    GET  /TOKEN            the page
    GET  /TOKEN/step       the step as JSON
    GET  /TOKEN/clip/S/I   clip I of step S, of those up to the one whose turn it is
    POST /TOKEN/answer     JSON; answered like /TOKEN/step

Nothing else is served, nothing that comes in is a path, and no name of a system, a clip or a file goes out. Neither
addresses nor browsers of raters are written down.
"""

import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from slts.listening.answers import LONGEST_REMARK, Answers, OutOfTurn
from slts.listening.aspects import CHOICE as CHOICE_QUESTION
from slts.listening.aspects import DEVICES, PREFERENCE, QUESTIONS, SCALE
from slts.listening.building import CLIPS, PAGE
from slts.listening.plan import CHECK, CONSENT, RATING, TOKEN, Plan, Rater

LARGEST = 2**14
"""Bytes of an answer."""
ADDRESS = re.compile(rf"/(?P<token>{TOKEN})(?:/(?P<what>step|answer|clip/(?P<step>\d{{1,5}})/(?P<clip>\d{{1,3}})))?")
TYPES = {".wav": "audio/wav", ".mp4": "video/mp4"}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "media-src blob:; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class ListeningServer(ThreadingHTTPServer):
    """Serves the test in a folder at ``(host, port)``; ``finished`` is called whenever a rater has answered all."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path, plan: Plan, finished: Callable[[Rater], None]):
        self.folder, self.plan, self.finished = folder, plan, finished
        self.answers, self.page = Answers(folder, plan), (folder / PAGE).read_bytes()
        self.raters = {rater.token: rater for rater in plan.raters}
        super().__init__(address, _Handler)

    def handle_error(self, request, client_address) -> None:
        """A browser that went away is no fault."""

    def shown(self, rater: Rater) -> dict:
        """The step whose turn it is, as the page needs it."""
        turn, plan = self.answers.turn(rater), self.plan
        about = {"step": turn, "steps": len(rater.steps)}
        if turn == len(rater.steps):
            return about | {"kind": "thanks"}
        step = rater.steps[turn]
        kind = RATING if step.kind == CHECK else step.kind
        suffixes = {Path(plan.clips[place].file).suffix for place in step.clips}
        about |= {"kind": kind, "clips": len(step.clips), "video": ".mp4" in suffixes}
        if kind == CONSENT:
            return about | {"text": plan.consent}
        asked = {name: QUESTIONS[name] for name in plan.rated}
        checks = any(one.kind == CHECK for one in rater.steps)
        words = {
            "checks": checks,
            "questions": asked,
            "scale": [[score, word] for score, word in SCALE.items()],
            "devices": DEVICES,
        }
        return about | words | {"choice": CHOICE_QUESTION, "preference": PREFERENCE, "longest": LONGEST_REMARK}


class _Handler(BaseHTTPRequestHandler):
    protocol_version, server_version, sys_version = "HTTP/1.1", "listening", ""
    timeout = 30
    """Seconds that a connection may be idle."""
    server: ListeningServer

    def do_GET(self) -> None:
        match, rater = self._asked()
        if rater is None or match["what"] == "answer":
            self._refuse(404, "There is nothing here. Please take the whole link that you were given.")
        elif match["what"] is None:
            self._send(200, "text/html; charset=utf-8", self.server.page)
        elif match["what"] == "step":
            self._json(self.server.shown(rater))
        else:
            self._clip(rater, int(match["step"]), int(match["clip"]))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        match, rater = self._asked()
        length = self.headers.get("Content-Length", "")
        if rater is None or match["what"] != "answer":
            return self._refuse(404, "There is nothing here.")
        if not length.isdecimal() or len(length) > 12 or int(length) > LARGEST:
            return self._refuse(413, f"An answer has at most {LARGEST} bytes.")
        try:
            self.server.answers.give(rater, json.loads(self.rfile.read(int(length))))
        except OutOfTurn:
            return self._json(self.server.shown(rater))
        except (ValueError, RecursionError) as error:
            said = "no JSON" if isinstance(error, (json.JSONDecodeError, RecursionError, UnicodeDecodeError)) else error
            return self._refuse(400, str(said))
        except OSError:
            return self._refuse(507, "Your answer could not be kept. Please tell whoever gave you the link.")
        self._json(self.server.shown(rater))
        if self.server.answers.turn(rater) == len(rater.steps):
            self.server.finished(rater)

    def _asked(self) -> tuple[re.Match | None, Rater | None]:
        match = ADDRESS.fullmatch(self.path)
        return match, self.server.raters.get(match["token"]) if match else None

    def _clip(self, rater: Rater, step: int, clip: int) -> None:
        if step > self.server.answers.turn(rater) or step >= len(rater.steps) or clip >= len(rater.steps[step].clips):
            return self._refuse(404, "There is no such clip now.")
        file = self.server.folder / CLIPS / self.server.plan.clips[rater.steps[step].clips[clip]].file
        try:
            held = file.read_bytes()
        except OSError:
            return self._refuse(500, "A clip is missing. Please tell whoever gave you the link.")
        self._send(200, TYPES[file.suffix], held)

    def _json(self, value: dict) -> None:
        self._send(200, "application/json", json.dumps(value).encode())

    def _refuse(self, status: int, said: str) -> None:
        self.close_connection = True  # what else was sent is not read
        self._send(status, "text/plain; charset=utf-8", said.encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Of requests that are no HTTP, or of another method."""
        self.command = self.command or "GET"
        self._refuse(code, "This is not understood here.")

    def log_message(self, format: str, *arguments) -> None:
        """Nobody's address is written down."""
