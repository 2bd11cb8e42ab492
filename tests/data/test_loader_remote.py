"""Shards from an address or a command: fetched, checked, kept in bounds, and the same batches as from the folder."""

import functools
import json
import os
import shutil
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice

import pytest
import torch
from fsspec.implementations.local import LocalFileSystem
from test_loader import CLIPS, batches, dataset, make_corpus

from slts.config import compose
from slts.data import shard_source
from slts.data.dataset import ShardDataset
from slts.data.loader import training_loader
from slts.data.location import Address
from slts.errors import UserError
from slts.sweeping.space import override


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("remote") / "corpus")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SLTS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(shard_source, "PAUSE", 0.01)
    shard_source._remote.cache_clear()
    return tmp_path / "cache" / "shards"


def typed(data: str) -> Address:
    return Address(compose("train", [override("data", data), "name=x"])[0])


class Handler(SimpleHTTPRequestHandler):
    asked: list = []  # noqa: RUF012
    failures = 0

    def do_GET(self):
        Handler.asked.append(self.path)
        if self.path.endswith(".tar") and Handler.failures:
            Handler.failures -= 1
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b"half of it")  # and the connection is closed
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture
def address(corpus):
    Handler.asked, Handler.failures = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(corpus)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset reads addresses with curl")
@pytest.mark.parametrize("workers", [0, 2])
def test_an_address_gives_the_batches_of_the_folder(corpus, address, workers, cache):
    expected = batches(corpus, 5, window_shards=2)
    got = batches(typed(address), 5, window_shards=2, workers=workers)
    assert [b.key for b in got] == [b.key for b in expected]
    assert all(torch.equal(a.video, b.video) for a, b in zip(got, expected, strict=True))
    assert sorted(set(Handler.asked)) == ["/corpus.json", *(f"/train-{s:06d}.tar" for s in range(3))]
    assert len(Handler.asked) == 4 and len(list(cache.glob("*.tar"))) == 3  # each once, by whichever process
    shard_source._remote.cache_clear()
    batches(typed(address + "/{name}"), 5, window_shards=2)
    assert Handler.asked[4:] == ["/corpus.json"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset reads addresses with curl")
def test_a_broken_download_is_tried_again(address):
    Handler.failures = 2
    assert len(batches(typed(address), 3)) == 3
    assert len(Handler.asked) == 1 + 3 + 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="webdataset reads addresses with curl")
def test_what_is_not_there_is_one_message(address):
    with pytest.raises(UserError, match=r"corpus\.json could not be fetched in 3 tries \(curl ended .* no such file"):
        dataset(typed(address + "/nowhere"))


def test_a_command_gives_the_batches_of_the_folder(corpus):
    expected = batches(corpus, 4)
    assert [b.key for b in batches(typed(f"pipe:cat '{corpus}/{{name}}'"), 4)] == [b.key for b in expected]


def test_object_storage_gives_the_batches_of_the_folder(corpus, monkeypatch):
    expected = batches(corpus, 4, window_shards=2)
    assert [b.key for b in batches(typed(f"file://{corpus}"), 4, window_shards=2, workers=2)] == [
        b.key for b in expected
    ]
    with pytest.raises(UserError, match=r"nowhere: corpus\.json: not there; mend the address"):
        dataset(typed(f"file://{corpus}/nowhere"))
    real, failures = LocalFileSystem.open, iter([TimeoutError("too late")] * 2)

    def flaky(*given, **how):
        for error in failures:
            raise error
        return real(*given, **how)

    monkeypatch.setattr(LocalFileSystem, "open", flaky)
    assert len(dataset(typed(f"file://{corpus}/")).clips) == 3


def test_a_command_runs_without_a_shell(corpus, tmp_path):
    with pytest.raises(UserError, match="cat ended with status 1"):
        dataset(typed(f"pipe:cat {corpus}/{{name}} ; touch {tmp_path}/made"))
    assert not (tmp_path / "made").exists()


def test_a_path_and_a_file_name_never_become_a_command(corpus, tmp_path):
    with pytest.raises(UserError, match=r"no corpus\.json there"):
        ShardDataset(tmp_path / "pipe:touch {name}", "train", 24, 1)
    facts = json.loads((corpus / "corpus.json").read_text())
    facts["shards"][0]["file"] = "train-0.tar; touch made"
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match=r"not a corpus\.json"):
        dataset(typed(f"pipe:cat {tmp_path}/{{name}}"))


def test_another_content_than_recorded_is_refused(corpus, tmp_path, cache):
    shutil.copytree(corpus, tmp_path / "corpus")
    shutil.copy(corpus / "train-000000.tar", tmp_path / "corpus" / "train-000001.tar")
    before = set(threading.enumerate())
    with pytest.raises(UserError, match=r"train-000001\.tar could not be fetched in 3 tries \(its SHA-256"):
        batches(typed(f"pipe:cat {tmp_path}/corpus/{{name}}"), 4)
    for thread in set(threading.enumerate()) - before:  # others fetch still, and try again
        thread.join(60)
    assert not list(cache.glob("train-000001*.tar")) and not list(cache.glob(".*"))


def test_a_damaged_shard_of_the_cache_is_fetched_anew(corpus, cache):
    whole = batches(typed(f"pipe:cat {corpus}/{{name}}"), 3)
    for shard in cache.glob("*.tar"):
        shard.write_bytes(b"damaged")
    shard_source._remote.cache_clear()
    shard_source.SOUND.clear()  # as in the next process
    again = batches(typed(f"pipe:cat {corpus}/{{name}}"), 3)
    assert [b.key for b in again] == [b.key for b in whole]
    assert all(shard.stat().st_size > 7 for shard in cache.glob("*.tar"))


@pytest.mark.parametrize("change", [{"sha256": "../../x"}, {"clips": 0}, {"clips": 2**64}, {"clips": True}])
def test_a_hash_or_count_that_is_none_is_refused(corpus, tmp_path, change):
    facts = json.loads((corpus / "corpus.json").read_text())
    facts["shards"][1] |= change
    (tmp_path / "corpus.json").write_text(json.dumps(facts))
    with pytest.raises(UserError, match="no SHA-256 or clip count of train-000001"):
        dataset(typed(f"pipe:cat {tmp_path}/{{name}}"))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("nowhere://bucket/x", "nowhere://bucket/x: not an address that can be used"),
        ("pipe:cat corpus.json", "needs {name}"),
    ],
)
def test_sources_that_cannot_be_read(data, message):
    with pytest.raises(UserError, match=message):
        dataset(typed(data))


def test_a_stalled_command_is_ended(monkeypatch):
    monkeypatch.setattr(shard_source, "STALL", 0.1)
    with pytest.raises(UserError, match=r"no data for 0\.1 s"):
        dataset(typed("pipe:tail -f /dev/null {name}"))


def test_old_shards_make_room_and_those_in_use_stay(corpus, cache):
    size = (corpus / "train-000000.tar").stat().st_size
    source = dataset(typed(f"pipe:cat {corpus}/{{name}}"), disk_gb=1.5 * size / 1e9).source
    shards = source.corpus["shards"]
    first = source.path(shards[0])
    source.path(shards[1])
    assert first.exists()  # used within the last minute
    os.utime(first, (time.time() - 100,) * 2)
    source.path(shards[2])
    assert not first.exists()
    assert source.path(shards[0]).exists()


def test_windows_that_do_not_fit_the_disk_are_refused(corpus):
    size = (corpus / "train-000002.tar").stat().st_size
    with pytest.raises(UserError, match=r"does not hold two windows.*window_shards lower"):
        stream = iter(
            training_loader(dataset(typed(f"pipe:cat {corpus}/{{name}}"), disk_gb=1.2 * size / 1e9), 6, 0, 0, 1, 0)
        )
        for _ in range(50):
            next(stream)
            time.sleep(0.02)


def test_the_next_window_is_fetched_ahead(corpus, cache):
    data = dataset(typed(f"pipe:cat {corpus}/{{name}}"), window_shards=1)
    first, _ = data.order.window(0)
    stream = iter(training_loader(data, 1, 0, 0, 1, 0))
    assert len(list(islice(stream, 1))) == 1 < CLIPS[first[0]]
    following, _ = data.order.window(CLIPS[first[0]])
    deadline = time.time() + 300
    while not list(cache.glob(f"train-{following[0]:06d}-*.tar")) and time.time() < deadline:
        time.sleep(0.02)
    assert len(list(cache.glob("*.tar"))) == 2
