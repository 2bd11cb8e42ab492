"""The config of a command: what the user typed, composed by Hydra and held against the schema of slts.schema."""

import difflib
import re
import shlex

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from slts.errors import UserError
from slts.schema import Key, conf_dir, conf_dirs, documented_keys, groups, option_keys, options, schema
from slts.secrecy import without_secrets

CHOICES = ("variant", "experiment")
"""Groups that only set keys which others document."""


class Typed(DictConfig):
    """The config of a command, as ``compose`` makes it of what the user typed. One that was loaded is none."""


def compose(verb: str, overrides: list[str]) -> tuple[DictConfig, dict[str, Key]]:
    """The config of a command and the schema it satisfies.

    Args:
        verb: the name of a file in ``conf/``.
        overrides: Hydra overrides from the command line, ``key=value`` or ``group=option``.

    Raises:
        UserError: unknown key or option, missing required key, value outside its constraint.
    """
    config, choices = compose_some(verb, overrides)
    keys = schema(verb, choices)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise UserError(
            "; ".join(f"{name}=... is required: {keys[name].sentence}" for name in missing)
            + f" (slts {verb} --help lists every key)"
        )
    return Typed(config), keys


def compose_some(verb: str, overrides: list[str]) -> tuple[DictConfig, dict[str, str | None]]:
    """As ``compose``, but a required key may be missing, and then is ``???``: for what does nothing with the config.
    Returns it and the option of each group."""
    for override in overrides:
        if override.lstrip().startswith(("+", "~")):
            raise UserError(f"{override}: keys can be neither added nor removed; slts {verb} --help lists them")
        if "${" in override:  # may be of a study's file, and read whatever the environment holds
            raise UserError(f"{override}: ${{ is a reference in Hydra, and no value may hold one; write what it means")
        _refuse_other_files(override)
    try:
        composed, choices = _composed(verb, overrides)
        config = OmegaConf.masked_copy(composed, [key for key in composed if key != "hydra"])
        OmegaConf.resolve(config)
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_explain(verb, overrides, error)) from None
    keys = schema(verb, choices)
    _refuse_foreign(config, keys, choices)
    missing = OmegaConf.missing_keys(config)
    for name, key in keys.items():
        if name in missing:
            continue
        value = OmegaConf.to_container(OmegaConf.create({"v": OmegaConf.select(config, name)}))["v"]
        try:
            key.check(name, value)
        except UserError as error:
            raise UserError(f"{error}{'' if isinstance(value, str) else _as_text(name, key, overrides)}") from None
    return config, choices


def _composed(verb: str, overrides: list[str]) -> tuple[DictConfig, dict[str, str | None]]:
    """What Hydra makes of a verb's file and overrides, and the option of each group."""
    added = [f"'file://{folder}'" for folder in conf_dirs()[1:]]
    searched = [f"hydra.searchpath=[{','.join(added)}]"] if added else []
    with initialize_config_dir(config_dir=str(conf_dir()), version_base=None):
        composed = hydra_compose(verb, overrides=[*overrides, *searched], return_hydra_config=True)
    return composed, {k: v for k, v in composed.hydra.runtime.choices.items() if not k.startswith("hydra/")}


def _refuse_foreign(config: DictConfig, keys: dict[str, Key], choices: dict[str, str | None]) -> None:
    """Refuses a variant or an experiment that sets keys which the chosen task, model and so on do not have: nobody
    would read them, and the run would bear a name that it does not deserve."""
    for group in CHOICES:
        option = choices.get(group)
        own = option_keys(group, option) if option else {}
        foreign = [name for name in own if name not in keys and name not in CHOICES]
        if foreign:
            whose = foreign[0].partition(".")[0]
            fitting = [other for other in options(group) if option_keys(group, other).keys() <= {*keys, *CHOICES}]
            if group == "experiment":  # those of other tasks set keys that this one has, too, and mean other things
                fitting = [other for other in fitting if _task_of(other) == choices["task"]]
            advice = f"take {group}={'|'.join(fitting)}" if fitting else f"leave {group}= out"
            raise UserError(
                f"{group}={option} sets {foreign[0]}, which {whose}={choices.get(whose)} does not have; {advice}, or"
                f" take another {whose}"
            )


def _task_of(experiment: str) -> str | None:
    return _composed("train", [f"experiment={experiment}"])[1]["task"]


def _as_text(name: str, key: Key, overrides: list[str]) -> str:
    """How to type as text what Hydra read as a number, a list or nothing."""
    typed = [given for where, equals, given in (one.partition("=") for one in overrides) if where == name and given]
    if not typed or not {"text", "folder name", "run"} & set((key.constraint or "").split(" or ")):
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
    parsed, known = OverridesParser.create().parse_override(override), groups()
    name, value = parsed.key_or_group, parsed.value()
    if "/" in name or parsed.package is not None or name.split(".")[0] == "hydra":
        raise UserError(f"{override}: not of the form key=value or group=option; groups are {', '.join(known)}")
    if name in known and str(value) not in known[name]:  # a list of options would be merged
        raise UserError(f"{override}: no such {name}; choose one of {', '.join(known[name])}")


def _explain(verb: str, overrides: list[str], error: Exception) -> str:
    """One line for the override that Hydra refused, with the nearest name that exists."""
    message = " ".join(str(error).split())
    for override in overrides:
        name = override.partition("=")[0]
        if "=" not in override:
            return f"{override!r} is not of the form key=value; slts {verb} --help lists the keys"
        known = _all_keys(verb)
        if name not in known and name not in groups() and name.split(".")[0] in message:
            near = _named_in_words(name, known) or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
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


def _all_keys(verb: str) -> dict[str, Key]:
    """Of a verb's file and of every option of every group."""
    found = [option_keys(group, option) for group, known in groups().items() for option in known]
    return {name: key for keys in [documented_keys(conf_dir() / f"{verb}.yaml"), *found] for name, key in keys.items()}


def _named_in_words(name: str, known: dict[str, Key]) -> list[str]:
    """Keys of the same group whose sentence has the last part of a name as a word: tau is that of task.temperature."""
    group, _, word = name.rpartition(".")
    return [
        key
        for key, facts in known.items()
        if key.rpartition(".")[0] == group and re.search(rf"\b{re.escape(word)}\b", facts.sentence)
    ]
