"""What stands in the commented YAML files under ``conf/``: every key with its default, meaning and allowed values.

Each key stands on a line ``key: value  # what it means; [constraint]``. The value is the default and gives the type,
the comment is what ``--help`` prints, the constraint is what is enforced. A constraint is one or more alternatives
joined by ``or``: ``null``, ``text``, ``folder name``, ``a|b|c``, ``>0``, ``<=1``, ``0..1``, ``whole >=0``, ``4 x 1..8``
for a list of four, ``list of RULE`` for one of any length, and ``run`` for the folder of a run, the ``hf:`` address of
one, or where it says so a file of weights. Hydra's structured configs would check types as well, but neither ranges nor
lists of choices, and would part a default from its sentence; so the comments carry both.

Another package adds options to the groups by the entry point ``slts.conf``, which names a package of its own: its
folder ``conf`` holds them as GROUP/OPTION.yaml.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import ListConfig

from slts.errors import UserError
from slts.plugins import folders, plugged_in

PACKAGE = Path(__file__).resolve().parent
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*?)\s*(?:#\s*(?P<comment>.*))?$")
RULE = re.compile(r";?\s*\[(?P<rule>[^\]]+)\]$")
RANGE = re.compile(r"^(?P<low>-?[\d.e-]+)\.\.(?P<high>-?[\d.e-]+)$")
BOUND = re.compile(r"^(?P<sign>[<>]=?)(?P<bound>-?[\d.e-]+)$")
BOUNDS: dict[str, Callable] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
LIST = re.compile(r"^(?P<length>\d+) x (?P<rule>.+)$")


def conf_dir() -> Path:
    """``conf/`` inside an installed wheel, else beside the package in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


@cache
def conf_dirs() -> tuple[Path, ...]:
    """``conf/`` of slts, then of the packages that add to it."""
    found = [conf_dir()]
    for entry in plugged_in("conf"):
        found += [folder / "conf" for folder in folders(entry)]
    return tuple(found)


def options(group: str) -> list[str]:
    """The options of a group."""
    return sorted(file.stem for folder in conf_dirs() for file in (folder / group).glob("*.yaml"))


def groups() -> dict[str, list[str]]:
    """The options of each group."""
    return {path.name: options(path.name) for path in sorted(conf_dir().iterdir()) if path.is_dir()}


def option_file(group: str, option: str) -> Path:
    """The file of an option of a group."""
    files = [folder / group / f"{option}.yaml" for folder in conf_dirs()]
    return next((file for file in files if file.is_file()), files[0])


def option_keys(group: str, option: str) -> dict[str, "Key"]:
    """The keys that an option documents or sets, by the name they have in a config."""
    file = option_file(group, option)
    everywhere = "@package _global_" in file.read_text().partition("\n")[0]
    return {name if everywhere else f"{group}.{name}": key for name, key in documented_keys(file).items()}


@dataclass(frozen=True)
class Key:
    """One documented key of a config file."""

    default: object
    sentence: str
    constraint: str | None

    @property
    def names_runs(self) -> bool:
        """Whether ``hf:`` addresses are taken."""
        return bool({"run", "list of run"} & set(re.split(r"\s+or\s+", self.constraint or "")))

    def check(self, name: str, value: object) -> None:
        """Raises UserError naming the key, the value and what is allowed."""
        problem = None
        whole = isinstance(self.default, int) and not isinstance(self.default, bool)
        if whole and isinstance(value, float):
            problem = "must be a whole number"
        elif self.constraint and not any(_allowed(value, part) for part in re.split(r"\s+or\s+", self.constraint)):
            problem = f"must be {self.constraint.replace('|', ' | ').replace('folder name', 'a folder name')}"
        elif not self.constraint and not _same_type(value, self.default):
            problem = f"must be like its default, {self.default!r}"
        if problem:
            raise UserError(f"{name}={value}: {problem} ({self.sentence})")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _allowed(value: Any, rule: str) -> bool:
    if rule == "null":
        return value is None
    if rule in ("text", "run"):
        return isinstance(value, str) and bool(value)
    if rule == "folder name":
        return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0\n")
    if rule.startswith("whole "):
        return isinstance(value, int) and _allowed(value, rule.removeprefix("whole "))
    if bound := BOUND.match(rule):
        return _is_number(value) and BOUNDS[bound["sign"]](value, float(bound["bound"]))
    if rule.startswith("list of "):
        proper = isinstance(value, (list, ListConfig))
        return proper and all(_allowed(one, rule.removeprefix("list of ")) for one in value)
    if several := LIST.match(rule):
        proper = isinstance(value, (list, ListConfig)) and len(value) == int(several["length"])
        return proper and all(_allowed(one, several["rule"]) for one in value)
    if span := RANGE.match(rule):
        return _is_number(value) and float(span["low"]) <= value <= float(span["high"])
    return str(value) in rule.split("|")


def _same_type(value: object, default: object) -> bool:
    if default is None or (isinstance(default, str) and default.startswith(("???", "${"))):
        return True
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return _is_number(value)
    if isinstance(default, list):
        return isinstance(value, (list, ListConfig))
    return isinstance(value, type(default))


def documented_keys(file: Path) -> dict[str, Key]:
    """The keys of one YAML file by dotted path, in their order; files it inherits from come first."""
    text = file.read_text()
    tree = yaml.safe_load(text) or {}
    keys: dict[str, Key] = {}
    for parent in tree.pop("defaults", []):
        if isinstance(parent, str) and parent != "_self_":
            keys.update(documented_keys(option_file(file.parent.name, parent)))
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = LINE.match(line)
        if not match or match["key"] == "defaults":
            continue
        indent = len(match["indent"])
        path = [(depth, name) for depth, name in path if depth < indent] + [(indent, match["key"])]
        dotted = ".".join(name for _, name in path)
        default = _at(tree, dotted)
        if isinstance(default, dict) and default:
            continue
        comment = match["comment"] or ""
        rule = RULE.search(comment)
        sentence = comment[: rule.start()] if rule else comment
        known = keys.get(dotted)
        keys[dotted] = Key(
            default,
            sentence.strip(" ;") or (known.sentence if known else ""),
            rule["rule"] if rule else known.constraint if known else None,
        )
    return keys


def _at(tree: dict, dotted: str) -> object:
    for name in dotted.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree


def schema(verb: str, choices: dict[str, str | None]) -> dict[str, Key]:
    """Every documented key of a verb under the chosen group options (``{"model": "small", ...}``)."""
    keys: dict[str, Key] = {}
    for group, option in reversed(choices.items()):
        if option is not None:  # a variant or an experiment only overrides what others document
            keys |= {name: key for name, key in option_keys(group, option).items() if key.sentence}
    return {**documented_keys(conf_dir() / f"{verb}.yaml"), **keys}
