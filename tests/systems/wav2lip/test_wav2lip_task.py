"""Wav2Lip's generator: what it sees and hears, its losses, the expert that stays as it is, and what it draws."""

import math

import pytest
import torch
from omegaconf import OmegaConf

from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.lipsync_expert import learning_expert
from slts.systems.lipsync_expert.network import PUBLISHED, LipSyncExpert
from slts.systems.wav2lip import task as module
from slts.systems.wav2lip.chin_margin import LARGEST, vary_chin
from slts.systems.wav2lip.masking import MASKS
from slts.systems.wav2lip.reference import choose, one_of, references_of
from slts.systems.wav2lip.task import video_pictures
from slts.training.optimizer import build_optimizer

CORPUS = {"fps": [25.0]}


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", "experiment=wav2lip_cpu", "model.width=0.125", *overrides])
    check_task(config)
    torch.manual_seed(0)
    return build_task(config, CORPUS)


def batch(clips: int = 2, frames: int = 30, fps: float = 25.0, channels: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(
        video=torch.randint(0, 255, (clips, frames, channels, 48, 48), dtype=torch.uint8, generator=generator),
        recorded=torch.randn(clips, round(frames / fps * 16000), generator=generator) * 0.1,
        frames=torch.full((clips,), frames),
        fps=torch.full((clips,), fps),
        speaker=torch.zeros(clips, dtype=torch.long),
        offset_ms=torch.full((clips,), math.nan),
        key=[str(i) for i in range(clips)],
    )


@pytest.fixture
def watched(monkeypatch):
    """A task with a small expert that is in place already."""

    def watch(*overrides: str):
        task = make("task.expert=somewhere", *overrides)
        task.expert.network = LipSyncExpert(48, 3, 0.125, task.frames).eval()
        return task

    return watch


def test_every_parameter_is_trained_and_the_expert_is_not(watched):
    task = watched("variant=with_quality", "task.sync_below=100")
    before = {name: value.clone() for name, value in task.expert.network.state_dict().items()}
    optimizer = build_optimizer(task, compose("train", ["data=x", "name=x", "experiment=wav2lip_cpu"])[0].optim)
    for _ in range(2):
        losses, _ = task(batch())
        assert set(losses) == {"l1", "sync", "quality", "critic"}
        sum(losses.values()).backward()
        assert not [name for name, p in task.named_parameters() if p.grad is None]
        optimizer.step()
    for name, value in task.expert.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any("expert" in name for name in task.state_dict())
    assert not task.train().expert.network.training
    judged = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert judged == {id(p) for p in task.parameters()}


def test_a_learning_expert_begins_as_the_trained_one_and_learns_from_its_own_loss_alone(monkeypatch):
    """Table 2's fine-tuned form: in the state, optimised, and the generator's sync loss does not move it."""
    task = make("task.expert=somewhere", "variant=fine_tuned_expert", "task.sync_below=100")
    trained = LipSyncExpert(48, 3, 0.125, 5)
    monkeypatch.setattr(learning_expert, "trained_expert", lambda *_: trained)
    losses, _ = task(batch())
    learning = task.expert.network
    for (name, value), learned in zip(learning.named_parameters(), trained.parameters(), strict=True):
        assert torch.equal(value, learned), name
    assert "expert.network.face_encoder.0.conv_block.0.weight" in task.state_dict()
    of_expert, of_generator = list(learning.parameters()), list(task.generator.parameters())
    (losses["l1"] + losses["sync"]).backward(retain_graph=True)
    assert all(p.grad is None for p in of_expert) and all(p.grad is not None for p in of_generator)
    task.zero_grad()
    losses["expert"].backward()
    assert all(p.grad is not None for p in of_expert) and all(p.grad is None for p in of_generator)
    monkeypatch.setattr(learning_expert, "trained_expert", lambda *_: pytest.fail("taken over again"))
    resumed = make("task.expert=somewhere", "variant=fine_tuned_expert")
    resumed.load_state_dict(task.state_dict())
    resumed(batch())


def test_what_learning_experts_refuse(monkeypatch):
    with pytest.raises(UserError, match="goes on from an expert; name its run"):
        make("variant=fine_tuned_expert")
    task = make("task.expert=somewhere", "variant=fine_tuned_expert")
    monkeypatch.setattr(learning_expert, "trained_expert", lambda *_: LipSyncExpert(48, 3, 0.25, 5))
    with pytest.raises(UserError, match="has other widths than the generator"):
        task(batch())


def test_the_expert_teaches_the_generator(watched):
    """With the sync loss alone the expert's cosine rises."""
    task = watched("task.loss.sync=1", "task.sync_below=100")
    optimizer = torch.optim.Adam(task.generator.parameters(), 1e-3)
    losses, clips = [], batch()
    for _ in range(12):
        torch.manual_seed(0)
        found, report = task(clips)
        optimizer.zero_grad()
        sum(found.values()).backward()
        optimizer.step()
        losses.append(float(report["sync_loss"]))
    assert losses[-1] < losses[0] - 0.01


def test_the_sync_loss_counts_from_its_time_on_for_ever(watched):
    task = watched("task.sync_below=0.5", "task.sync_from=3")
    for sync, on, mean in [(0.4, 0, 0.4), (0.2, 0, 0.3), (0.3, 1, 0.3), (8.0, 1, 2.225)]:
        task._remember(torch.tensor(sync))
        assert float(task.sync_on) == on and float(task.sync_mean) == pytest.approx(mean)
    other = make("task.expert=somewhere")
    other.load_state_dict(task.state_dict())
    assert float(other.sync_on) == 1 and int(other.taken) == 4
    weights = dict(zip(*(task(batch())[0], (1, 2)), strict=False))
    assert set(weights) == {"l1", "sync"}


def test_evaluation_leaves_the_state_alone(watched):
    task = watched().eval()
    before = task.state_dict()
    task(batch())
    assert int(task.taken) == 0 and all(torch.equal(value, before[name]) for name, value in task.state_dict().items())


def test_a_loss_before_its_time_has_no_weight(watched):
    task = watched("task.sync_below=1e-9")
    losses, report = task(batch())
    assert float(losses["sync"].detach()) == 0 and float(report["sync_loss"]) > 0
    torch.testing.assert_close(losses["l1"].detach(), report["l1"])


class Listener(torch.nn.Module):
    """Draws the number that it hears; keeps what it was shown."""

    image_size, channels = 48, 3

    def forward(self, masked, reference, mel):
        self.masked, self.reference, self.heard = masked, reference, mel[:, 0, 0]
        return torch.full_like(masked, 0.5)


@pytest.mark.parametrize("lead", [80.0, 40.0, 0.0])
def test_what_is_shown_and_heard(lead, monkeypatch):
    task = make(f"task.mel_lead_ms={lead}")
    task.generator = Listener()
    clips = batch(clips=1, frames=60)
    clips.video[:] = torch.arange(60, dtype=torch.uint8)[None, :, None, None, None]
    monkeypatch.setattr(module, "lipsync_mel", lambda audio: torch.arange(193.0)[None, :, None].expand(1, 193, 80))
    task(clips)
    frames = (task.generator.masked[:, 0, 0, 0] * 255).round()
    assert (task.generator.masked[..., 24:, :] == 0).all() and (task.generator.masked[..., :24, :] > -1).all()
    assert frames.diff().tolist() == [1] * 4
    reference = (task.generator.reference[:, 0, 40, 0] * 255).round()
    assert reference.diff().tolist() == [1] * 4 and ((reference - frames).abs() >= 5).all()
    expected = ((frames / 25 - lead / 1000) * 80).round()
    torch.testing.assert_close(task.generator.heard.clamp_min(0), expected.clamp_min(0))


def test_pictures_drawn_depend_on_their_own_sound_and_clip_alone():
    task = make().eval()
    clips = batch(clips=2, frames=30)
    clips.frames[1] = 20
    drawn = task.draw(clips)
    assert drawn.shape == clips.video.shape and drawn.dtype == torch.uint8
    assert (drawn[1, 20:] == 0).all()
    torch.testing.assert_close(drawn[:1], task.draw(clips.clip(0)))
    other = batch(clips=2, frames=30)
    other.recorded = other.recorded.flip(0)
    assert not torch.equal(task.draw(other)[0], drawn[0])
    # The lower half of a picture is not looked at, but through pictures half a clip away.
    covered = batch(clips=1, frames=30)
    before = task.draw(covered)
    covered.video[:, 3, :, 24:] = 0
    changed = (task.draw(covered) != before)[0].flatten(1).any(1)
    assert changed.nonzero().flatten().tolist() == [(3 - 15) % 30]


@pytest.mark.parametrize("fps", [15.0, 29.97, 60.0])
def test_any_frame_rate_is_drawn(fps, monkeypatch):
    task = make().eval()
    task.generator = Listener()
    monkeypatch.setattr(module, "lipsync_mel", lambda audio: torch.arange(193.0)[None, :, None].expand(1, 193, 80))
    assert task.draw(batch(clips=1, frames=20, fps=fps)).shape[1] == 20
    expected = ((torch.arange(20) / fps - 0.08) * 80).round()
    torch.testing.assert_close(task.generator.heard.clamp_min(0), expected.clamp_min(0))


def test_pictures_to_networks_and_back():
    video = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    assert torch.equal(video_pictures(module.network_pictures(video)), video)
    hidden = MASKS["half"].hide(torch.ones(1, 4, 2))
    assert (hidden[0] == torch.tensor([[1.0, 1], [1, 1], [0, 0], [0, 0]])).all()


def test_a_feathered_mask_hides_the_lower_half_and_keeps_the_upper():
    mask, pictures = MASKS["feathered"], torch.full((1, 3, 40, 40), 0.8)
    hidden = mask.hide(pictures)[0, 0]
    assert (hidden[:18] == 0.8).all() and (hidden[22:] == 0).all() and (hidden.diff(dim=0) <= 0).all()
    done = mask.finish(torch.full_like(pictures, 0.2), pictures)[0, 0]
    assert (done[:18] == 0.8).all() and float(done[30, 20]) == pytest.approx(0.2)
    assert (done[:, 0] > 0.75).all() and (done[-1] > 0.75).all()  # the rim of what is hidden is not drawn over


def test_with_a_feathered_mask_the_upper_half_is_the_given_one():
    task, clips = make("task.mask=feathered").eval(), batch(clips=1, frames=12)
    drawn = task.draw(clips)
    assert torch.equal(drawn[..., :20, :], clips.video[..., :20, :])
    assert not torch.equal(drawn[..., 30:, 10:38], clips.video[..., 30:, 10:38])


def test_a_reference_has_another_mouth_in_the_same_pose():
    target = torch.zeros(1, 1, 4, 4)
    candidates = torch.zeros(1, 4, 1, 4, 4)
    candidates[0, 0, :, 2:] = 0.1
    candidates[0, 1, :, 2:] = 0.5
    candidates[0, 2, :, :2] = 0.9  # turned away, with the mouth farthest from the target's
    candidates[0, 2, :, 2:] = 1.0
    candidates[0, 3, :, :2] = 0.5
    assert choose("other_mouth", target, candidates).tolist() == [1]


def faces_with(openings: list[float]) -> torch.Tensor:
    """Grey faces (n, 3, 48, 48) uint8 with a dark mouth so many rows high."""
    pictures = torch.full((len(openings), 3, 48, 48), 150, dtype=torch.uint8)
    for picture, rows in zip(pictures, openings, strict=True):
        picture[:, 36 - rows // 2 : 36 - rows // 2 + rows, 16:32] = 20
    return pictures


def test_a_reference_has_its_lips_closed():
    faces = faces_with([4, 0, 6, 2])
    assert choose("closed_mouth", faces[:1], faces[None]).tolist() == [1]
    assert references_of("closed_mouth", faces).tolist() == [1] * 4
    assert references_of("random", faces).tolist() == [2, 3, 0, 1]
    assert torch.equal(one_of("closed_mouth", faces), faces[1:2]) and torch.equal(one_of("random", faces), faces[2:3])


@pytest.mark.parametrize("reference", ["other_mouth", "closed_mouth"])
def test_chosen_references_are_of_the_same_clip_and_not_of_the_window(reference):
    task, clips = make(f"task.reference={reference}", "task.windows=3"), batch(frames=40)
    clips.video[:] = (torch.arange(2)[:, None] * 100 + torch.arange(40))[..., None, None, None].to(torch.uint8)
    truth, others = (faces[:, 0, 0, 0, 0] * 255 for faces in task._faces_of(clips, torch.tensor([[0, 9, 30]] * 2)))
    assert truth.round().tolist() == [0, 9, 30, 100, 109, 130]
    assert ((truth - others).abs() >= 4.5).all() and (others[:3] < 50).all() and (others[3:] > 90).all()


def test_a_chin_margin_stretches_each_window_by_itself():
    rows = torch.arange(48.0)[:, None].expand(2, 3, 1, 48, 48) / 48
    torch.manual_seed(0)
    assert torch.allclose(vary_chin(rows, 0.0), rows, atol=1e-6)
    moved = vary_chin(rows, 0.1)
    last = moved[:, :, 0, -1, 0]
    assert (last.diff(dim=1).abs() < 1e-6).all() and float((last[0] - last[1]).abs().max()) > 0.005
    assert ((last < 47 / 48) & (last > 47 / 48 - LARGEST)).all() and (moved[:, :, 0, 0] < 0.01).all()
    task, clips = make("task.chin_margin=0.1"), batch(clips=1)
    starts = torch.tensor([[3]])
    shown = module.network_pictures(clips.video[:, 3:8])
    assert not torch.allclose(task._faces_of(clips, starts)[0], shown)
    assert torch.equal(task.eval()._faces_of(clips, starts)[0], shown)  # judged on pictures as they are


@pytest.mark.parametrize("frames", [1, 3, 5, 16])
def test_windows_of_any_length_are_judged_by_an_expert_of_that_length(frames, watched):
    task = watched(f"task.frames={frames}", "task.sync_below=100")
    task(batch(frames=40))  # from the next step on the sync loss counts
    losses, _ = task(batch(frames=40))
    sum(losses.values()).backward()
    assert float(losses["sync"].detach()) > 0
    assert not [name for name, p in task.named_parameters() if p.grad is None]


def test_a_run_from_before_the_options_draws_as_it_did():
    config, _ = compose("train", ["data=x", "name=x", "experiment=wav2lip_cpu", "model.width=0.125"])
    task, clips = make().eval(), batch()
    config = OmegaConf.create(OmegaConf.to_container(config))
    for name in ("frames", "mask", "reference", "chin_margin", "offsets", "above_confidence"):
        del config.task[name]
    OmegaConf.set_struct(config, True)  # as run directories give it
    check_task(config)
    older = build_task(config, CORPUS).eval()
    older.load_state_dict(task.state_dict())
    assert torch.equal(older.draw(clips), task.draw(clips))


def test_what_cannot_work_is_refused(tmp_path):
    with pytest.raises(UserError, match="needs model=wav2lip"):
        make("model=syncnet_small")
    with pytest.raises(UserError, match="no room for a window"):
        make("chunk_seconds=0.4")
    with pytest.raises(UserError, match="cannot be read"):
        make(f"task.expert={tmp_path / 'absent.pth'}")(batch())
    torch.save(LipSyncExpert(**PUBLISHED).state_dict(), tmp_path / "expert.pth")
    with pytest.raises(UserError, match="windows of 5 pictures of 96 pixels and 3 channels, and the generator needs"):
        make(f"task.expert={tmp_path / 'expert.pth'}")(batch())


def test_loading_the_expert_takes_no_chance_from_the_training(tmp_path):
    torch.save(LipSyncExpert(**PUBLISHED).state_dict(), tmp_path / "expert.pth")
    task = make("model=wav2lip", "model.width=0.1", f"task.expert={tmp_path / 'expert.pth'}")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    task.expert(torch.rand(1, 5, 3, 96, 96, generator=torch.Generator()), torch.zeros(1, 80, 16))
    assert torch.equal(torch.rand(3), expected)
