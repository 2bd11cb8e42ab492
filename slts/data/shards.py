"""Shards: WebDataset tar files of KEY.mp4, KEY.flac and KEY.json, and the folder's corpus.json.

One rule for what is not ours: a shard is ours whole or it is refused whole, with one message that names the first fault
and counts them. Ours are plain files named KEY.mp4, KEY.flac and KEY.json, each key with all three, each once and next
to the others, none larger than LARGEST, up to the two empty blocks that end a tar. So a member that would land
elsewhere, a link, a device, a pickle, a giant, a sample without sound and a truncated tar are refused. Members are
found by offset and decoded in memory: nothing is unpacked, executed or followed.

A sample may hold further sounds, KEY.NAME.flac (``KEY.synth.flac``, say), of the same instants as its picture: a system
names those that it takes, and the others are left alone.

KEY.mp4 is the H.264 face crop at its native rate, KEY.flac the 16 kHz mono sound from the same instant on, KEY.json the
facts of the sample (slts.data.preparation writes them).
"""

import errno
import io
import json
import os
import re
import secrets
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from webdataset import TarWriter

from slts.data.facts import CORPUS_BYTES, corpus_facts
from slts.errors import UserError
from slts.folders import read_plain

MEMBERS = ("mp4", "flac", "json")
LARGEST = 256 << 20
"""Bytes that a member may have; a minute of 1024-pixel crops has less."""
BLOCK = tarfile.BLOCKSIZE
HEADER = 1 << 20
"""Bytes that a header may have; tarfile would read what an extended header claims into memory."""
HEADERS = 8 * BLOCK
"""Bytes that the headers of one member of ours stay below: a plain one, and before it perhaps one of a long name."""
NAME = re.compile(rf"(?P<key>[A-Za-z0-9_-]+)\.(?P<suffix>{'|'.join(MEMBERS)}|[a-z0-9_]+\.flac)")


def write_shard(path: Path, samples: Iterable[dict]) -> Path:
    """Write samples {key, mp4, flac and perhaps NAME.flac: bytes, json: dict} under a temporary name beside ``path``
    and return that name.

    Equal samples give equal bytes. Processes on several machines that make the same shard do not meet. The caller
    renames the file once it has recorded its facts.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            with TarWriter(file, encoder=False, mtime=0, user="slts", group="slts") as tar:
                for sample in samples:
                    facts = json.dumps(sample["json"], ensure_ascii=False).encode()
                    further = {name: sound for name, sound in sample.items() if name.endswith(".flac")}
                    sample = {"mp4": sample["mp4"], "flac": sample["flac"], "json": facts, "__key__": sample["key"]}
                    tar.write(sample | further)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def stored_bytes(sample: dict) -> int:
    """What a sample of ``write_shard`` takes in a shard."""
    members = [sample["mp4"], sample["flac"], json.dumps(sample["json"], ensure_ascii=False).encode()]
    return sum(BLOCK + -(-len(member) // BLOCK) * BLOCK for member in members)


class _Headers(io.FileIO):
    """A tar file of which only headers are read."""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return super().read(size)


def index_shard(path: Path) -> list[dict]:
    """Where the samples of a shard lie, in file order: [{key, members: {mp4 | flac | json | NAME.flac: place}, start}],
    where a place is (offset, size) in bytes, and ``start`` the offset that ``read_sample`` begins at.

    Only headers are read. Raises UserError for what is not ours by the rule at the head of this module.
    """
    samples: dict[str, dict[str, tuple[int, int]]] = {}
    starts: dict[str, int] = {}
    faults: list[str] = []
    end, last = 0, ""
    try:
        with _Headers(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                name = NAME.fullmatch(member.name)
                if not 0 <= member.size <= LARGEST:
                    faults.append(f"'{member.name}' claims {member.size} bytes, at most {LARGEST} are allowed")
                    break  # what follows cannot be found
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not name:
                    faults.append(
                        f"'{member.name}' is not a member of a shard; only KEY.mp4, .flac, .json are, and .NAME.flac"
                    )
                    continue
                members = samples.setdefault(name["key"], {})
                if name["suffix"] in members:
                    faults.append(f"'{member.name}' is there twice")
                elif members and name["key"] != last:
                    faults.append(f"'{member.name}' is not beside the others of its sample")
                members[name["suffix"]] = (member.offset_data, member.size)
                starts.setdefault(last := name["key"], member.offset)
                end = member.offset_data + -(-member.size // BLOCK) * BLOCK
    except FileNotFoundError:
        raise UserError(f"{path}: no such shard; prepare the corpus again") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise UserError(f"{path}: not a whole tar file ({error}); prepare the corpus again") from None
    if not faults and path.stat().st_size < end + 2 * BLOCK:  # without the two empty blocks samples may be missing
        raise UserError(f"{path}: the tar file is truncated; prepare the corpus again")
    for key, members in samples.items():
        if missing := [suffix for suffix in MEMBERS if suffix not in members]:
            faults.append(f"sample {key} has no {missing[0]}")
    if faults:
        more = f" and {len(faults) - 1} more faults" if len(faults) > 1 else ""
        raise UserError(f"{path}: {faults[0]}{more}; the shard is refused, prepare the corpus again")
    return [{"key": key, "members": members, "start": starts[key]} for key, members in samples.items()]


def read_sample(file: io.FileIO, start: int, wanted: Sequence[str]) -> tuple[str, dict[str, bytes]]:
    """The key of a sample that ``index_shard`` found to be ours, and those of its members that are ``wanted``.

    Raises:
        OSError: it is not there any more.
    """
    found: dict[str, bytes] = {}
    key = None
    try:
        while len(found) < len(wanted):
            file.seek(start)
            member = tarfile.TarFile(fileobj=io.BytesIO(file.read(HEADERS))).firstmember
            name = member and NAME.fullmatch(member.name)
            if not name or member.size > LARGEST or name["key"] != (key := key or name["key"]):
                break
            content = start + member.offset_data
            if name["suffix"] in wanted:
                file.seek(content)
                found[name["suffix"]] = file.read(member.size)
            start = content + -(-member.size // BLOCK) * BLOCK
    except (tarfile.TarError, ValueError):
        pass
    if key is None or len(found) < len(wanted):
        raise OSError(errno.EIO, "it has changed since it was indexed")
    return key, found


def read_shard(path: Path) -> Iterator[dict]:
    """The samples of a shard as ``write_shard`` takes them, in file order.

    Raises:
        UserError: as ``index_shard``, and for a sample whose JSON is none.
    """
    with path.open("rb") as file:
        for entry in index_shard(path):
            sample = {"key": entry["key"]}
            for suffix, (offset, size) in entry["members"].items():
                file.seek(offset)
                sample[suffix] = file.read(size)
            try:
                sample["json"] = json.loads(sample["json"])
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{path}: sample {entry['key']} cannot be read ({error!r}); see action=verify"
                ) from None
            yield sample


def read_corpus_json(folder: Path) -> dict:
    """corpus.json of a prepared corpus. Raises UserError when it is missing or not one of ours."""
    path = Path(folder) / "corpus.json"
    try:
        corpus = corpus_facts(read_plain(path, CORPUS_BYTES))
        files = [shard["file"] for shard in corpus["shards"]]
        known = {"name", "hash", "splits", "speakers", "mel"} <= corpus.keys()
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"data={folder}: no corpus.json there; make the folder with slts prepare") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a corpus.json of slts prepare ({error!r}); prepare the corpus again") from None
    if not known or not all(re.fullmatch(r"[a-z]{1,16}-[0-9]{1,16}\.tar", file) for file in files):
        raise UserError(f"{path}: not a corpus.json of slts prepare; prepare the corpus again")
    return corpus
