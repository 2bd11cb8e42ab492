"""corpus.json and shards by somebody else."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from attacks.scene import Attack, Scene


def attacks() -> Iterator[Attack]:
    def changed(change: Callable[[dict], object]) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            corpus = scene.own_corpus()
            facts = json.loads((corpus / "corpus.json").read_text())
            found = change(facts)
            (corpus / "corpus.json").write_text(json.dumps(facts if found is None else found))
            return corpus

        return make

    def written(content: bytes) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            corpus = scene.own_corpus()
            (corpus / "corpus.json").write_bytes(content)
            return corpus

        return make

    def shard(change: Callable[[bytes], bytes]) -> Callable[[Scene], Path]:
        def make(scene: Scene) -> Path:
            corpus = scene.own_corpus()
            file = next(iter(sorted(corpus.glob("train-*.tar"))))
            file.write_bytes(change(file.read_bytes()))
            return corpus

        return make

    def flipped(data: bytes, part: float) -> bytes:
        place = int(len(data) * part)
        return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]

    def mel(name: str, values: object) -> Callable[[dict], None]:
        return lambda facts: facts["mel"].update({name: values})

    def shards(**change: object) -> Callable[[dict], None]:
        return lambda facts: [entry.update(change) for entry in facts["shards"]] and None

    cases = {
        "empty": written(b""),
        "no JSON": written(b'{"name": '),
        "a list": written(b"[]"),
        "null": written(b"null"),
        "not UTF-8": written(b'{"name": "\xff\xfe"}'),
        "deep": written(b"[" * 100_000),
        "nothing in it": written(b"{}"),
        "no shards": changed(lambda facts: facts.update(shards=[])),
        "shards as a number": changed(lambda facts: facts.update(shards=7)),
        "a shard outside": changed(shards(file="../../../../etc/train-000000.tar")),
        "a shard of an absolute path": changed(shards(file="/etc/passwd")),
        "a shard without a hash": changed(shards(sha256=None)),
        "a shard of a wrong hash": changed(shards(sha256="0" * 64)),
        "negative clips": changed(shards(clips=-1)),
        "a million clips": changed(shards(clips=10**6)),
        "clips as text": changed(shards(clips="7")),
        "a file that is none": changed(shards(file="train-999999.tar")),
        "no mel": changed(lambda facts: facts.pop("mel") and None),
        "mel of NaN": changed(mel("mean", [float("nan")] * 80)),
        "mel without spread": changed(mel("std", [0.0] * 80)),
        "mel of seven bins": changed(mel("mean", [0.0] * 7)),
        "mel as text": changed(mel("std", ["a"] * 80)),
        "speakers as a number": changed(lambda facts: facts.update(speakers=3)),
        "no speakers": changed(lambda facts: facts.update(speakers=[])),
        "a shard cut": shard(lambda data: data[: len(data) // 2]),
        "a shard empty": shard(lambda data: b""),
        "a shard of noise": shard(lambda data: os.urandom(20_000)),
        "a bit of a shard, at its start": shard(lambda data: flipped(data, 0.001)),
        "a bit of a shard, in the middle": shard(lambda data: flipped(data, 0.5)),
        "a bit of a shard, near the end": shard(lambda data: flipped(data, 0.8)),
    }
    for what, make in cases.items():
        yield Attack(f"corpus: {what}", lambda scene, make=make: scene.train(make(scene)))
