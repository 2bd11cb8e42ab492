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

PLACES = (
    re.compile(r"(?<![\w/.~-])(?:~\w*|\.\.|file://)?/[^\s'\",;:\])}]*"),
    re.compile(r"(?<!\w)(?:[A-Za-z]:|\\)\\[^\s'\",;\])}]*"),
)
"""A path that begins at the root, at a home, above the current folder, at a drive or at a computer's share."""
ACCOUNT = re.compile(r"(?<![\w.-])[\w.-]+@[\w.-]+:\S*")
"""What a copy by ssh names."""


def without_secrets(text: str) -> str:
    """Text of an address, a command or a message with ``***`` for what lets others in; {name} stays."""
    return _hidden(text) if is_remote(text) else text


def _hidden(text: str) -> str:
    for pattern, shown in SECRETS:
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
    value = ACCOUNT.sub(HIDDEN, _hidden(value))
    for place in PLACES:
        if place.match(value):  # all of it, as paths may have blanks
            return _last(value)
        value = place.sub(lambda found: _last(found[0]), value)
    return value


def _last(place: str) -> str:
    return re.split(r"[/\\]", place.rstrip("/\\"))[-1]
