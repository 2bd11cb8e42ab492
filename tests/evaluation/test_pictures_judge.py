"""Training, judging and showing a system that draws pictures, by the commands themselves."""

import csv
import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from conftest import slts
from omegaconf import OmegaConf
from ranks import evaluation_is_shared
from safetensors.numpy import load_file

from slts.corpora.synthetic.head import speaking_head
from slts.data.augmentation import Augmentation
from slts.data.batch import Batch
from slts.data.dataset import ShardDataset
from slts.data.loader import evaluation_loader
from slts.data.media import decode_frames, encode_h264, mux, read_audio
from slts.evaluation.films import SHOWN, SIDE, write_film, write_strip
from slts.evaluation.judges import Evaluation
from slts.evaluation.judges.drawn_lips import DrawnLips, EstimatedOffset
from slts.evaluation.judges.pictures import mouths
from slts.reporting.results import load_results
from slts.systems.contract import OffsetEstimate

pytestmark = pytest.mark.long

SMALL = ("tracking=none", "batch_size=4", "log_every=1", "validate_clips=2", "steps=2", "validate_every=2")


@pytest.fixture(scope="module")
def trained(tiny_corpus, tmp_path_factory) -> Path:
    """Runs of an expert, a generator that it taught, and a SyncNet."""
    runs = tmp_path_factory.mktemp("drawing")
    given = (f"data={tiny_corpus}", f"runs={runs}", *SMALL)
    slts("train", *given, "name=expert", "experiment=lipsync_expert_cpu", "task.sync=truth", "model.width=0.125")
    slts("train", *given, "name=generator", "experiment=wav2lip_cpu", "variant=with_quality", "task.sync=truth",
         "model.width=0.125", f"task.expert={runs / 'expert'}", "task.sync_below=100")  # fmt: skip
    slts("train", *given, "name=syncnet", "experiment=syncnet_cpu")
    return runs


def rows(run: Path) -> dict[str, dict]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["name"]: row for row in found}


def test_training_is_judged_by_the_mouth(trained):
    logged = rows(trained / "generator")
    assert {"val/mouth_l1", "val/mouth_psnr", "val/mouth_ssim"} <= logged.keys()
    assert 0 < logged["val/mouth_l1"]["value"] < 1 and 0 < logged["val/mouth_psnr"]["value"] < 59
    samples = trained / "generator" / "samples" / "step-00000002"
    films = sorted(samples.glob("*.mp4"))
    assert len(films) == 2 and all(film.with_suffix(".png").is_file() for film in films)


def test_two_processes_share_the_drawing(trained):
    """In batches of two: the control that hears the next clip's sound is of the batch."""
    evaluation_is_shared(trained / "generator", "batch_size=2", f"syncnet={trained / 'syncnet'}")


def test_evaluation_and_the_page(trained):
    done = slts("evaluate", f"run={trained / 'generator'}", "split=test", f"syncnet={trained / 'syncnet'}", "show=2")
    row = json.loads((trained / "generator" / "results.jsonl").read_text().splitlines()[-1])
    for name in ("mouth_l1", "mouth_psnr", "mouth_ssim", "lse_d", "lse_c", "drawn_offset_ms", "lse_d_recorded",
                 "lse_c_mismatched", "lse_d_still", "mouth_motion_r", "mouth_motion_share"):  # fmt: skip
        assert math.isfinite(row[name]), (name, done.stdout)
    assert row["lse_d_unsynced"] is None and row["protocol"] == "own" and row["fid"] is None
    assert row["stoi"] is None and row["task"] == "wav2lip" and row["failed"] == 0
    with (trained / "generator" / "clips-test.csv").open() as file:
        clips = list(csv.DictReader(file))
    assert np.mean([float(clip["mouth_l1"]) for clip in clips]) == pytest.approx(row["mouth_l1"])
    films = sorted((trained / "generator" / "samples" / "test").glob("*.mp4"))
    assert len(films) == 2
    frames, (sound, _) = decode_frames(films[0]), read_audio(films[0])
    assert frames.shape[1:] == (SIDE, 2 * SIDE, 3)
    assert len(sound) / 16000 == pytest.approx(len(frames) / 25, abs=0.1) and np.abs(sound).max() > 0.01
    slts("tables", f"runs={trained}", f"out={trained / 'tables'}")
    [page] = (trained / "tables").glob("*.html")
    assert page.read_text().count('src="data:video/mp4;base64,') == 2


def test_a_run_that_lost_its_last_steps_repeats_them_bit_by_bit(trained, tiny_corpus, tmp_path):
    keys = ("experiment=wav2lip_cpu", "task.sync=truth", "model.width=0.125", f"task.expert={trained / 'expert'}",
            "task.sync_below=100", f"data={tiny_corpus}", f"runs={tmp_path}", *SMALL[:-2], "name=a", "steps=4",
            "validate_every=2", "deterministic=true")  # fmt: skip
    slts("train", *keys)
    last = tmp_path / "a" / "checkpoints" / "step-00000004"
    [weights] = last.glob("model*.safetensors")
    before = weights.read_bytes()
    shutil.rmtree(last)
    slts("train", *keys)
    assert weights.read_bytes() == before
    state = load_file(weights)
    assert int(state["taken"]) == 4 and float(state["sync_on"]) == 1 and not [n for n in state if "expert" in n]


def test_mouths_are_the_lower_halves_of_each_clips_own_frames():
    video = torch.full((2, 4, 1, 24, 24), 100, dtype=torch.uint8)
    drawn = video.clone()
    drawn[:, :, :, :12] = 0
    drawn[0, :, :, 12:] = 151
    drawn[1, 2:] = 0
    batch = Batch(
        video=video, frames=torch.tensor([4, 2]), fps=torch.tensor([25.0, 25.0]), speaker=torch.zeros(2),
        offset_ms=torch.zeros(2), key=["a", "b"],
    )  # fmt: skip
    found = mouths(batch, drawn)
    assert found["a"]["mouth_l1"] == pytest.approx(0.2)
    assert found["b"]["mouth_l1"] == 0 and found["b"]["mouth_ssim"] == pytest.approx(1)


def test_strips_and_films(tmp_path):
    grey = np.arange(20, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 16, 16), np.uint8)
    colour = np.repeat(grey, 3, axis=1)
    write_strip(tmp_path / "a.png", [grey, colour])
    write_film(tmp_path / "a.mp4", [grey, colour], 30.0, np.zeros(10667, np.float32))
    assert decode_frames(tmp_path / "a.mp4").shape == (20, SIDE, 2 * SIDE, 3)
    strip = cv2.imread(str(tmp_path / "a.png"))
    assert strip.shape == (32, 16 * SHOWN, 3) and strip[0, -1].tolist() == [19] * 3


def test_lips_that_say_something_else(trained):
    run = trained / "generator"
    with (run / "clips-test.csv").open() as file:
        own = file.read()
    for protocol in ("random", "dubbed", "tts"):
        slts("evaluate", f"run={run}", "split=test", f"syncnet={trained / 'syncnet'}", "show=1", f"protocol={protocol}")
        row = json.loads((run / "results.jsonl").read_text().splitlines()[-1])
        assert row["protocol"] == protocol and row["mouth_l1"] is None and row["mouth_motion_r"] is None
        assert math.isfinite(row["lse_d"]) and math.isfinite(row["lse_d_unsynced"])
        assert row["lse_d_unsynced"] != row["lse_d_recorded"]
        with (run / f"says-test-{protocol}.csv").open() as file:
            says = {line["key"]: line["says"] for line in csv.DictReader(file)}
        assert len(says) == row["clips"] and all(key != said for key, said in says.items())
        assert len([*(run / "samples" / f"test-{protocol}").glob("*.mp4")]) == 1
    with (run / "clips-test.csv").open() as file:
        assert file.read() == own
    frame = load_results(trained)
    assert {"wav2lip_with_quality", "wav2lip_with_quality_random"} <= set(frame["system"])


def test_a_protocol_is_of_pictures_and_fid_of_weights(trained, tmp_path):
    refused = slts("evaluate", f"run={trained / 'syncnet'}", "protocol=random", check=False)
    assert refused.returncode == 2 and len(refused.stderr.strip().splitlines()) == 1
    refused = slts("evaluate", f"run={trained / 'generator'}", "split=test", "inception=x.pth", check=False)
    assert refused.returncode == 2 and "inception=" in refused.stderr and "Traceback" not in refused.stderr


class Reader(torch.nn.Module):
    """A system of offsets that says how bright the first pixel of a picture is, and how loud the first sample."""

    def offsets(self, batch: Batch) -> OffsetEstimate:
        return OffsetEstimate(batch.video[:, -1, 0, 0, 0].float(), batch.audio[:, 0], 1000.0)


def test_controls_are_what_they_are_called():
    batch = Batch(
        video=torch.arange(12, dtype=torch.uint8).reshape(2, 6, 1, 1, 1).expand(2, 6, 1, 8, 8),
        recorded=torch.tensor([[0.1] * 9, [0.2] * 9]), frames=torch.tensor([6, 6]), fps=torch.tensor([25.0] * 2),
        speaker=torch.zeros(2), offset_ms=torch.zeros(2), key=["a", "b"],
    )  # fmt: skip
    config = OmegaConf.create({"augment": {"crop": 1.0}})
    system = SimpleNamespace(config=config, device=torch.device("cpu"), task=Reader())
    evaluation = SimpleNamespace(run=SimpleNamespace(config=config))
    lips = DrawnLips(evaluation, system)
    found = lips.look(batch, torch.full((2, 6, 1, 4, 4), 200, dtype=torch.uint8), torch.full((2, 9), 0.7), own=False)
    said = {name: (estimate.ms.tolist(), estimate.confidence.tolist()) for name, estimate in found.items()}
    assert said["drawn"] == ([200, 200], pytest.approx([0.7, 0.7]))
    assert said["recorded"] == ([5, 11], pytest.approx([0.1, 0.2]))
    assert said["unsynced"] == ([5, 11], pytest.approx([0.7, 0.7]))
    assert said["mismatched"] == ([5, 11], pytest.approx([0.2, 0.1]))
    assert said["still"] == ([0, 6], pytest.approx([0.1, 0.2]))
    assert "unsynced" not in lips.look(batch, batch.video, batch.audio, own=True)


def test_drawn_pictures_lie_where_they_were_cut():
    run, system = (SimpleNamespace(config=OmegaConf.create({"augment": {"crop": crop}})) for crop in (0.5, 1.0))
    lips = DrawnLips(SimpleNamespace(run=run), system)
    pasted = lips._pasted(torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8), torch.full((1, 1, 3, 6, 6), 255).byte())
    assert (pasted[0, 0, 0, 2:6, 2:6] == 235).all() and pasted.sum() == 16 * 235
    lips = DrawnLips(SimpleNamespace(run=system), run)
    drawn = torch.zeros(1, 1, 1, 8, 8, dtype=torch.uint8)
    drawn[..., 2:6, 2:6] = 9
    assert (lips._pasted(torch.zeros(1, 1, 1, 4, 4, dtype=torch.uint8), drawn) == 9).all()


@pytest.fixture(scope="module")
def heads(tmp_path_factory) -> Path:
    """Shards of four speaking heads that the shipped estimator reads, one of them to train on."""
    pytest.importorskip("espeakng_loader")
    folder = tmp_path_factory.mktemp("heads")
    (folder / "films").mkdir()
    for number in range(4):
        clip = speaking_head(1, 2 if number else 1, 20.0, number)
        mux(encode_h264(clip.frames, clip.fps), clip.audio, folder / "films" / f"{number}.mp4")
    lines = ["file,speaker,split", *(f"{number}.mp4,a,{'test' if number else 'train'}" for number in range(4))]
    (folder / "films" / "metadata.csv").write_text("\n".join(lines) + "\n")
    slts("prepare", "corpus=folder", f"root={folder / 'films'}", f"out={folder / 'data'}", "region=face", "size=144",
         "track=true", "workers=1")  # fmt: skip
    return folder / "data"


def test_the_estimator_tells_how_late_drawn_lips_are_and_is_unsure_of_a_wrong_sound(heads):
    config = OmegaConf.create({"augment": {"crop": 0.8}})
    asked = SimpleNamespace(split="test", batch_size=3)
    looker = EstimatedOffset(Evaluation(asked, SimpleNamespace(config=config), heads, None))
    [recorded] = looker.batches()
    [drawn] = evaluation_loader(ShardDataset(heads, "test", 96, 3, Augmentation(0.8)), 3)
    early = torch.nn.functional.pad(recorded.audio, (0, 1920))[:, 1920:]  # by 120 ms: the lips are as late
    rows = looker.judge(recorded, drawn.video, early, own=False)
    assert list(rows) == recorded.key == drawn.key
    for row in rows.values():
        assert row["drawn_offset_sure"] == row["recorded_offset_sure"] == 1
        moved = row["drawn_offset_estimated_ms"] - row["recorded_offset_estimated_ms"]
        assert moved == pytest.approx(120, abs=15)
    assert sum(row["mismatched_offset_sure"] for row in rows.values()) == 0
    assert set().union(*rows.values()) == set(looker.FIGURES)


def test_what_lies_at_the_limit_of_the_search_is_not_sure():
    estimate = OffsetEstimate(torch.tensor([0.0, 190.0, -200.0, 10.0]), torch.tensor([0.9, 0.9, 0.9, 0.4]), 200.0)
    assert estimate.sure(0.5).tolist() == [True, True, False, False]
    assert not estimate.sure(None).any()
    looker = EstimatedOffset.__new__(EstimatedOffset)
    looker.system = SimpleNamespace(task=SimpleNamespace(sure_above=0.5))
    looker.look = lambda *_: {"drawn": estimate}
    rows = looker.judge(SimpleNamespace(key=list("abcd")), None, None, True)
    assert [row["drawn_offset_sure"] for row in rows.values()] == [1, 1, 0, 0]
