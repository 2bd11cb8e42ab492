"""Object storage and other places behind an address, by fsspec: s3://BUCKET/FOLDER, gs://, https:// to read, file://.

The package of a protocol (s3fs, gcsfs, ...) is the user's to install, and so is what lets one in: its environment
variables and files, such as AWS_PROFILE or AWS_ENDPOINT_URL. Nothing is ever opened in place: files are copied into the
scratch folder of a process and from there.
"""

import hashlib
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from fsspec import AbstractFileSystem, url_to_fs
from fsspec.registry import known_implementations

from slts.data.clip import Reject
from slts.data.location import Address
from slts.data.scratch import scratch
from slts.errors import FULL, UserError, disk_fault
from slts.secrecy import without_secrets

TRIES, PAUSE = 3, 1.0
"""Times a file is asked for or sent, and seconds before the second; the next pause is four times as long."""
AT_ONCE = 32
"""Small files read at once."""
BLOCK = 1 << 20
"""Bytes read at once of a large file."""
WEB = ("http", "https")
DEEPEST = 8
"""Folders within folders that pages of the web are followed into."""

log = logging.getLogger(__name__)


class Unreachable(UserError):
    """Perhaps reached at another time."""


def is_address(place: str | None) -> bool:
    """Whether ``root=`` or ``out=`` names an address and not a folder."""
    return place is not None and "://" in place


def storage(address: Address) -> "Storage":
    """The place at an address. Raises UserError for a protocol that is unknown or whose package is missing."""
    protocol = address.text.partition("://")[0]
    if protocol not in known_implementations or "::" in address.text:
        raise UserError(
            f"{address.key}={address}: not an address that can be used; give a folder, s3://BUCKET/FOLDER or gs://"
        )
    there = Storage(address)
    try:
        with there.told():
            there.open()
    except ImportError:
        why = known_implementations[protocol].get("err", "its package")
        how = "; pip install 'slts[storage]'" if protocol in ("s3", *WEB) else ""
        raise UserError(f"{address.key}={address}: {protocol}:// needs what is not installed ({why}){how}") from None
    return there


@dataclass(frozen=True)
class Storage:
    """The files below an address. What it raises are UserErrors of one line, without what lets others in."""

    address: Address
    visit: str = field(default_factory=lambda: secrets.token_hex(4))
    """Of one command: what another has copied may be out of date."""

    def __str__(self) -> str:
        return str(self.address)

    @property
    def name(self) -> str:
        """The last part of the address."""
        return self.open()[1].rsplit("/", 1)[-1]

    def open(self) -> tuple[AbstractFileSystem, str]:
        """The file system, which fsspec keeps for each process, and where in it the address is."""
        local = {"auto_mkdir": True} if self.address.text.startswith(("file://", "local://")) else {}
        system, root = url_to_fs(self.address.text, **local)
        return system, root.rstrip("/")

    def _path(self, name: str) -> str:
        _, root = self.open()
        return f"{root}/{quote(name) if self._web else name}"

    @property
    def _web(self) -> bool:
        return self.address.text.startswith(tuple(f"{protocol}://" for protocol in WEB))

    def files(self) -> dict[str, int | None]:
        """The size of every file below, by its path from here; None where a listing does not tell.

        Of an address of the web, what its page links to. Names that would lead elsewhere are left out.
        """
        with self.told():
            system, root = self.open()
            system.invalidate_cache()
            depth = {"maxdepth": DEEPEST} if self._web else {}  # its pages may lead in circles
            found = system.find(root, detail=True, **depth)
        found = {path.removeprefix(f"{root}/"): facts for path, facts in found.items() if path != root}
        if self._web:
            found = {unquote(name): facts for name, facts in found.items() if not re.search("[?#]", name)}
        good = {name: facts.get("size") for name, facts in found.items() if leads_below(name)}
        if strangers := [name for name in found if name not in good and not name.endswith("/")]:
            log.warning(
                "%s=%s: %d names are no paths, the first %r", self.address.key, self, len(strangers), strangers[0]
            )
        return good

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Small files, many at once; those that are not there are left out."""

        def one(name: str) -> bytes | None:
            try:
                return system.cat_file(self._path(name))
            except FileNotFoundError:
                return None

        names = list(names)
        with self.told(), ThreadPoolExecutor(AT_ONCE) as threads:
            system, _ = self.open()
            found = zip(names, threads.map(one, names), strict=True)
            return {name: data for name, data in found if data is not None}

    def blocks(self, name: str) -> Iterator[bytes]:
        """The content of a file."""
        with self.told(name), self.open()[0].open(self._path(name), "rb", block_size=BLOCK) as file:
            while block := file.read(BLOCK):
                yield block

    def write(self, name: str, data: bytes) -> None:
        with self.told(name):
            self.open()[0].pipe_file(self._path(name), data)

    def write_new(self, name: str, data: bytes) -> bool:
        """Write a file if there is none; whether that was so. At once where the storage can do it, as S3 and GCS."""
        with self.told(name):
            try:
                self.open()[0].pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                return False
            return True

    def send(self, file: Path, name: str) -> None:
        self._try(name, lambda: self.open()[0].put_file(str(file), self._path(name)))

    def copied(self, name: str) -> Path:
        """A copy of a file in the scratch folder, which stays until this process asks for another.

        Raises:
            Reject: missing.
            UserError: it cannot be had.
        """
        copies = scratch() / "copy"
        suffix = found[0] if (found := re.search(r"\.[A-Za-z0-9]{1,8}\Z", name)) else ""
        copy = copies / (hashlib.sha256(f"{self.visit}\n{name}".encode()).hexdigest()[:16] + suffix)
        if not copy.exists():
            copies.mkdir(exist_ok=True)
            for other in copies.iterdir():
                other.unlink()
            whole = copies / "unfinished"
            self._try(name, lambda: self._fetch(name, whole))
            whole.rename(copy)
        return copy

    def _fetch(self, name: str, target: Path) -> None:
        system, path = self.open()[0], self._path(name)
        try:
            system.get_file(path, str(target))
        except FileNotFoundError:
            raise Reject("missing", "it is not there, or not any more") from None
        size = system.info(path).get("size")
        if size not in (None, target.stat().st_size):
            raise OSError(f"{target.stat().st_size} bytes came of {size}")

    def _try(self, name: str, transfer: Callable[[], None]) -> None:
        for attempt in range(TRIES):
            try:
                with self.told(name):
                    return transfer()
            except Unreachable:
                if attempt == TRIES - 1:
                    raise
                time.sleep(PAUSE * 4**attempt)

    @contextmanager
    def told(self, name: str = "") -> Iterator[None]:
        """Turns what file systems raise into a UserError."""
        what = f"{self.address.key}={self.address}{name and ': '}{name}"
        try:
            yield
        except (UserError, Reject, ImportError):
            raise
        except FileNotFoundError:
            raise UserError(f"{what}: not there; mend the address, or make the bucket or folder") from None
        except PermissionError as error:
            raise UserError(f"{what}: no rights there ({_said(error)}); see to your credentials") from None
        except OSError as error:
            if error.errno in FULL:
                raise disk_fault(error, [scratch()]) or error from None
            raise Unreachable(f"{what}: cannot be reached ({_said(error)})") from None
        except Exception as error:  # of the protocol's own package
            if "credential" in f"{type(error).__name__} {error}".lower():
                raise UserError(f"{what}: no credentials ({_said(error)}); set those of the storage") from None
            raise Unreachable(f"{what}: cannot be reached ({_said(error)})") from None


def _said(error: Exception) -> str:
    return without_secrets(" ".join(str(error).split()))[:300] or type(error).__name__


def leads_below(name: str) -> bool:
    """Whether a name that others gave is a plain path to a file below."""
    return not {"", ".", ".."} & set(name.split("/")) and not re.search(r"[\x00-\x1f\x7f]", name)


@dataclass(frozen=True)
class Stored:
    """A video of a storage."""

    place: Storage
    name: str


def on_this_machine(video: Path | Stored) -> Path:
    """The file of a video, or its copy as of ``Storage.copied``."""
    return video if isinstance(video, Path) else video.place.copied(video.name)
