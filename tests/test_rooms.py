"""The shape of the house: imports flow one way, files are small, and what matters fits a screen."""

import ast
import inspect
from pathlib import Path

import pytest
from conftest import ROOT

ROOMS = (
    "audio", "metrics", "data", "layers", "training", "systems", "offsets", "corpora", "recognition", "evaluation",
    "listening", "reporting", "sweeping", "demo", "commands",
)  # fmt: skip
"""Each imports of itself and of those before it."""
LAUNCHED = ("cli", "train", "evaluate")
"""Modules that stand above the rooms."""
LARGEST = 300
SCREEN = 60


def modules() -> list[Path]:
    return sorted((ROOT / "slts").rglob("*.py"))


def room_of(parts: tuple[str, ...]) -> str | None:
    """The room of a dotted path below slts, None for what lies beside the rooms."""
    return parts[0] if parts and (ROOT / "slts" / parts[0]).is_dir() else None


def imported(file: Path) -> set[tuple[str, ...]]:
    """The dotted paths below slts that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "slts":
            found |= {tuple(node.module.split(".")[1:]) or (alias.name,) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")[1:]) for alias in node.names if alias.name.startswith("slts.")}
    return found


def test_every_folder_is_a_room():
    folders = {path.name for path in (ROOT / "slts").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert folders == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_nothing_from_rooms_above_it(room):
    above = set(ROOMS[ROOMS.index(room) + 1 :]) | set(LAUNCHED)
    wrong = [
        f"{file.relative_to(ROOT)} imports slts.{'.'.join(parts)}"
        for file in (ROOT / "slts" / room).rglob("*.py")
        for parts in imported(file)
        if parts and (room_of(parts) or parts[0]) in above
    ]
    assert not wrong


def test_what_lies_beside_the_rooms_imports_none_but_where_it_commands():
    wrong = [
        f"{file.name} imports slts.{'.'.join(parts)}"
        for file in (ROOT / "slts").glob("*.py")
        if file.stem not in (*LAUNCHED, "__init__")
        for parts in imported(file)
        if room_of(parts)
    ]
    assert not wrong


def test_training_and_commands_know_no_system_by_name():
    for file in modules():
        if "systems" not in file.parts:
            text = file.read_text()
            assert not any(f'task.name == "{name}"' in text for name in ("slts", "syncnet", "vcagan")), file
            assert "hasattr(task" not in text and "getattr(run.task" not in text, file


@pytest.mark.parametrize("file", modules(), ids=lambda file: file.relative_to(ROOT).as_posix())
def test_no_file_is_long(file):
    assert len(file.read_text().splitlines()) <= LARGEST


def test_a_training_step_and_an_evaluation_fit_a_screen():
    from slts import evaluate
    from slts.training.loop import Trainer

    for function in (evaluate.main, Trainer.step):
        assert len(inspect.getsource(function).splitlines()) <= SCREEN
