"""Where data lie that a command or a run names: a folder, or what only the user may name, an address or a command.

A command in ``data=`` is run and an address is asked. So both are an ``Address``, which is made of a command's own
config and of nothing else; text out of a run's files can only become a folder.
"""

from dataclasses import dataclass
from pathlib import Path

from slts.config import Typed
from slts.errors import UserError
from slts.secrecy import is_remote, without_secrets


@dataclass(frozen=True, init=False)
class Address:
    """An address (``scheme://...``) or a command (``pipe:...``) that the user typed, as ``data=`` or another key."""

    text: str
    key: str

    def __init__(self, config: Typed, key: str = "data"):
        if not isinstance(config, Typed):
            raise TypeError("only the config that a command was composed of may name an address or a command")
        object.__setattr__(self, "text", config[key])
        object.__setattr__(self, "key", key)

    def __str__(self) -> str:
        return without_secrets(self.text)


def typed_data(config: Typed) -> Path | Address:
    """Where ``data=`` of a command points to."""
    return Address(config) if is_remote(config.data) else Path(config.data)


def refuse_addresses(config, *keys: str) -> None:
    """Refuses addresses where a command knows folders only. Raises UserError."""
    for key in keys:
        if is_remote(config[key]):
            given = without_secrets(config[key])
            raise UserError(f"{key}={given}: no address is taken here; copy it, and give the folder")


def recorded_data(data: str | Path, where: str) -> Path:
    """The folder that a file of a run names. Raises UserError, which begins with ``where``, for anything else."""
    if is_remote(data):
        raise UserError(
            f"{where}: its data is an address or a command, and these are taken from no file; give data=FOLDER, a copy"
            " of the same shards"
        )
    return Path(data)
