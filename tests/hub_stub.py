"""As much of the Hugging Face Hub as huggingface_hub asks for: repositories in memory, over HTTP on this machine."""

import base64
import hashlib
import http.server
import json
import re
import threading

REVISION = re.compile(r"/api/models/(?P<repo>[^/?]+/[^/?]+)(?:/(?:revision|tree)/(?P<revision>[^?]+))?")
FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")


class Hub:
    """``repositories``: name -> branch or commit -> path -> bytes; ``private``: names of some; ``asked``: the paths of
    all requests."""

    def __init__(self):
        self.repositories: dict[str, dict[str, dict[str, bytes]]] = {}
        self.private: set[str] = set()
        self.asked: list[str] = []
        self.broken = False
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def answer(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                hub.asked.append(self.path)
                status, headers, content = (500, {}, b"") if hub.broken else hub.answer(self.path, body)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = answer

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def commit(self, repository: str, files: dict[str, bytes]) -> str:
        """Makes ``files`` the branch main; returns the commit."""
        sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.repositories.setdefault(repository, {}).update({sha: files, "main": files})
        return sha

    def answer(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            if name not in self.repositories and (asked.get("private") or asked.get("visibility") == "private"):
                self.private.add(name)
            self.repositories.setdefault(name, {})
            return _json({"url": f"{self.address}/{asked['organization']}/{asked['name']}"})
        if path == "/api/validate-yaml":
            return _json({"errors": [], "warnings": []})
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/main.*", path):
            asked = json.loads(body)["files"]
            return _json(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in asked]}
            )
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/main.*", path):
            lines = [json.loads(line) for line in body.splitlines()]
            gone = {line["value"]["path"] for line in lines if line["key"] == "deletedFile"}
            before = self.repositories[match[1]].get("main", {})
            files = {name: held for name, held in before.items() if name not in gone}
            given = [line["value"] for line in lines if line["key"] == "file"]
            sha = self.commit(match[1], files | {file["path"]: base64.b64decode(file["content"]) for file in given})
            return _json({"commitUrl": f"{self.address}/{match[1]}/commit/{sha}", "commitOid": sha, "success": True})
        match = REVISION.match(path) or FILE.match(path)
        revisions = self.repositories.get(match["repo"]) if match else None
        if revisions is None:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        facts = {"id": match["repo"], "private": match["repo"] in self.private}
        if (files := revisions.get(match["revision"] or "main")) is None:
            if revisions:
                return 404, {"X-Error-Code": "RevisionNotFound"}, b""
            return _json([] if "/tree/" in path else facts)
        sha = next(name for name, held in revisions.items() if held is files and len(name) == 40)
        if "path" in match.groupdict():
            held = files[match["path"]]
            return 200, {"ETag": f'"{hashlib.sha1(held).hexdigest()}"', "X-Repo-Commit": sha}, held
        if "/tree/" in path:
            return _json([
                {"type": "file", "path": name, "size": len(held), "oid": hashlib.sha1(held).hexdigest()}
                for name, held in files.items()
            ])  # fmt: skip
        return _json({**facts, "sha": sha, "siblings": [{"rfilename": name} for name in files]})


def _json(value: object) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()
