"""Corpora made at addresses of videos at addresses: the bytes of the folder, whatever dies; one line for a fault."""

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import fsspec
import pytest
from flash_and_beep import beep, flash_frames, write_video
from forked import FORKED, status
from fsspec.implementations.memory import MemoryFileSystem

from slts.commands.prepare import main, make_corpus
from slts.config import compose
from slts.data import preparation, scratch, shard_source, storage
from slts.data.destination import destination
from slts.data.storage import Storage, leads_below
from slts.errors import UserError
from slts.sweeping.space import override

ROOT, OUT = "memory://videos", "memory://made/corpus"


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """No pauses, an empty memory, and scratch folders that are looked at."""
    monkeypatch.setattr(storage, "PAUSE", 0)
    monkeypatch.setattr(shard_source, "PAUSE", 0)
    monkeypatch.setenv("SLTS_CACHE", str(tmp_path / "cache"))
    fsspec.filesystem("memory").rm("/", recursive=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Six clips of two speakers and one longer one, whose names are not what an address has; and what is no video."""
    root = tmp_path_factory.mktemp("root") / "videos"
    for i in range(6):
        speaker = root / ("ann", "bob")[i % 2]
        speaker.mkdir(parents=True, exist_ok=True)
        write_video(speaker / f"{i} #ü.mkv", flash_frames(0.8, 0.4), beep(0.8, 0.4))
    write_video(root / "long.mkv", flash_frames(3, 0.4), beep(3, 0.4))
    (root / "ann" / "text.mp4").write_text("no video")
    (root / "notes.doc").write_text("none either")
    return root


def config(root: object, out: object, *changes: str):
    recipe = ("corpus=folder", "faces=none", "region=mouth", "size=32", "min_seconds=0.5", "chunk_seconds=2")
    places = override("root", str(root)), override("out", str(out))
    return compose("prepare", [*recipe, "shard_clips=2", "workers=1", *places, *changes])[0]


@pytest.fixture(scope="module")
def folder(videos, tmp_path_factory) -> dict[str, bytes]:
    """What is in a folder made of a folder."""
    out = tmp_path_factory.mktemp("folder") / "corpus"
    main(config(videos, out))
    return contents(f"file://{out}")


def contents(address: str) -> dict[str, bytes]:
    system, root = fsspec.url_to_fs(address)
    made = {path.rsplit("/", 1)[-1]: system.cat_file(path) for path in system.find(root)}
    made.pop(".prepare.lock", None)
    return made


@pytest.fixture
def sent(videos) -> str:
    """The videos in the memory."""
    fsspec.filesystem("memory").put(str(videos), "/", recursive=True)
    return ROOT


def test_a_corpus_at_an_address_of_videos_at_an_address_is_that_of_folders(sent, folder):
    main(config(sent, OUT))
    assert contents(OUT) == folder
    left = [path for path in scratch.scratch().rglob("*") if path.is_file() and path.name != "lock"]
    assert len(left) == 1, "one copy, the last that was read"
    made = fsspec.filesystem("memory").modified("/made/corpus/train-000000.tar")
    main(config(sent, OUT))
    assert fsspec.filesystem("memory").modified("/made/corpus/train-000000.tar") == made


def test_an_address_is_listed_once(sent, tmp_path, monkeypatch):
    listed, real = [], Storage.files
    monkeypatch.setattr(Storage, "files", lambda place: listed.append(str(place)) or real(place))
    corpus = make_corpus(config(sent, tmp_path / "out"))
    assert listed == [ROOT] and [path.name for path in corpus["unread"]] == ["notes.doc"]


def test_metadata_is_read_there_too(sent, videos, tmp_path):
    lines = "file,speaker,text\nann/0 #ü.mkv,zoe,hello\nbob/1 #ü.mkv,,\n"
    fsspec.filesystem("memory").pipe("/videos/metadata.csv", lines.encode())
    (tmp_path / "videos").symlink_to(videos)
    corpus = make_corpus(config(sent, tmp_path / "out"))
    assert corpus["speakers"] == ["bob", "zoe"] and corpus["unread"] == []
    lines = "file\nann/0 #ü.mkv\n../other/x.mkv\n"
    fsspec.filesystem("memory").pipe("/videos/metadata.csv", lines.encode())
    with pytest.raises(UserError, match=r"metadata\.csv, row 3: .* must lie in the root"):
        make_corpus(config(sent, tmp_path / "other"))


def make_until(sends: int, root: str, out: str) -> None:
    """Makes a corpus until half of a file is sent that comes after so many, then dies as of ``kill -9``."""
    real, sent = Storage.send, itertools.count()

    def send(place: Storage, file: Path, name: str) -> None:
        if next(sent) == sends:
            place.write(name, file.read_bytes()[: file.stat().st_size // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        real(place, file, name)

    Storage.send = send
    make_corpus(config(root, out))


@pytest.mark.parametrize(("sends", "shards"), [(0, 0), (1, 0), (2, 1), (3, 1)])
def test_killed_and_started_again_gives_equal_bytes(videos, folder, tmp_path, sends, shards):
    """Each shard is sent before its sidecar, and counts once both are there whole."""
    out = tmp_path / "corpus"
    places = f"file://{videos}", f"file://{out}"
    process = FORKED.Process(target=make_until, args=(sends, *places))
    process.start()
    assert status(process) == -signal.SIGKILL
    done = {name: (out / name).stat().st_mtime_ns for name in destination(config(*places)).finished(list(folder))}
    assert len(done) == shards and not (out / "corpus.json").exists()
    make_corpus(config(*places))
    assert contents(places[1]).items() <= folder.items()
    assert done.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}.items()


def test_what_a_dead_process_left_in_its_scratch_folder_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    code = "import os; from slts.data.scratch import scratch; print(scratch(), flush=True); os.kill(os.getpid(), 9)"
    environment = {**os.environ, "PYTHONPATH": str(Path(preparation.__file__).parents[2]), "TMPDIR": str(tmp_path)}
    dead = Path(
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout[:-1]
    )
    assert dead.is_dir()
    alive = scratch._folder_and_lock(-1)[0]  # as of another process
    for folder in (dead, alive):
        os.utime(folder, (0, 0))
    scratch._folder_and_lock(-2)
    assert not dead.exists() and alive.exists()


def test_parts_are_one_corpus(sent, folder):
    assert make_corpus(config(sent, OUT, "part=0/2")) is None
    assert "corpus.json" not in contents(OUT)
    assert make_corpus(config(sent, OUT, "part=1/2"))
    assert contents(OUT).items() <= folder.items()


def test_a_shard_or_sidecar_that_broke_off_is_made_again(sent, folder):
    make_corpus(config(sent, OUT))
    memory = fsspec.filesystem("memory")
    memory.pipe("/made/corpus/train-000001.tar", folder["train-000001.tar"][:5000])
    memory.pipe("/made/corpus/.train-000000.json", folder[".train-000000.json"][:100])
    make_corpus(config(sent, OUT))
    assert contents(OUT).items() <= folder.items()


def test_a_place_of_another_corpus_or_of_other_things_is_left_alone(sent, videos, monkeypatch):
    make_corpus(config(sent, OUT))
    before = contents(OUT)
    with pytest.raises(UserError, match=r"out=memory://made/corpus: holds another corpus \(different: size\)"):
        make_corpus(config(sent, OUT, "size=48"))
    with pytest.raises(UserError, match="out=memory://videos: not empty and not of slts prepare"):
        make_corpus(config(videos, ROOT))
    assert contents(OUT) == before
    listed = Storage.files
    monkeypatch.setattr(Storage, "files", lambda place: {} if str(place) == OUT else listed(place))
    with pytest.raises(UserError, match="holds another corpus"):  # whose marker came just after the look
        make_corpus(config(sent, OUT, "size=48"))


@pytest.mark.parametrize(
    ("name", "good"),
    [("a.mp4", True), ("a b/ü#?.mp4", True), ("..a/b..mp4", True), ("../a.mp4", False), ("a/../b.mp4", False),
     ("/etc/a.mp4", False), ("a//b.mp4", False), ("./a.mp4", False), ("a/", False), ("", False), ("a\nb.mp4", False),
     ("http://other/a.mp4", False)],
)  # fmt: skip
def test_names_of_listings_stay_below_the_address(name, good):
    assert leads_below(name) is good


def test_hostile_names_are_passed_over_and_their_rest_is_read(sent, videos, tmp_path, monkeypatch, caplog):
    real = MemoryFileSystem.find
    strange = {"/videos/../../up.mp4": {"size": 1}, "/else/where.mp4": {"size": 1}, "/videos/a//b.mp4": {"size": 1}}
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *args, **how: real(*args, **how) | strange)
    corpus = make_corpus(config(sent, tmp_path / "out"))
    assert corpus["rejected"] == {"not_read": 1, "unreadable": 1}
    assert "3 names are no paths" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"out"}


def test_passwords_are_written_and_said_nowhere(sent, capsys):
    out = "memory://u:hunter2@made/corpus"
    assert main(config(sent, out)) == 0
    assert not [name for name, data in contents(out).items() if b"hunter2" in data]
    with pytest.raises(UserError) as told:
        main(config(sent, out, "size=48"))
    said = "".join(capsys.readouterr()) + str(told.value)
    assert "hunter2" not in said and "memory://***@made/corpus" in said


class NoCredentialsError(Exception):
    """As of botocore, whose errors are no OSErrors."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError("The specified bucket does not exist"), "not there; mend the address"),
        (
            PermissionError("Access Denied for s3://k:hunter2@b"),
            r"no rights there \(Access Denied .*\*\*\*@b\); see to",
        ),
        (NoCredentialsError("Unable to locate credentials"), r"no credentials \(Unable to locate"),
        (TimeoutError("The\nread timed out"), r"cannot be reached \(The read timed out\)"),
        (OSError(28, "No space left on device"), "the disk is full"),
    ],
)
def test_what_storage_refuses_is_one_line_and_leaves_no_corpus(sent, monkeypatch, error, message, tmp_path):
    def refuse(*_, **__):
        refuse.times += 1
        raise error

    def asked(name: str, what: str, *places: object) -> int:
        refuse.times = 0
        with monkeypatch.context() as patch, pytest.raises(UserError, match=f"{what}{message}") as told:
            patch.setattr(MemoryFileSystem, name, refuse)
            make_corpus(config(*places))
        assert "\n" not in str(told.value) and "hunter2" not in str(told.value)
        return refuse.times

    full = isinstance(error, OSError) and error.errno == 28
    asked("put_file", "" if full else r"out=memory://made/corpus: \w+-000000\.tar: ", sent, OUT)
    assert set(contents(OUT)) == {".prepare.json"}, "nothing half written"
    if not isinstance(error, FileNotFoundError):
        times = asked("get_file", "" if full else r"root=memory://videos: ann/0 #ü\.mkv: ", sent, tmp_path / "out")
        assert times == (storage.TRIES if isinstance(error, TimeoutError) else 1)
        assert not list((tmp_path / "out").glob("*.tar")), "a clip that did not come is no clip to be rejected"


def test_a_video_that_is_gone_since_the_listing_is_a_line_of_the_ledger(sent, monkeypatch, tmp_path):
    real = Storage.files
    monkeypatch.setattr(Storage, "files", lambda place: real(place) | {"ann/gone.mkv": 1})
    assert make_corpus(config(sent, tmp_path / "out"))["rejected"] == {"missing": 1, "not_read": 1, "unreadable": 1}


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (
            {"root": "az://u:hunter2@store/x"},
            r"root=az://\*\*\*@store/x: az:// needs what is not installed \(Install adlfs",
        ),
        ({"root": "nowhere://x"}, "root=nowhere://x: not an address that can be used; give a folder, s3://"),
        ({"root": "simplecache::memory://x"}, "not an address that can be used"),
        ({"root": "memory://none"}, "root=memory://none: no videos there"),
        ({"out": "https://u:hunter2@host/x"}, r"out=https://\*\*\*@host/x: the web is only read from"),
    ],
)
def test_addresses_that_cannot_be_used(sent, places, message, tmp_path):
    with pytest.raises(UserError, match=message):
        make_corpus(config(**({"root": sent, "out": tmp_path / "out"} | places)))


def test_other_corpora_are_read_from_folders_only(tmp_path):
    given, _ = compose("prepare", ["corpus=grid", override("root", "s3://u:hunter2@b/x"), f"out={tmp_path}/out"])
    with pytest.raises(UserError, match=r"root=s3://\*\*\*@b/x: corpus=grid is read from a folder only"):
        make_corpus(given)


def test_workers_that_see_another_place_are_found_out(sent, monkeypatch):
    monkeypatch.setattr(preparation, "make_shard", lambda *_: None)  # of the memory of another process
    with pytest.raises(UserError, match=r"out=memory://made/corpus: \w+-000000\.tar is not there once it was made"):
        make_corpus(config(sent, OUT))


def test_verify_reads_an_address(videos, folder, tmp_path, capsys):
    out = tmp_path / "corpus"
    out.mkdir()
    for name, data in folder.items():
        (out / name).write_bytes(data)
    given = [f"data=file://{out}", "action=verify", "workers=1"]
    assert main(compose("prepare", given)[0]) == 0
    (out / "train-000001.tar").write_bytes(folder["train-000000.tar"])
    (tmp_path / "cache").rename(tmp_path / "old")
    facts = json.loads(folder["corpus.json"])
    (out / "corpus.json").write_text(json.dumps(facts | {"name": "again"}))
    assert main(compose("prepare", [f"data=file://{out}/", *given[1:]])[0]) == 1
    assert "train-000001.tar could not be fetched in 3 tries (its SHA-256" in capsys.readouterr().out


def test_videos_are_read_from_the_web(videos, folder, tmp_path):
    pytest.importorskip("aiohttp")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=str(videos.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        make_corpus(config(f"http://127.0.0.1:{server.server_port}/videos", tmp_path / "out"))
    finally:
        server.shutdown()
        server.server_close()
    assert contents(f"file://{tmp_path}/out").items() <= folder.items()


@pytest.mark.parametrize(
    ("verb", "given"),
    [
        ("generate", ["run=r", "out=o", override("data", "s3://u:hunter2@b/c")]),
        ("generate", ["run=r", "input=d", override("out", "s3://u:hunter2@b/c")]),
        ("offsets", [override("data", "s3://u:hunter2@b/c")]),
        ("offsets", ["data=d", "action=apply", override("out", "s3://u:hunter2@b/c")]),
    ],
)
def test_where_folders_alone_are_known_it_is_said(verb, given):
    with pytest.raises(UserError, match=r"=s3://\*\*\*@b/c: no address is taken here; copy it"):
        import_module(f"slts.commands.{verb}").main(compose(verb, given)[0])
