"""Training, judging and showing a system that draws pictures, by the commands themselves."""

import csv
import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from conftest import slts
from safetensors.numpy import load_file

from slts.data.batch import Batch
from slts.data.media import decode_frames, read_audio
from slts.evaluation.films import SHOWN, SIDE, write_film, write_strip
from slts.evaluation.judges.pictures import mouths

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


def test_evaluation_and_the_page(trained):
    done = slts("evaluate", f"run={trained / 'generator'}", "split=test", f"syncnet={trained / 'syncnet'}", "show=2")
    row = json.loads((trained / "generator" / "results.jsonl").read_text().splitlines()[-1])
    for name in ("mouth_l1", "mouth_psnr", "mouth_ssim", "lse_d", "lse_c", "drawn_offset_ms", "lse_d_recorded",
                 "lse_c_mismatched"):  # fmt: skip
        assert math.isfinite(row[name]), (name, done.stdout)
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
