"""Where shards lie: in a folder, or wherever an address or a command reads them from.

- ``data=DIR``: a folder of slts prepare.
- ``data=https://HOST/FOLDER`` (or another scheme of webdataset's gopen: ftps, sftp, gs, hf, ais): ``/NAME`` is
  appended, or put in the place of ``{name}`` where the address has one.
- ``data=s3://BUCKET/FOLDER`` (or what else slts.data.storage reads and gopen does not; gs once gcsfs is installed).
- ``data="pipe:COMMAND"``: a command with ``{name}`` in it that writes file NAME to its output, for example
  ``pipe:aws s3 cp s3://bucket/grid/{name} -``. It is split into words as a shell would, and run without a shell.

What is not in a folder is copied into a cache on this machine, checked against the SHA-256 in corpus.json and read
there like a local shard. All processes of a machine share the cache.
"""

import errno
import fcntl
import functools
import hashlib
import os
import re
import select
import shlex
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path

from webdataset.gopen import Pipe, gopen, gopen_schemes

from slts.config import Typed
from slts.data.location import Address, typed_data
from slts.data.shard_list import CLIPS, ShardList
from slts.data.shards import read_corpus_json
from slts.data.storage import BLOCK, Unreachable, storage
from slts.errors import UserError
from slts.files import sha256
from slts.folders import cache_folder
from slts.secrecy import without_secrets

TRIES, PAUSE = 3, 1.0
"""Times a file is asked for, and seconds before the second; each further pause is four times as long."""
STALL = 120
"""Seconds without data after which a download counts as broken."""
IN_USE = 60
"""Seconds since its last use during which a shard is not removed from the cache."""
SOUND: set[bytes] = set()
"""The marks of the shards that this process has hashed and found as recorded."""


def shard_source(data: str | Path | Address, disk_gb: float = 20.0, verify: bool = True) -> "Folder | Remote":
    """The shards that ``data`` names; all but an Address is a folder. ``verify`` hashes cached shards at first use.

    Raises:
        UserError: there are no shards, or they cannot be reached.
    """
    return _remote(data, disk_gb, verify) if isinstance(data, Address) else Folder(Path(data))


def corpus_at(data: Path | Address) -> dict:
    """corpus.json alone, whose shards may have faults. Raises UserError as ``shard_source``."""
    return shard_source(data).corpus if isinstance(data, Address) else read_corpus_json(data)


def local_shard(data: Path | Address, shard: dict) -> Path:
    """A shard of corpus.json on this machine. Raises UserError when it cannot be had."""
    return shard_source(data).path(shard) if isinstance(data, Address) else data / shard["file"]


def corpus_of(config: Typed) -> dict:
    """corpus.json of the shards that a training reads. Raises UserError, with the command that makes an experiment's
    corpus, where there are none."""
    try:
        return shard_source(typed_data(config), config.disk_gb, config.verify_shards).corpus
    except UserError as error:
        made = f"; the corpus of this experiment: {config.corpus_command}" if config.corpus_command else ""
        raise UserError(f"{error}{made}") from None


def is_sound(path: Path, digest: str) -> bool:
    """Whether a shard has this SHA-256; one that had it is not read again in this process."""
    known = mark(path, digest) in SOUND or (path.exists() and sha256(path) == digest)
    if known:
        SOUND.add(mark(path, digest))
    return known


def mark(path: Path, digest: str) -> bytes:
    """By which SOUND knows a shard: 16 bytes."""
    return hashlib.blake2b(f"{digest} ".encode() + os.fsencode(path), digest_size=16).digest()


class Folder:
    """Shards in a local folder."""

    def __init__(self, folder: Path):
        self.folder, self.corpus = folder, _checked(read_corpus_json(folder), folder)

    def __str__(self) -> str:
        return str(self.folder)

    def path(self, shard: dict) -> Path:
        return self.folder / shard["file"]


class Remote:
    """Shards behind an address or a command, and their copies in ``$SLTS_CACHE`` (~/.cache/slts).

    The cache holds up to ``disk_gb``, the least recently used shards are removed first, and none used in the last
    minute.
    """

    def __init__(self, address: Address, disk_gb: float, verify: bool):
        data = address.text
        scheme = data.partition(":")[0]
        by_gopen = scheme in gopen_schemes and scheme != "__default__" and not (scheme == "gs" and find_spec("gcsfs"))
        self.storage = None if by_gopen else storage(address)
        if scheme == "pipe" and "{name}" not in data:
            raise UserError(f"data={address}: the command needs {{name}} in the place of the file to read")
        self.address, self.data, self.limit, self.verify = address, data, int(disk_gb * 1e9), verify
        self.shards, facts = cache_folder() / "shards", cache_folder() / hashlib.sha256(data.encode()).hexdigest()[:16]
        try:
            self.shards.mkdir(parents=True, exist_ok=True)
            facts.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{cache_folder()} cannot be written ({error.strerror}); set SLTS_CACHE to another folder"
            ) from None
        with self._lock(facts / "corpus.json"):
            self._fetch("corpus.json", facts / "corpus.json", None)
            self.corpus = _checked(read_corpus_json(facts), address)

    def __str__(self) -> str:
        return str(self.address)

    def path(self, shard: dict) -> Path:
        """The local copy of a shard, fetched if it is not there or damaged. Raises UserError when it cannot be had."""
        name, digest = shard["file"], shard["sha256"]
        path = self.shards / f"{name.removesuffix('.tar')}-{digest[:16]}.tar"
        try:
            os.utime(path)
        except FileNotFoundError:
            with self._lock(path):
                if not path.exists():
                    self._fetch(name, path, digest)
                    self._make_room()
        if self.verify and not is_sound(path, digest):
            with self._lock(path):
                if not is_sound(path, digest):
                    self._fetch(name, path, digest)
        return path

    @contextmanager
    def _lock(self, target: Path) -> Iterator[None]:
        """One process or thread of the machine at a time; the lock dies with its holder."""
        with target.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fetch(self, name: str, target: Path, digest: str | None) -> None:
        temporary = target.with_name(f".{target.name}.tmp")
        problem = ""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * 4 ** (attempt - 1))
            try:
                found = self._copy(name, temporary)
                if digest in (found, None):
                    temporary.rename(target)
                    return
                problem = f"its SHA-256 is {found[:16]}..., not {digest[:16]}... as in corpus.json"
            except (OSError, Unreachable) as error:
                if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                    raise UserError(f"{target.parent}: the disk is full; free space there or set SLTS_CACHE") from None
                problem = without_secrets(str(error))
            finally:
                temporary.unlink(missing_ok=True)
        raise UserError(f"data={self.address}: {name} could not be fetched in {TRIES} tries ({problem})")

    def _copy(self, name: str, target: Path) -> str:
        """Copies a file of the source and returns its SHA-256. Raises OSError when it breaks off or stalls."""
        digest, size = hashlib.sha256(), 0
        with target.open("wb") as file, closing(self._blocks(name)) as blocks:
            for block in blocks:
                size += len(block)
                if size > self.limit:
                    raise OSError(f"larger than disk_gb={self.limit / 1e9:g}")
                digest.update(block)
                file.write(block)
        return digest.hexdigest()

    def _blocks(self, name: str) -> Generator[bytes, None, None]:
        if self.storage:
            yield from self.storage.blocks(name)
            return
        pipe = self._open(name)
        assert pipe.proc.stdout is not None  # it is opened to be read
        try:
            output = pipe.proc.stdout.fileno()
            while True:
                if not select.select([output], [], [], STALL)[0]:
                    raise OSError(f"no data for {STALL} s")
                block = os.read(output, BLOCK)
                if not block:
                    break
                yield block
            if status := pipe.proc.wait(STALL):
                program = pipe.proc.args[0]
                what = ", no such file" if (program, status) == ("curl", 22) else ""
                raise OSError(f"{program} ended with status {status}{what}")
        finally:
            pipe.proc.kill()
            pipe.proc.stdout.close()
            pipe.proc.wait()

    def _open(self, name: str) -> Pipe:
        if self.data.startswith("pipe:"):
            words = shlex.split(self.data.removeprefix("pipe:"))
            return Pipe([word.replace("{name}", name) for word in words], mode="rb", bufsize=0)
        address = self.data if "{name}" in self.data else self.data.rstrip("/") + "/{name}"
        return gopen(address.replace("{name}", name), "rb", bufsize=0)

    def _make_room(self) -> None:
        """Removes the shards used longest ago until the rest fit."""
        found = []
        for path in self.shards.glob("*.tar"):
            try:
                facts = path.stat()
            except FileNotFoundError:  # another process removed it
                continue
            found.append((facts.st_mtime, facts.st_size, path))
        excess = sum(size for _, size, _ in found) - self.limit
        for used, size, path in sorted(found):
            if excess <= 0 or used > time.time() - IN_USE:
                return
            path.unlink(missing_ok=True)
            excess -= size


_remote = functools.cache(Remote)
"""One a process, so that corpus.json is fetched once and cannot change while a run lasts."""


def _checked(corpus: dict, data: object) -> dict:
    """The corpus, with a ShardList as its shards."""
    for shard in corpus["shards"]:
        digest, clips = shard.get("sha256"), shard.get("clips")
        counted = isinstance(clips, int) and not isinstance(clips, bool) and 0 < clips < CLIPS
        if not (isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest) and counted):
            raise UserError(f"data={data}: corpus.json has no SHA-256 or clip count of {shard['file']}")
    return corpus | {"shards": ShardList.of(corpus["shards"])}
