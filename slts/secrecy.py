"""What of an address or a command lets others in, what names places of this machine, and text without either."""

import re
from pathlib import Path

HIDDEN = "***"
SECRETS = (
    (re.compile(r"://[^/?#\s'\"]*(?::(?!\d*/)[^\s'\"]*)?@"), f"://{HIDDEN}@"),  # also of passwords with a bare /
    (re.compile(r"(?<=[?&#])(?!\*|\{name\})(?>([^=&#\s'\"]+=)?)(?!\{name\})[^&#\s'\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)(authorization:\s*)[^'\"]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)([\w-]*(?:token|secret|password|key)(?:=|:\s*))[^\s'\"&]+"), rf"\1{HIDDEN}"),
    (re.compile(r"(?<!\S)(-u|--user|--[\w-]*(?:token|secret|password|key))[ =](?:'[^']*'|\"[^\"]*\"|\S+)"),
     rf"\1 {HIDDEN}"),
)  # fmt: skip
"""What of an address or a command lets others in: users and passwords, queries, headers and options of that name."""

PLACE = re.compile(r"(?<![\w:/.~-])(?:~\w*|\.\.|file://)?/[^\s'\",;:\])}]*")
"""A path that begins at the root, at a home or above the current folder."""


def without_secrets(text: str) -> str:
    """Text of an address, a command or a message with ``***`` for what lets others in; {name} stays."""
    for pattern, shown in SECRETS if is_remote(text) else ():
        text = pattern.sub(shown, text)
    return text


def is_remote(data: str | Path) -> bool:
    """Whether text names an address or a command, or a message holds one."""
    return isinstance(data, str) and ("pipe:" in data or "://" in data)


def for_others(value: object) -> object:
    """A copy of what JSON or YAML holds, to be given away: of paths that name this machine only the last part stays, of
    addresses and commands nothing, of passwords and the like ``***``."""
    if isinstance(value, dict):
        return {for_others(name): for_others(held) for name, held in value.items()}
    if isinstance(value, (list, tuple)):
        return [for_others(held) for held in value]
    if not isinstance(value, str):
        return value
    if is_remote(value) and not value.startswith("file://"):
        return HIDDEN
    if PLACE.match(value):  # all of it, as paths may have blanks
        return Path(value).name
    value = PLACE.sub(lambda found: Path(found[0]).name, value)
    for pattern, shown in SECRETS:
        value = pattern.sub(shown, value)
    return value
