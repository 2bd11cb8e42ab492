"""One schema for every command: the commented YAML files under ``conf/``.

Each key stands on a line ``key: value  # what it means; [constraint]``. The value is the default and gives the type,
the comment is what ``--help`` prints, the constraint is what this module enforces. A constraint is one or more
alternatives joined by ``or``: ``null``, ``text``, ``folder name``, ``a|b|c``, ``>0``, ``>=1``, ``0..1``, ``whole >=0``,
and ``4 x 1..8`` for a list of four.
"""

import difflib
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from slts.errors import UserError
from slts.secrecy import without_secrets


class Typed(DictConfig):
    """The config of a command, as ``compose`` makes it of what the user typed. One that was loaded is none."""


PACKAGE = Path(__file__).resolve().parent
LINE = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<value>[^#]*?)\s*(?:#\s*(?P<comment>.*))?$")
RULE = re.compile(r";?\s*\[(?P<rule>[^\]]+)\]$")
RANGE = re.compile(r"^(?P<low>-?[\d.e-]+)\.\.(?P<high>-?[\d.e-]+)$")
LIST = re.compile(r"^(?P<length>\d+) x (?P<rule>.+)$")


def conf_dir() -> Path:
    """``conf/`` inside an installed wheel, else beside the package in a checkout."""
    inside = PACKAGE / "conf"
    return inside if inside.is_dir() else PACKAGE.parent / "conf"


@dataclass(frozen=True)
class Key:
    """One documented key of a config file."""

    default: object
    sentence: str
    constraint: str | None

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


def _allowed(value: object, rule: str) -> bool:
    if rule == "null":
        return value is None
    if rule == "text":
        return isinstance(value, str) and bool(value)
    if rule == "folder name":
        return isinstance(value, str) and value not in ("", ".", "..") and not set(value) & set("/\\\0\n")
    if rule.startswith("whole "):
        return isinstance(value, int) and _allowed(value, rule.removeprefix("whole "))
    if rule.startswith((">", "<")):
        bound = float(rule.lstrip("<>="))
        if not _is_number(value):
            return False
        return {">": value > bound, ">=": value >= bound}[rule.rstrip("0123456789.e-")]
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
            keys.update(documented_keys(file.parent / f"{parent.removeprefix('/')}.yaml"))
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
        if option is None:
            continue
        file = conf_dir() / group / f"{option}.yaml"
        everywhere = "@package _global_" in file.read_text().partition("\n")[0]
        for name, key in documented_keys(file).items():
            if key.sentence:  # a variant or an experiment only overrides what others document
                keys[name if everywhere else f"{group}.{name}"] = key
    return {**documented_keys(conf_dir() / f"{verb}.yaml"), **keys}


def compose(verb: str, overrides: list[str]) -> tuple[DictConfig, dict[str, Key]]:
    """The config of a command and the schema it satisfies.

    Args:
        verb: the name of a file in ``conf/``.
        overrides: Hydra overrides from the command line, ``key=value`` or ``group=option``.

    Raises:
        UserError: unknown key or option, missing required key, value outside its constraint.
    """
    for override in overrides:
        if override.lstrip().startswith(("+", "~")):
            raise UserError(f"{override}: keys can be neither added nor removed; slts {verb} --help lists them")
        if "${" in override:  # may be of a study's file, and read whatever the environment holds
            raise UserError(f"{override}: ${{ is a reference in Hydra, and no value may hold one; write what it means")
        _refuse_other_files(override)
    try:
        with initialize_config_dir(config_dir=str(conf_dir()), version_base=None):
            composed = hydra_compose(verb, overrides=overrides, return_hydra_config=True)
        choices = {k: v for k, v in composed.hydra.runtime.choices.items() if not k.startswith("hydra/")}
        config = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_explain(verb, overrides, error)) from None
    keys = schema(verb, choices)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(
            "; ".join(f"{name}=... is required: {keys[name].sentence}" for name in missing)
            + f" (slts {verb} --help lists every key)"
        )
    for name, key in keys.items():
        value = OmegaConf.to_container(OmegaConf.create({"v": OmegaConf.select(config, name)}))["v"]
        try:
            key.check(name, value)
        except UserError as error:
            raise UserError(f"{error}{'' if isinstance(value, str) else _as_text(name, key, overrides)}") from None
    return Typed(config), keys


def _as_text(name: str, key: Key, overrides: list[str]) -> str:
    """How to type as text what Hydra read as a number, a list or nothing."""
    typed = [given for where, equals, given in (one.partition("=") for one in overrides) if where == name and given]
    if not typed or not {"text", "folder name"} & set((key.constraint or "").split(" or ")):
        return ""
    return f"; for a text of these characters type {shown(name, typed[-1])}"


def quoted(text: str) -> str:
    """Text as a value of Hydra's grammar."""
    # Within quotes Hydra takes a backslash for an escape only where a quote follows.
    return '"' + re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + '\\"' * bool(found[2]), text) + '"'


def shown(name: str, text: str) -> str:
    """``name=text`` as it is typed in a shell, so that Hydra takes the text for one; secrets are not repeated."""
    return f"{name}={shlex.quote(quoted(text if without_secrets(text) == text else 'VALUE'))}"


def _refuse_other_files(override: str) -> None:
    """Hydra reads a group's option as a path, which may lead out of ``conf/``, and hydra.searchpath adds to it."""
    if not _readable(override):
        return  # by Hydra neither
    parsed, groups = OverridesParser.create().parse_override(override), _groups()
    name, value = parsed.key_or_group, parsed.value()
    if "/" in name or parsed.package is not None or name.split(".")[0] == "hydra":
        raise UserError(f"{override}: not of the form key=value or group=option; groups are {', '.join(groups)}")
    if name in groups and str(value) not in groups[name]:  # a list of options would be merged
        raise UserError(f"{override}: no such {name}; choose one of {', '.join(groups[name])}")


def _groups() -> dict[str, list[str]]:
    """The options of each group."""
    return {path.name: sorted(f.stem for f in path.glob("*.yaml")) for path in conf_dir().iterdir() if path.is_dir()}


def _explain(verb: str, overrides: list[str], error: Exception) -> str:
    """One line for the override that Hydra refused, with the nearest name that exists."""
    message = " ".join(str(error).split())
    for override in overrides:
        name = override.partition("=")[0]
        if "=" not in override:
            return f"{override!r} is not of the form key=value; slts {verb} --help lists the keys"
        known = _all_names(verb)
        if name not in known and name.split(".")[0] in message:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}?" if near else f"slts {verb} --help lists the keys"
            return f"{override}: slts {verb} has no key '{name}' here; {hint}"
        if not _readable(override):
            text = override.partition("=")[2]
            listed = ""
            if text.startswith("[") and text.endswith("]"):
                items = ",".join(quoted(item.strip()) for item in without_secrets(text[1:-1]).split(","))
                listed = f", or for a list {name}={shlex.quote(f'[{items}]')}"
            return f"{name}: Hydra does not read this value as one text; type {shown(name, text)}{listed}"
    return f"{message}; slts {verb} --help lists the keys"


def _readable(override: str) -> bool:
    """Whether Hydra reads ``key=value`` as one value."""
    try:
        return not OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:
        return False


def _all_names(verb: str) -> list[str]:
    names = list(documented_keys(conf_dir() / f"{verb}.yaml"))
    for file in sorted(conf_dir().glob("*/*.yaml")):
        everywhere = "@package _global_" in file.read_text().partition("\n")[0]
        names += [name if everywhere else f"{file.parent.name}.{name}" for name in documented_keys(file)]
    return names


def help_text(verb: str, purpose: str, overrides: list[str]) -> str:
    """What ``slts VERB --help`` prints: every key, its default and a sentence; every group and its options."""
    required = [f"{n}=x" for n, k in documented_keys(conf_dir() / f"{verb}.yaml").items() if k.default == "???"]
    given = {o.partition("=")[0] for o in overrides}
    for override in overrides:
        _refuse_other_files(override)
    fill = [r for r in required if r.partition("=")[0] not in given]
    with initialize_config_dir(config_dir=str(conf_dir()), version_base=None):
        composed = hydra_compose(verb, overrides=overrides + fill, return_hydra_config=True)
    choices = {k: v for k, v in composed.hydra.runtime.choices.items() if not k.startswith("hydra/")}
    lines = [f"slts {verb} key=value ...", "", purpose.strip(), ""]
    if choices:
        lines.append("Groups (group=option; options in brackets, * is chosen):")
        for group, chosen in reversed(choices.items()):
            options = sorted(f.stem for f in (conf_dir() / group).glob("*.yaml"))
            lines.append(f"  {group:<12} [{' '.join('*' + o if o == chosen else o for o in options)}]")
        lines.append("")
    lines.append("Keys (default, meaning, allowed values):")
    for name, key in schema(verb, choices).items():
        default = "required"
        if name not in {r.partition("=")[0] for r in fill}:
            value = OmegaConf.to_container(OmegaConf.create({"v": OmegaConf.select(composed, name)}))["v"]
            default = yaml.safe_dump(value, default_flow_style=True).partition("\n")[0]
        rule = f" [{key.constraint}]" if key.constraint else ""
        lines.append(f"  {name + '=' + default:<34} {key.sentence}{rule}")
    return "\n".join(lines)
