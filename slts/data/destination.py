"""Where the shards of a corpus go: a folder, or an address of slts.data.storage.

A folder has a lock. Object storage has none, and needs none to be right: a shard and its sidecar are there whole or not
at all, with the same bytes whoever makes them, and a shard counts once both are there and agree. So two commands at
once cost their time, never the result; ``part=`` shares the shards out. Whose recipe it is, is settled by who first
writes the marker, and corpus.json comes last.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from slts.data.assembly import facts_of, sidecar
from slts.data.claim import MARKER, claimed, refuse_other, remove_unfinished
from slts.data.location import Address
from slts.data.scratch import scratch
from slts.data.storage import Storage, is_address, storage
from slts.errors import UserError, disk_fault
from slts.files import write_whole


def destination(config) -> "Folder | Bucket":
    """What ``out=`` of a command names. Raises UserError for an address that shards cannot go to."""
    if not is_address(config.out):
        return Folder(Path(config.out))
    address = Address(config, "out")
    if address.text.startswith(("http://", "https://")):
        raise UserError(f"out={address}: the web is only read from; give s3://BUCKET/FOLDER, gs:// ...")
    return Bucket(storage(address))


def refuse_source(out: "Folder | Bucket", data: Path) -> None:
    """Raises UserError where a corpus would be written over itself."""
    if isinstance(out, Folder) and out.path.resolve() == data.resolve():
        raise UserError(f"out={out} is the source, which is never overwritten; choose another folder")


class Folder:
    """A folder of this machine, or one that several share."""

    def __init__(self, path: Path):
        self.path = path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def shared(self) -> tuple[Path, ...]:
        """By which a node tells that it sees the place as this machine does, once it is claimed."""
        return (self.path / MARKER,)

    def claimed(self, settings: dict, with_others: bool = False):
        """See slts.data.claim."""
        return claimed(self.path, settings, with_others)

    def finished(self, files: Sequence[str]) -> dict[str, dict]:
        """The facts of those shards that are there whole, by their names."""
        return {file: facts for file in files if (facts := facts_of(self.path / file))}

    @contextmanager
    def shard(self, file: str) -> Iterator[Path]:
        """Where to make a shard and its sidecar."""
        yield self.path / file

    def remove_unfinished(self) -> None:
        remove_unfinished(self.path)

    def write(self, file: str, data: bytes) -> None:
        write_whole(self.path / file, data)

    def local(self, file: str) -> Path:
        """A shard on this machine."""
        return self.path / file


class Bucket:
    """An address, which shards are sent to one by one as they are made; none stays on this machine."""

    shared: tuple[Path, ...] = ()

    def __init__(self, there: Storage):
        self.there = there

    def __str__(self) -> str:
        return str(self.there)

    @contextmanager
    def claimed(self, settings: dict, with_others: bool = False) -> Iterator[None]:
        """As of a folder, but without a lock: all others are let in that have the same recipe."""
        names = self.there.files()
        if MARKER not in names:
            if names:
                raise UserError(f"out={self}: not empty and not of slts prepare; choose another")
            self.there.write_new(MARKER, json.dumps(settings, indent=1).encode())
        try:
            recipe = json.loads(self.there.read([MARKER])[MARKER])
        except (KeyError, ValueError):
            raise UserError(f"out={self}: {MARKER} there cannot be read; choose another or delete it") from None
        refuse_other(self, recipe, settings)
        yield

    def finished(self, files: Sequence[str]) -> dict[str, dict]:
        there = self.there.files()
        sidecars = {sidecar(Path(file)).name: file for file in files}
        found = {}
        for name, data in self.there.read(name for name in sidecars if name in there).items():
            try:
                facts = json.loads(data)
            except ValueError:  # broken off; the shard is made again
                continue
            if isinstance(facts, dict) and facts.get("bytes") == (there.get(sidecars[name]) or 0):
                found[sidecars[name]] = facts
        return found

    @contextmanager
    def shard(self, file: str) -> Iterator[Path]:
        with TemporaryDirectory(dir=scratch()) as folder:
            shard = Path(folder, file)
            try:
                yield shard
            except OSError as error:
                raise disk_fault(error, [scratch()]) or error from None
            if shard.exists():  # none of its clips may have been usable
                self.there.send(shard, file)
            self.there.send(sidecar(shard), sidecar(shard).name)

    def remove_unfinished(self) -> None:
        """Nothing is there that is not whole."""

    def write(self, file: str, data: bytes) -> None:
        self.there.write(file, data)

    def local(self, file: str) -> Path:
        return self.there.copied(file)
