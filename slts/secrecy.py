"""What of an address or a command lets others in, and text without it."""

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


def without_secrets(text: str) -> str:
    """Text of an address, a command or a message with ``***`` for what lets others in; {name} stays."""
    for pattern, shown in SECRETS if is_remote(text) else ():
        text = pattern.sub(shown, text)
    return text


def is_remote(data: str | Path) -> bool:
    """Whether text names an address or a command, or a message holds one."""
    return isinstance(data, str) and ("pipe:" in data or "://" in data)
