"""The expert: which windows it compares, what it learns of, and its offsets."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from conftest import slts
from omegaconf import OmegaConf

from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.lipsync_expert import task as module
from slts.systems.lipsync_expert.sound_lead import SoundLead
from slts.systems.lipsync_expert.task import LipSyncExpertTask
from slts.systems.lipsync_expert.windows import (
    draw_others,
    draw_starts,
    network_pictures,
    pictures_at,
    room,
    sound_at,
    sound_of,
)

CORPUS = {"fps": [25.0]}


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", "experiment=lipsync_expert_cpu", *overrides])
    check_task(config)
    torch.manual_seed(0)
    return build_task(config, CORPUS)


def batch(clips: int = 2, frames: int = 30, channels: int = 3, offset: float = math.nan) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        video=torch.randint(0, 255, (clips, frames, channels, 48, 48), dtype=torch.uint8, generator=generator),
        recorded=torch.randn(clips, frames * 640, generator=generator) * 0.1,
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), 25.0),
        speaker=torch.zeros(clips, dtype=torch.long),
        offset_ms=torch.full((clips,), float(offset)),
        key=[str(i) for i in range(clips)],
    )


@pytest.mark.parametrize("frames", [1, 3, 5, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameter_is_trained(frames, channels):
    task = make(f"task.frames={frames}", f"model.channels={channels}")
    losses, report = task(batch(channels=channels))
    sum(losses.values()).backward()
    assert not [name for name, p in task.named_parameters() if p.grad is None]
    assert task.gives == ("offsets",) and 0 <= float(report["accuracy"]) <= 1


@pytest.mark.parametrize("lead", [0.0, 0.12, -0.2])
@pytest.mark.parametrize("frames", [1, 3, 5, 16])
def test_windows_lie_in_the_clip(frames, lead):
    clips = batch(frames=25)
    heard = 16.25 if frames == 16 else 5  # pictures that last as long as the sound
    clips.frames[1] = 20
    lowest, count = room(clips, frames, torch.full((2,), lead))
    for first, windows, length in zip(lowest.tolist(), count.tolist(), (25, 20), strict=True):
        fitting = [
            f
            for f in range(length)
            if f + frames <= length
            and f / 25 - (heard - frames) / 50 - lead >= -1e-6
            and f / 25 - (heard - frames) / 50 - lead + heard / 25 <= length / 25 + 1e-6
        ]
        assert [*range(first, first + windows)] == fitting


def test_starts_are_drawn_among_all_and_others_never_the_same():
    torch.manual_seed(0)
    lowest, count = torch.tensor([3, 0]), torch.tensor([4, 30])
    starts = draw_starts(lowest, count, 2000)
    assert starts[0].unique().tolist() == [3, 4, 5, 6] and starts[1].unique().tolist() == [*range(30)]
    others = draw_others(starts, lowest, count)
    assert others[0].unique().tolist() == [3, 4, 5, 6] and others[1].unique().tolist() == [*range(30)]
    assert (others != starts).all()
    distant = draw_others(starts, lowest, count, apart=5)
    assert ((distant - starts)[1].abs() >= 5).all() and (distant[0] != starts[0]).all()


def test_windows_hold_what_is_shown_and_heard_then():
    video = torch.arange(12)[None, :, None, None, None]
    assert pictures_at(video, torch.tensor([[4, 10]]), 3).flatten(1).tolist() == [[4, 5, 6], [10, 11, 11]]
    mel = torch.arange(40.0)[None, :, None].expand(1, 40, 80)
    heard = sound_at(mel, torch.tensor([[0.2, -0.0125 * 2, 0.0125 * 30]]))
    assert heard.shape == (3, 80, 16)
    assert heard[0, 7].tolist() == [*range(16, 32)]
    assert heard[1, 0].tolist() == [-4, -4, *range(14)]
    assert heard[2, 0].tolist() == [*range(30, 40), *[-4] * 6]
    # A picture late by 40 ms belongs to the sound of 40 ms before: 3.2 mel frames.
    late = sound_of(mel, torch.tensor([[5]]), 5, torch.tensor([0.04]))
    assert late[0, 0, 0] == 13


def test_pictures_are_blue_first():
    video = torch.tensor([255, 51, 0], dtype=torch.uint8).reshape(1, 1, 3, 1, 1)
    assert network_pictures(video).flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_known_offsets_are_taken_out_and_unknown_ones_refused():
    assert SoundLead({"sync": "truth"})(batch(offset=-80)).tolist() == pytest.approx([-0.08, -0.08])
    assert SoundLead({"sync": "none"})(batch(offset=-80)).tolist() == [0, 0]
    clips = batch(offset=-80)
    clips.offset_ms[1] = math.nan
    with pytest.raises(UserError, match="the offset of 1 is not known"):
        make("task.sync=truth")(clips)


def dsm(folder, text: str, *overrides: str) -> list[str]:
    (folder / "offsets.csv").write_text(text)
    return ["task.sync=dsm", f"task.offsets={folder / 'offsets.csv'}", *overrides]


def test_measured_offsets_are_taken_out_and_clips_without_one_take_no_part(tmp_path):
    keys = dsm(tmp_path, "key,offset_ms,confidence\n0,-80,0.9\n1,,0.9\n2,40,0.1\n", "task.above_confidence=0.5")
    task, clips = make(*keys), batch(clips=3)
    found = task.sound_lead(clips).tolist()
    assert found[0] == pytest.approx(-0.08) and math.isnan(found[1]) and math.isnan(found[2])
    _, _, counts = task.pairs(clips, 2)
    assert counts.tolist() == [1, 1, 0, 0, 0, 0]
    losses, _ = task(clips)
    assert math.isfinite(float(losses["cosine"].detach()))


def test_measured_offsets_do_what_known_ones_do(tmp_path):
    clips = batch(frames=40, offset=120)
    found = []
    for keys in (["task.sync=truth"], dsm(tmp_path, "key,offset_ms\n0,120\n1,120\n"), []):
        torch.manual_seed(3)
        task = make(*keys)
        torch.manual_seed(4)
        found.append(task.pairs(clips, 4)[0])
    torch.testing.assert_close(found[0], found[1])
    assert not torch.allclose(found[0], found[2])


def test_a_run_from_before_tables_is_built():
    config = OmegaConf.create(OmegaConf.to_container(compose("train", ["data=x", "name=x", "task=lipsync_expert"])[0]))
    del config.task.offsets, config.task.above_confidence
    OmegaConf.set_struct(config, True)
    check_task(config)
    assert build_task(config, CORPUS).sound_lead(batch()).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("key,offset_ms\n0,1\n", "no line of 1"),
        ("key\n0\n", "no column offset_ms"),
        ("key,offset_ms\n0,\n1,\n", "no clip has an offset that counts"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(text, why, tmp_path):
    with pytest.raises(UserError, match=why):
        make(*dsm(tmp_path, text))(batch())
    for keys in (["task.sync=dsm"], ["task.offsets=x.csv"]):
        with pytest.raises(UserError, match="goes with"):
            make(*keys)


def test_a_clip_too_short_does_not_count():
    task = make()
    clips = batch(clips=2, frames=30)
    clips.frames[1] = 5
    _, _, counts = task.pairs(clips, 3)
    assert counts.tolist() == [1, 1, 1, 0, 0, 0]
    losses, _ = task(batch(clips=2, frames=5))
    assert float(losses["cosine"].detach()) == 0


class Clock(torch.nn.Module):
    """An expert that reads the time off pictures and sound."""

    frames = 5

    def embed_lips(self, pictures):
        return self._turned(pictures[:, 0, 0, 0, 0] * 255 * 3.2)

    def embed_sound(self, mel):
        return self._turned(mel[:, 0, 0])

    def _turned(self, j):
        return torch.stack([torch.cos(j / 100), torch.sin(j / 100)], 1)


@pytest.mark.parametrize("late", [-7, 0, 4])
def test_offsets_of_a_clock(late, monkeypatch):
    task = LipSyncExpertTask({"sync": "none", "windows": 1, "radius": 10}, Clock())
    clip = batch(clips=1, frames=60)
    clip.video[:] = torch.arange(60, dtype=torch.uint8)[None, :, None, None, None]
    # The mel frame j carries the number of the frame whose picture is shown late steps after it.
    mel = (torch.arange(193.0) + late)[None, :, None].expand(1, 193, 80)
    monkeypatch.setattr(module, "lipsync_mel", lambda audio: mel)
    found = task.offsets(clip)
    assert found.ms.tolist() == pytest.approx([12.5 * late]) and float(found.confidence[0]) > 0


def test_offsets_of_clips_too_short_are_unknown():
    estimate = make().eval().offsets(batch(frames=4))
    assert estimate.ms.isnan().all() and estimate.ms.shape == (2,)


def test_what_cannot_work_is_refused():
    with pytest.raises(UserError, match="needs model=lipsync_expert"):
        make("model=syncnet_small")
    with pytest.raises(UserError, match="holds no two windows"):
        make("chunk_seconds=0.2")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    folder = tmp_path_factory.mktemp("expert")
    data = folder / "data"
    slts("prepare", "corpus=synthetic", "profile=lagged", "clips=24", "val=0.2", "test=0.2", f"out={data}",
         "workers=1")  # fmt: skip
    keys = ("experiment=lipsync_expert_cpu", "tracking=none", "task.sync=truth", "batch_size=4", "task.windows=4")
    slts("train", f"data={data}", f"runs={folder}", "name=expert", *keys, "steps=4", "validate_every=4",
         "validate_clips=4", "log_every=1", "model.width=0.125")  # fmt: skip
    return folder / "expert"


def test_it_trains_and_is_judged_by_offsets(learned):
    lines = [json.loads(line) for line in (learned / "metrics.jsonl").read_text().splitlines()]
    names = {line["name"] for line in lines}
    assert {"train/accuracy", "val/within_a_frame"} <= names or {"accuracy", "val/within_a_frame"} <= names, names
    assert all(np.isfinite(line["value"]) for line in lines if isinstance(line.get("value"), float))


def test_its_run_measures_clips_and_is_sure_of_none(learned, tmp_path):
    slts("offsets", f"run={learned}", f"data={learned.parent / 'data'}", f"out={tmp_path / 'offsets.csv'}")
    with (tmp_path / "offsets.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["sure"] for row in rows] == ["False"] * 24
