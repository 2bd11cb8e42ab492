"""Trials of held-out clips, and an estimator kept in one file."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import save_file

from slts.config import compose
from slts.data.dataset import ShardDataset
from slts.errors import UserError
from slts.offsets.confidence import EVIDENCE, REACH, Calibration
from slts.offsets.estimator import OffsetEstimator
from slts.offsets.held_out import measure
from slts.offsets.trials import CONTROLS, LARGEST_MS, trials
from slts.systems import build_task


@pytest.fixture(scope="module")
def small():
    sizes = ("model.view=16", "model.width=2", "model.hidden=8", "model.embedding=4")
    config, _ = compose("train", ["data=x", "name=x", "experiment=matching", *sizes])
    torch.manual_seed(0)
    given = {name: OmegaConf.to_container(config[name]) for name in ("model", "task")}
    calibration = Calibration([1.0] + [0.0] * (len(EVIDENCE) - 1), -1.0, 0.7, 40, 12.5)
    return OffsetEstimator(build_task(config, {}), given, calibration)


def clip(seconds: float = 2.4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 255, (round(seconds * 25), 112, 112), np.uint8)
    return video, 0.1 * rng.standard_normal(round(seconds * 16000)).astype(np.float32), 25.0


def test_an_estimator_measures_the_same_from_its_file(small, tmp_path):
    small.save(tmp_path / "one.safetensors")
    again = OffsetEstimator.load(tmp_path / "one.safetensors")
    before, after = small.measure(*clip()), again.measure(*clip())
    assert again.calibration == small.calibration
    assert np.allclose(before.profile, after.profile, atol=2e-3)  # half precision
    assert before.profile.shape == (2 * REACH + 1,)
    assert abs(after.offset_ms + 12.5) <= 400 and 0 <= after.confidence <= 1
    assert after.sure == (after.confidence >= 0.7)


def test_what_is_no_estimator_is_refused_in_one_line(small, tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    small.save(tmp_path / "cut.safetensors")
    whole = (tmp_path / "cut.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    for name in ("other", "text", "cut", "missing"):
        with pytest.raises(UserError, match=f"{name}.safetensors: no weights of an offset estimator") as refusal:
            OffsetEstimator.load(tmp_path / f"{name}.safetensors")
        assert "\n" not in str(refusal.value)


def test_a_batch_that_pads_gives_each_clip_the_offset_it_has_alone(small):
    from slts.data.batch import Batch, collate

    def sample(seconds, seed):
        video, audio, fps = clip(seconds, seed)
        pictures = torch.from_numpy(video)[:, None]
        return {
            "video": pictures,
            "audio": torch.from_numpy(audio),
            "fps": fps,
            "speaker": 0,
            "offset_ms": 0.0,
            "key": "",
            "sounds": {},
        }

    both: Batch = collate([sample(2.4, 0), sample(1.6, 1)])
    alone = collate([sample(1.6, 1)])
    curves, lengths = small.task.profiles(both, 30)
    single, _ = small.task.profiles(alone, 30)
    assert lengths.tolist() == [240, 160]
    assert torch.allclose(curves[1], single[0], atol=0.02)


def test_trials_are_where_they_say(tiny_corpus, small):
    dataset = ShardDataset(tiny_corpus, "train", 72, 1)
    batches = list(trials(dataset, "train", 3, 2, True, 2))
    assert len(batches) == 2
    batch, facts = batches[0]
    assert [fact.kind for fact in facts] == ["own"] * 3 + ["other"] * 2 + [*CONTROLS[1:]]
    truths = np.array([fact.truth_ms for fact in facts])
    assert np.isnan(truths[3:]).all() and (np.abs(truths[:3]) <= LARGEST_MS).all() and len(set(truths[:3])) > 1
    whole = {clip["key"]: clip for clip in (dataset[0, i] for i in range(len(dataset)))}[facts[0].key]
    for row in range(3):
        # Picture and sound of a trial are found in the clip, apart by what was injected beside its own offset.
        picture, sound = batch.video[row][: batch.frames[row]], batch.audio[row]
        first = next(
            i for i in range(len(whole["video"])) if torch.equal(whole["video"][i : i + len(picture)], picture)
        )
        begin = round((first / 25 + (truths[row] - whole["offset_ms"]) / 1000) * 16000)
        assert torch.equal(whole["audio"][begin : begin + 16000], sound[:16000])
    kinds = [fact.kind for fact in facts]
    still, silence = kinds.index("still"), kinds.index("silence")
    frames = int(batch.frames[still])
    assert torch.equal(batch.video[still, 0], batch.video[still, frames - 1]) and not batch.audio[silence].any()
    found = measure(small.task, batches, 40)
    assert found["evidence"].shape == (2 * len(facts), len(EVIDENCE)) and np.isfinite(found["evidence"]).all()
    assert (np.abs(found["found_ms"]) <= 400).all()
