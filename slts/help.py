"""What the flags of a verb print in place of its work: ``--help [all]``, ``--cfg job``, ``--info``."""

import os
import platform
import shlex
import textwrap
from importlib.metadata import version

import yaml
from omegaconf import OmegaConf

from slts import __version__
from slts.config import compose_some, quoted
from slts.errors import UserError
from slts.plugins import GROUPS, plugged_in
from slts.schema import conf_dirs, options, schema

COMMON = {
    "prepare": (
        "action", "out", "data", "root", "faces", "region", "size", "fps", "inject", "chunk_seconds", "seed", "workers",
        "dry_run", "clips", "view", "profile", "speakers",
    ),
    "train": (
        "data", "name", "runs", "seed", "warm_start", "steps", "batch_size", "chunk_seconds", "validate_every",
        "workers", "precision", "dry_run", "profile", "optim.learning_rate", "task.base", "task.expert", "task.sync",
        "tracking.mode",
    ),
    "offsets": (
        "action", "run", "weights", "offsets", "data", "out", "calibrate", "above_confidence", "window", "standard",
        "json", "report", "faces",
    ),
    "evaluate": (
        "run", "split", "data", "checkpoint", "modalities", "protocol", "calibrate", "natural", "sync", "workers",
        "show", "whisper", "mos", "recogniser", "syncnet",
    ),
    "listen": ("runs", "out", "clips", "aspects", "raters", "consent", "serve", "host", "port"),
    "score": ("reference", "generated", "out", "workers", "mos", "whisper", "recogniser", "text", "ratings", "offsets",
              "reference_offsets"),
}  # fmt: skip
"""The keys that ``--help`` shows of verbs whose keys fill more than a screen; ``--help all`` shows the rest."""
WIDTH = 120
FLAGS = ("--help", "-h", "--cfg", "-c", "--info", "--multirun", "-m")


def asked(verb: str, purpose: str, arguments: list[str]) -> str | None:
    """What to print where a flag asks for something else than the verb's work; None where none does.

    Raises:
        UserError: a flag that slts has not, with what does it.
    """
    flags = [word.partition("=")[0] for word in arguments if word.partition("=")[0] in FLAGS]
    overrides = [word for word in arguments if word.partition("=")[0] not in FLAGS]
    words = [word for word in overrides if word in ("all", "job", "hydra")]
    words += [word.partition("=")[2] for word in arguments if word.startswith(("--cfg=", "-c="))]
    keys = [word for word in overrides if word not in words]
    if not flags:
        return None
    if flags[0] in ("--help", "-h"):
        return help_text(verb, purpose, keys, everything="all" in words)
    if flags[0] in ("--cfg", "-c"):
        if words not in (["job"], []):
            raise UserError(f"--cfg {words[0]}: slts prints the config of the verb alone; give --cfg job")
        return OmegaConf.to_yaml(compose_some(verb, keys)[0]).rstrip()
    if flags[0] == "--info":
        return _info(verb, keys)
    raise UserError(f"{flags[0]}: one command is one run; {_sweep(verb, keys)}")


def help_text(verb: str, purpose: str, overrides: list[str], everything: bool) -> str:
    """Every key, its default and a sentence; every group and its options. Without ``everything`` the common keys."""
    composed, choices = compose_some(verb, overrides)
    common = None if everything else COMMON.get(verb)
    purpose = purpose.strip()
    lines = [f"slts {verb} key=value ...", "", purpose.partition("\n\n")[0] if common else purpose, ""]
    if choices:
        lines.append("Groups (group=option; options in brackets, * is chosen):")
        for group, chosen in reversed(choices.items()):
            shown_options = " ".join("*" + option if option == chosen else option for option in options(group))
            lines += _wrapped(f"  {group:<12} [{shown_options}]", 16)
        lines.append("")
    lines.append("Keys (default, meaning, allowed values):")
    keys = schema(verb, choices)
    shown = {name: key for name, key in keys.items() if common is None or name in common}
    for name, key in shown.items():
        value = OmegaConf.to_container(composed)
        for part in name.split("."):
            value = value[part]
        default = "required" if value == "???" else yaml.safe_dump(value, default_flow_style=True).partition("\n")[0]
        rule = f" [{key.constraint}]" if key.constraint else ""
        lines += _wrapped(f"  {name + '=' + default:<34} {key.sentence}{rule}", 37)
    if len(shown) < len(keys):
        lines += ["", f"slts {verb} --help all shows {len(keys) - len(shown)} more keys and all of this text."]
    return "\n".join(lines)


def _wrapped(line: str, indent: int) -> list[str]:
    # Blanks within a line stay: they make the columns.
    return textwrap.wrap(line, WIDTH, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


def _info(verb: str, overrides: list[str]) -> str:
    """Short facts for a report of what goes wrong."""
    import torch

    cuda = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if cuda else f"cpu, {torch.get_num_threads()} of {os.cpu_count()} threads"
    plugged = [f"{group}: {entry.name}" for group in GROUPS for entry in plugged_in(group)]
    choices = compose_some(verb, overrides)[1]
    facts = {
        "slts": f"{__version__}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "libraries": ", ".join(f"{name} {version(name)}" for name in ("torch", "accelerate", "hydra-core", "numpy")),
        "device": device,
        "configuration": ", ".join(f"{folder}" for folder in conf_dirs()),
        "groups": " ".join(f"{group}={option}" for group, option in reversed(choices.items()) if option) or "none",
        "plug-ins": ", ".join(plugged) or "none",
        "cache": os.environ.get("SLTS_CACHE", "~/.cache/slts"),
    }
    return "\n".join(f"{name:<14} {value}" for name, value in facts.items())


def _sweep(verb: str, overrides: list[str]) -> str:
    """How what was asked of ``--multirun`` is done."""
    if verb != "train":
        return "write a loop in the shell, or slts sweep study=FILE, whose evaluate: scores every run"
    typed = (one.partition("=") for one in overrides)
    space = {name: values for name, _, values in typed if "," in values and values[0] not in "[{'\""}
    data = next((one for one in overrides if one.startswith("data=")), "data=DIR")
    fixed = [one for one in overrides if one.partition("=")[0] not in (*space, "data", "name")]
    given = f" overrides={shlex.quote('[' + ','.join(map(quoted, fixed)) + ']')}" if fixed else ""
    study = "; ".join(f"{name}: {{choices: [{values}]}}" for name, values in space.items())
    holds = f", where FILE.yaml has space: {study}" if study else ""
    return f"slts sweep study=FILE.yaml {data}{given} tries settings{holds} (sweeps/ has examples)"
