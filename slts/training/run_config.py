"""A run's config.yaml read back: every key of it is held against the schema of slts train, as if it had been typed.

The file may be somebody else's. References, which would read the environment, are not in what slts train writes.
"""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from slts.errors import UserError
from slts.plain_yaml import read_yaml
from slts.schema import option_keys, options, schema

LARGEST = 100_000
"""Bytes of a config.yaml; ours have some 3000."""
NAMED = ("task", "model", "vocoder")
"""Groups of which a config says by its ``name`` which option it has."""
MISSING = object()


def read_run_config(file: Path) -> DictConfig:
    """The config of a run as slts train recorded it; keys that its version did not know are not there.

    Raises:
        FileNotFoundError: no such file.
        UserError: one line that names the file, and the key that is not as slts train would take it.
    """
    try:
        return OmegaConf.create(_checked(read_yaml(file, LARGEST)))
    except (UserError, OSError, ValueError) as error:
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise
        reason = " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())[:200]
        raise UserError(
            f"{file} is no config.yaml of slts train ({reason}); restore it, or train under another name="
        ) from None


def _checked(tree: object) -> dict:
    """Raises ValueError or UserError for what slts train never writes."""
    if not isinstance(tree, dict):
        raise ValueError("no groups and keys in it")
    for name, value in _leaves(tree):
        if isinstance(value, str) and "${" in value:
            raise ValueError(f"{name} holds a reference, {value}")
    named = (*NAMED, "tracking") if "tracking" in tree else NAMED
    choices = {group: _option(tree, group) for group in named} | {"optim": "adam"}  # which has the keys of every optim
    if not isinstance(tree.get("variant", ""), str):
        raise ValueError(f"variant is {tree['variant']!r}, no text")
    for name, key in schema("train", choices).items():
        if (value := _at(tree, name)) is not MISSING:
            key.check(name, value)
    return tree


def _at(tree: object, dotted: str) -> object:
    """MISSING where the version that wrote the file had no such key. Raises ValueError for a group that is none."""
    for name in dotted.split("."):
        if not isinstance(tree, dict):
            raise ValueError(f"{dotted} is not in it, and in its place {str(tree)[:40]!r}")
        if name not in tree:
            return MISSING
        tree = tree[name]
    return tree


def _option(tree: dict, group: str) -> str:
    """The file of a group whose ``name`` the config has. Files of one name document the same keys."""
    given = tree.get(group)
    name = given.get("name") if isinstance(given, dict) else None
    if not isinstance(name, str):
        raise ValueError(f"no {group}.name in it")
    names = {option: option_keys(group, option)[f"{group}.name"].default for option in options(group)}
    for option, known in names.items():
        if known == name:
            return option
    raise ValueError(f"{group}.name is {name[:40]!r}, and slts knows {', '.join(sorted(set(names.values())))}")


def _leaves(tree: object, prefix: str = ""):
    """(dotted name, value) of everything in groups and lists."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, f"{prefix}{name}.")
    elif isinstance(tree, list):
        for value in tree:
            yield from _leaves(value, prefix)
    else:
        yield prefix.rstrip("."), tree
