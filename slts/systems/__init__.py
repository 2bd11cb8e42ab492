"""Systems: networks, losses and what they give, one package each. ``contract`` says what a system is."""

import importlib

from torch import nn

from slts.config import compose
from slts.errors import UserError
from slts.plugins import load, plugged_in
from slts.schema import options
from slts.systems.contract import SystemModule
from slts.systems.frame_rate import refuse_rate


def check_task(config) -> None:
    """Refuses combinations of keys that the system cannot work with. Raises UserError."""
    _module(config.task.name).check(config)


def build_task(config, corpus: dict) -> nn.Module:
    """The system that a config names, with fresh weights. Raises UserError for a corpus of a frame rate that it
    does not take."""
    task = _module(config.task.name).build(config, corpus)
    refuse_rate(config.task.name, task.fps, corpus.get("fps", ()))
    return task


def begin_task(task: nn.Module, config, corpus: dict) -> None:
    """Before the first step of a training: gives a system the weights of the run that it builds on, if it does. Raises
    UserError."""
    if begin := getattr(_module(config.task.name), "begin", None):
        begin(task, config, corpus)


def given_by(config) -> tuple[str, ...]:
    """What the system that a config names gives: words of slts.systems.contract."""
    return _module(config.task.name).gives(config)


def need(task: nn.Module, wanted: tuple[str, ...], who: str, command: str) -> None:
    """Refuses a system that lacks what a command needs. Raises UserError with the tasks that have it.

    Args:
        task: the system.
        wanted: words of slts.systems.contract, of which one is enough.
        who: names the system, as ``run=DIR (task slts, variant no_asm)``.
        command: that needs it.
    """
    if not set(wanted) & set(task.gives):
        given = {name: given_by(compose("train", _default(name))[0]) for name in options("task")}
        others = [name for name, words in given.items() if set(wanted) & set(words)]
        lack = f"{command} needs {_said(wanted, 'or')}, and {who} gives {_said(task.gives, 'and')} alone"
        raise UserError(f"{lack}; use a run of task={' or task='.join(others) or '..., a system that does'}")


def _said(words: tuple[str, ...], link: str) -> str:
    return f" {link} ".join(word.replace("_", " ") for word in words)


def _default(name: str) -> list[str]:
    return [f"task={name}", "data=x", "name=x"]


def _module(name: str) -> SystemModule:
    for entry in plugged_in("systems", name):
        return load(entry)
    return importlib.import_module(f"slts.systems.{name}.task")
