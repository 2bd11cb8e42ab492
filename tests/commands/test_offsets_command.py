"""SyncNet trained, measured with and used for repair by the real commands."""

import contextlib
import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import webdataset
from conftest import slts
from drawn_faces import scene
from flash_and_beep import beep, flash, flash_frames, onset, write_streams, write_video
from safetensors.numpy import load_file

from slts.cli import run

TINY = [
    "experiment=syncnet_cpu", "tracking=none", "model.width=0.05", "model.image_size=56", "batch_size=4",
    "chunk_seconds=0.8", "steps=4", "validate_every=2", "validate_clips=3", "log_every=2",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tiny_corpus, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    slts("train", f"data={tiny_corpus}", "name=s", f"runs={runs}", *TINY)
    return runs / "s"


@pytest.fixture(scope="module")
def truth(tiny_corpus, tmp_path_factory) -> Path:
    """offsets.csv of the tiny corpus with the true offsets."""
    path = tmp_path_factory.mktemp("truth") / "truth.csv"
    rows = [[s["key"], s["json"]["offset_ms"]] for s in samples(tiny_corpus).values()]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["key", "offset_ms"], *rows])
    return path


def samples(corpus: Path) -> dict[str, dict]:
    """Samples by key, their JSON decoded."""
    found = {}
    for shard in sorted(corpus.glob("*.tar")):
        for sample in webdataset.WebDataset(str(shard), shardshuffle=False):
            found[sample["__key__"]] = {**sample, "key": sample["__key__"], "json": json.loads(sample["json"])}
    return found


def command(*arguments: str) -> tuple[int, str]:
    """``slts ...`` in this process: its exit status, and what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = run(arguments[0], [str(argument) for argument in arguments[1:]])
    return status, said.getvalue()


def table(path: Path) -> list[dict]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def test_training_validates_by_shifts_and_resumes(trained, tiny_corpus, tmp_path):
    values = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    names = {row["name"] for row in values}
    assert {"loss/softmax", "train/found_within_a_frame", "val/within_a_frame", "val/offset_mae_ms"} <= names
    assert (trained / "samples" / "step-00000004" / "offsets.png").exists()
    settings = [*TINY, "deterministic=true"]
    slts("train", f"data={tiny_corpus}", "name=whole", f"runs={tmp_path}", *settings)
    shutil.copytree(tmp_path / "whole", tmp_path / "cut", symlinks=True)
    shutil.rmtree(tmp_path / "cut" / "checkpoints" / "step-00000004")
    (tmp_path / "cut" / "last").unlink()
    (tmp_path / "cut" / "last").symlink_to("checkpoints/step-00000002")
    again = slts("train", f"data={tiny_corpus}", "name=cut", f"runs={tmp_path}", *settings, check=False)
    if again.returncode:  # the config names the run
        pytest.fail(again.stderr)
    whole, cut = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("whole", "cut"))
    for name in whole:
        np.testing.assert_array_equal(whole[name], cut[name], err_msg=name)


def test_offsets_of_shards_and_figure_5(trained, tiny_corpus, tmp_path):
    out = tmp_path / "found.csv"
    status, said = command("offsets", f"run={trained}", f"data={tiny_corpus}", f"out={out}", "method=syncnet")
    assert status == 0
    rows = table(out)
    assert list(rows[0]) == ["key", "offset_ms", "confidence", "at_edge", "sure", "distance"]
    assert {row["key"] for row in rows} == set(samples(tiny_corpus))
    assert all(float(row["offset_ms"]) % 40 == 0 and abs(float(row["offset_ms"])) <= 600 for row in rows)
    assert out.with_suffix(".png").stat().st_size > 5000
    assert "24 clips: median" in said
    # Where the search ends at 600 ms the true offset may lie beyond; a network of four steps has such clips.
    at_edge = [row["key"] for row in rows if abs(float(row["offset_ms"])) == 600]
    assert at_edge and at_edge == [row["key"] for row in rows if row["at_edge"] == "True"]
    assert f"{len(at_edge)} at the edge of the search, whose true offset may lie beyond" in said
    confidences = sorted(float(row["confidence"]) for row in rows)
    limit, counted = confidences[11], sum(value > confidences[11] for value in confidences)
    _, filtered = command("offsets", f"run={trained}", f"data={tiny_corpus}", f"out={out}", f"above_confidence={limit}")
    assert f"{24 - counted} of 24 clips do not count" in filtered and f"{counted} clips: median" in filtered


def test_parts_are_the_rows_of_the_whole(tiny_corpus, tmp_path):
    keys = ["offsets", f"data={tiny_corpus}", f"out={tmp_path}/o.csv", "batch_size=4"]
    assert [command(*keys, *more)[0] for more in (["workers=1"], ["part=0/2"], ["part=1/2"])] == [0, 0, 0]
    parts = [table(tmp_path / f"o-{number}-of-2.csv") for number in range(2)]
    assert all(parts)
    by_key = sorted([*parts[0], *parts[1]], key=lambda row: row["key"])
    assert by_key == sorted(table(tmp_path / "o.csv"), key=lambda row: row["key"])


def test_offsets_without_a_network(tiny_corpus, tmp_path):
    out = tmp_path / "found.csv"
    status, said = command("offsets", f"data={tiny_corpus}", f"out={out}", "method=regression")
    assert status == 0 and "24 clips: median" in said
    rows = table(out)
    assert {row["key"] for row in rows} == set(samples(tiny_corpus))
    assert all((row["at_edge"] == "True") == (abs(float(row["offset_ms"])) > 245) for row in rows)
    assert all(abs(float(row["offset_ms"])) <= 255 and 0 < float(row["confidence"]) < 1 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["offsets", "data={data}", "method=regression"], "learns from data= alone; leave run= out"),
        (["generate", "input={data}", "out=x"], "slts generate needs speech, and run="),
        (["evaluate"], "gives offsets alone; use a run of task="),
        (["offsets", "data={data}", "method=slts"], "method=slts"),
        (["offsets", "data={data}", "part=2/2"], "part=2/2: must be NUMBER/PARTS"),
        (["offsets", "data={data}", "part=0/2", "corpus_prior=true"], "learns from all clips together"),
        (["offsets", "data={data}", "engine=ray", "address=localhost:1"], "address=localhost:1"),
        (["offsets", "data={data}", "weights=x"], "needs one of"),
        (["offsets", "data={data}", "action=apply"], "out=... is required"),
        (["offsets", "data={data}", "action=apply", "out={data}"], "never overwritten"),
    ],
)
def test_what_cannot_be_asked_of_it_is_refused(arguments, words, trained, tiny_corpus):
    arguments = [argument.format(data=tiny_corpus / "train-000000.tar" if "generate" in arguments else tiny_corpus)
                 for argument in arguments]  # fmt: skip
    status, said = command(*arguments, f"run={trained}")
    assert status == 2 and words in said
    assert len(said.strip().splitlines()) == 1


def test_a_prior_needs_distributions_and_shards(trained, tiny_corpus, tmp_path):
    status, said = command("offsets", f"data={tiny_corpus}", f"run={trained}", "corpus_prior=true")
    assert status == 2 and "needs P(k) of each clip, which task=syncnet has not" in said.splitlines()[-1]
    status, said = command("offsets", f"data={tmp_path}", "corpus_prior=true")
    assert status == 2 and "corpus_prior=true is for shards" in said


def test_weights_that_are_none_are_refused(tiny_corpus, tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "w.model")
    status, said = command("offsets", f"weights={tmp_path}/w.model", f"data={tiny_corpus}")
    assert status == 2 and "netcnnlip.0.weight is missing" in said
    assert "give the published weights of SyncNet (syncnet_v2.model)" in said


def test_corrected_shards_are_whole_and_in_sync(tiny_corpus, truth, tmp_path):
    out = tmp_path / "synced"
    apply = ["offsets", "action=apply", f"data={tiny_corpus}", f"offsets={truth}", f"out={out}"]
    assert command(*apply)[0] == 0
    status, said = command("prepare", "action=verify", f"data={out}", "workers=1")
    assert status == 0, said
    before, after = samples(tiny_corpus), samples(out)
    lost = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert len(before) == len(after) + len(lost)
    for key, sample in after.items():
        facts, was = sample["json"], before[key]["json"]
        assert facts["offset_ms"] == 0 and facts.get("repaired", 0) == was["offset_ms"]
        assert was["frames"] - facts["frames"] == int(np.ceil(abs(was["offset_ms"]) / 40))
        # The words' times move with the sound: seen when they are heard, as before.
        assert len(facts["words"]) <= len(was["words"])
    contents = {path.name: path.read_bytes() for path in out.glob("*.tar")}
    assert command(*apply)[0] == 0  # again: the same bytes
    assert {path.name: path.read_bytes() for path in out.glob("*.tar")} == contents
    _, said = command("offsets", "action=apply", f"data={out}", f"offsets={truth}", f"out={tmp_path}/twice")
    assert "repaired" in said and not (tmp_path / "twice").exists()


def packets(path: Path) -> list[bytes]:
    import av

    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]


def lag_ms(path: Path) -> float:
    """By how much the flash is seen after the beep is heard."""
    from slts.data.media import read_clip

    clip = read_clip(path)
    return 1000 * (flash(clip.frames) / clip.fps - onset(clip.audio))


@pytest.mark.parametrize(("suffix", "codecs"), [("mp4", ("libx264", "aac")), ("mkv", ("mpeg4", "pcm_s16le")),
                                                ("mov", ("libx264", "pcm_s16le"))])  # fmt: skip
@pytest.mark.parametrize("offset", [120, -200, 37])
def test_a_video_is_repaired_without_encoding(suffix, codecs, offset, tmp_path):
    from slts.data.media.shifting import repair_video
    from slts.data.media.sidecar import sidecar

    source = write_video(tmp_path / f"a.{suffix}", flash_frames(3, 1.2), beep(3, 1.2 - offset / 1000), codecs=codecs)
    assert lag_ms(source) == pytest.approx(offset, abs=1)
    out = tmp_path / "out" / f"a.{suffix}"
    assert repair_video(source, offset, "the truth", out)
    assert lag_ms(out) == pytest.approx(0, abs=2)
    assert packets(out) == packets(source)
    record = json.loads(sidecar(out).read_text())
    assert (record["offset_ms"], record["source"], record["method"]) == (offset, source.name, "the truth")
    whole = out.read_bytes()
    assert not repair_video(source, offset, "the truth", out)
    assert not repair_video(out, offset, "the truth", tmp_path / f"b.{suffix}")
    assert out.read_bytes() == whole and not (tmp_path / f"b.{suffix}").exists()


def test_a_folder_of_videos_is_repaired_by_a_table(tmp_path):
    videos, out = tmp_path / "videos", tmp_path / "out"
    (videos / "sub").mkdir(parents=True)
    write_video(videos / "sub" / "late.avi", flash_frames(3, 1.2), beep(3, 1.08))
    write_video(videos / "silent.mkv", flash_frames(3, 1.2), None)
    (videos / "broken.mp4").write_bytes(b"not a video")
    write_video(videos / "other.mkv", flash_frames(3, 1.2), beep(3, 1.2))
    (tmp_path / "o.csv").write_text("key,offset_ms\nsub/late,120\nsilent,40\nbroken,40\n")
    arguments = ["offsets", "action=apply", f"data={videos}", f"offsets={tmp_path}/o.csv", f"out={out}"]
    status, said = command(*arguments)
    assert status == 0
    for name, word in {"silent.mkv": "no_audio", "broken.mp4": "unreadable", "other.mkv": "no offset"}.items():
        assert any(name in line and word in line for line in said.splitlines()), said
    assert [path.name for path in sorted(out.rglob("*")) if path.is_file()] == ["late.mkv", "late.mkv.repair.json"]
    assert lag_ms(out / "sub" / "late.mkv") == pytest.approx(0, abs=1)
    assert "nothing done" in command(*arguments)[1]
    # Into its own folder nothing is overwritten: beside the source lies a file of another name, or a message.
    originals = {path: path.read_bytes() for path in videos.rglob("*") if path.is_file()}
    command(*arguments[:-1], f"out={videos}")
    assert all(path.read_bytes() == content for path, content in originals.items())


def test_a_video_is_estimated_repaired_and_estimated_again(tmp_path):
    """action=apply on one file: the sound 120 ms early, then within 10 ms; the picture's packets are the same."""
    source, out = tmp_path / "late.mp4", tmp_path / "mended.mp4"
    write_video(source, flash_frames(3, 1.2), beep(3, 1.08), codecs=("libx264", "aac"))
    (tmp_path / "o.csv").write_text(f"key,offset_ms,confidence\nlate,{lag_ms(source):.1f},9\n")
    arguments = ["offsets", "action=apply", f"data={source}", f"offsets={tmp_path}/o.csv", f"out={out}"]
    assert command(*arguments)[0] == 0
    assert lag_ms(source) == pytest.approx(120, abs=1) and lag_ms(out) == pytest.approx(0, abs=10)
    assert packets(out) == packets(source)
    whole = out.read_bytes()
    assert "nothing done" in command(*arguments)[1] and out.read_bytes() == whole
    status, said = command(*arguments[:-1], f"out={source}")
    assert status == 2 and "never overwritten" in said
    assert command(*arguments, "above_confidence=9")[0] == 1  # not sure enough: left out


def test_videos_that_cannot_be_measured_are_named(trained, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "good.mkv", flash_frames(3, 1.2, size=(80, 80)), beep(3, 1.2))
    write_video(videos / "short.mkv", flash_frames(0.16, 0.1, size=(80, 80)), beep(0.2, 0.1))
    write_video(videos / "silent.mkv", flash_frames(3, 1.2), None)
    (videos / "broken.mp4").write_bytes(b"not a video")
    out = tmp_path / "o.csv"
    arguments = ["offsets", f"run={trained}", f"data={videos}", f"out={out}"]
    status, said = command(*arguments, "tracks.shortest=0.1", "tracks.detect_rate=25")
    # One beep in three seconds is silence: nothing is told of it, and the others are named.
    told = {row["key"]: row["cannot_tell"].partition(":")[0] for row in table(out)}
    reasons = {"good": "silence", "short": "too_short", "silent": "no_audio", "broken": "unreadable"}
    assert status == 0 and told == reasons and all(not row["offset_ms"] for row in table(out))
    for key, word in reasons.items():
        assert any(key in line and word in line for line in said.splitlines()), said
    whole, keys = out.read_bytes(), ["tracks.shortest=0.1", "tracks.detect_rate=25"]
    assert command(*arguments, *keys, "workers=2")[0] == 0 and out.read_bytes() == whole
    (videos / "good.mkv").unlink()
    (videos / "short.mkv").unlink()
    status, said = command(*arguments)
    assert status == 1 and "no offset to count; 2 rows" in said


def test_streams_of_videos_are_chosen_and_what_is_no_video_is_noted(trained, tiny_corpus, tmp_path):
    (tmp_path / "in").mkdir()
    write_streams(tmp_path / "in" / "two.mkv", [flash_frames(3, 1.2, size=(80, 80))], [beep(3, 1.2)] * 2, (0, 1))
    (tmp_path / "in" / "notes.txt").touch()
    arguments = ["offsets", f"run={trained}", f"data={tmp_path}/in", f"out={tmp_path}/o.csv", "tracks.shortest=0.1"]
    status, said = command(*arguments)
    assert status == 0 and "1 file was not read: .txt 1" in said
    assert "two.mkv: audio stream 1 of several is read; audio_stream= takes another" in said
    status, said = command(*arguments, "audio_stream=0")
    assert status == 0 and "several" not in said
    status, said = command(*arguments, "audio_stream=2")
    assert (
        status == 1
        and "two.mkv: cannot tell (no_stream: audio_stream=2 is not there; the file has 0 (pcm_s16le" in said
    )
    status, said = command("offsets", f"run={trained}", f"data={tiny_corpus}", "video_stream=0")
    assert status == 2 and "shards have one of a kind" in said
    (tmp_path / "o.csv").write_text("key,offset_ms\ntwo,40\n")
    apply = ["offsets", "action=apply", f"data={tmp_path}/in", f"offsets={tmp_path}/o.csv", f"out={tmp_path}/out"]
    status, said = command(*apply, "audio_stream=2")
    assert status == 1 and "no_stream" in said and "1 file was not read: .txt 1" in said
    assert command(*apply, "audio_stream=0")[0] == 0


def test_of_several_faces_the_one_that_fits_is_taken(trained, tmp_path):
    # They flicker, so that they are no stills, and there is a sound all along.
    frames = np.stack([scene([(80, 110, 40), (240, 110, 35)]) - np.uint8(8 * (i % 3)) for i in range(50)])
    write_video(tmp_path / "two.mkv", frames, 0.1 * np.random.default_rng(0).normal(size=2 * 44100))
    out = tmp_path / "o.csv"
    status, said = command("offsets", f"run={trained}", f"data={tmp_path}/two.mkv", f"out={out}", "faces=cascade")
    assert status == 0 and "2 faces" in said and len(table(out)) == 1


def test_evaluation_is_judged_by_syncnet(trained, tiny_corpus, tmp_path):
    small = ["experiment=cpu", "tracking=none", "model.image_size=32", "model.width=32", "model.layers=1",
             "model.frame_width=8", "batch_size=4", "steps=1", "validate_clips=1"]  # fmt: skip
    slts("train", f"data={tiny_corpus}", "name=a", f"runs={tmp_path}", *small)
    slts("evaluate", f"run={tmp_path}/a", "workers=1", "show=0", f"syncnet={trained}", "above_confidence=0")
    row = json.loads((tmp_path / "a" / "results.jsonl").read_text())
    clips = table(tmp_path / "a" / "clips-test.csv")
    for name in ("lse_d", "lse_c"):
        assert row[name] == pytest.approx(np.mean([float(clip[name]) for clip in clips]))
    found, dsm = (np.array([float(c[name]) for c in clips]) for name in ("syncnet_offset_ms", "dsm_offset_ms"))
    if found.std():
        r2 = 1 - np.square(found - dsm).sum() / np.square(found - found.mean()).sum()
        assert row["offset_r2_syncnet"] == pytest.approx(r2) and row["syncnet_clips"] == len(clips)
    status, said = command("evaluate", f"run={tmp_path}/a", f"syncnet={tmp_path}/a")
    assert status == 2 and "task=slts" in said
