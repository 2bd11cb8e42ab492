"""What other packages add: entry points of the groups ``slts.systems``, ``slts.corpora``, ``slts.metrics`` and
``slts.conf``; a system may stand in ``slts.tasks`` too, as ``task=`` chooses it."""

import importlib.util
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from slts.errors import UserError

GROUPS = {
    "systems": ("slts.systems", "slts.tasks"),
    "corpora": ("slts.corpora",),
    "metrics": ("slts.metrics",),
    "conf": ("slts.conf",),
}


def plugged_in(group: str, name: str | None = None) -> tuple[EntryPoint, ...]:
    """The entry points of a group of GROUPS, those of one name where it is given; none of them is imported."""
    chosen = {} if name is None else {"name": name}
    return tuple(entry for known in GROUPS[group] for entry in entry_points(group=known, **chosen))


def load(entry: EntryPoint) -> Any:
    """What an entry point names. Raises UserError for one that cannot be imported, whatever it does there."""
    try:
        return entry.load()
    except (Exception, SystemExit) as error:
        raise UserError(_refused(entry, f"{type(error).__name__}: {error}")) from error


def folders(entry: EntryPoint) -> list[Path]:
    """Where the package lies that an entry point names. Raises UserError for one that is not there."""
    try:
        spec = importlib.util.find_spec(entry.value)
    except (ImportError, ValueError) as error:
        raise UserError(_refused(entry, str(error))) from None
    if spec is None or spec.submodule_search_locations is None:
        raise UserError(_refused(entry, f"{entry.value} is no package"))
    return [Path(place) for place in spec.submodule_search_locations]


def _refused(entry: EntryPoint, reason: str) -> str:
    package = entry.dist.name if entry.dist else "the package"
    return (
        f"the plug-in {entry.name} ({entry.value}, {entry.group}) of {package} cannot be loaded"
        f" ({' '.join(reason.split())[:200]}); mend {package} or uninstall it"
    )
