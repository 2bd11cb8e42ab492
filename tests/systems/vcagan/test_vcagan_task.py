"""Where the gradients of VCA-GAN's losses flow, what it generates, and a run from training to scores."""

import json
import shutil

import av
import numpy as np
import pytest
import soundfile
import torch

from slts.audio.emphasised import de_emphasise, spectra, unscale
from slts.config import compose
from slts.data.batch import Batch
from slts.errors import UserError
from slts.systems import build_task, check_task
from slts.systems.vcagan.generator import coarser
from slts.training.optimizer import build_optimizer
from tests.conftest import slts

pytestmark = pytest.mark.long

SMALL = ["experiment=vcagan_cpu", "model.image_size=32", "model.frame_width=4", "model.generator_width=2"]
CORPUS = {"speakers": ["a"], "fps": [25.0]}
PARTS = ("visual_front", "generator", "postnet", "discriminators", "sync")


def make(*overrides: str):
    config, _ = compose("train", ["data=x", "name=x", *SMALL, *overrides])
    torch.manual_seed(0)
    return build_task(config, CORPUS)


def batch(frames: tuple[int, ...] = (12, 12)) -> Batch:
    generator = torch.Generator().manual_seed(1)
    clips, longest, lengths = len(frames), max(frames), torch.tensor(frames)
    valid = torch.arange(longest) < lengths[:, None]
    video = torch.randint(0, 255, (clips, longest, 1, 32, 32), dtype=torch.uint8, generator=generator)
    audio = torch.randn(clips, longest * 640, generator=generator) * 0.1
    return Batch(
        video=video * valid[..., None, None, None],
        recorded=audio * valid.repeat_interleave(640, 1),
        frames=lengths,
        fps=torch.full((clips,), 25.0),
        speaker=torch.zeros(clips, dtype=torch.long),
        offset_ms=torch.full((clips,), float("nan")),
        key=[str(i) for i in range(clips)],
        valid=None if bool(valid.all()) else valid,
    )


def touched(task, loss: torch.Tensor) -> set[str]:
    """The parts of the task that a loss moves."""
    task.zero_grad()
    loss.backward(retain_graph=True)
    modules = dict(task.named_children()) | dict(task.critic.items())
    return {part for part in PARTS if any(p.grad is not None and p.grad.any() for p in modules[part].parameters())}


def test_each_loss_moves_what_it_should():
    task = make()
    losses, _ = task(batch())
    moved = {name: touched(task, loss) for name, loss in losses.items()}
    assert moved == {
        "mel": {"visual_front", "generator"},
        "linear": {"visual_front", "generator", "postnet"},
        "adversarial": {"visual_front", "generator"},
        "sync": {"visual_front", "generator"},
        "critic": {"discriminators"},
        "r1": {"discriminators"},
        "critic_sync": {"visual_front", "sync"},
    }


def test_the_condition_is_not_bent_towards_the_discriminators():
    task = make()
    losses, _ = task(batch())
    reached = torch.autograd.grad(
        losses["critic"] + losses["r1"], task.visual_front.to_global.weight, allow_unused=True
    )
    assert reached == (None,)


def test_the_generator_is_judged_with_the_local_features_as_they_are():
    """The gradient of the generator's sync loss comes through its mel alone."""
    task = make()
    task.generator.register_forward_hook(lambda *args: [mel.detach() for mel in args[-1]])
    losses, _ = task(batch())
    assert not losses["sync"].requires_grad and losses["critic_sync"].requires_grad


def test_clips_are_learned_by_heart_and_generated_as_they_were_learned():
    """With the critics at work; in training and, with running statistics and fixed noise, in evaluation alike."""
    task, clips = make(), batch((24, 24))
    moments = torch.arange(24) // 4 % 2 == 0
    clips.recorded = clips.audio * moments.repeat_interleave(640)
    mel, linear = (target.detach() for target in task.targets(clips))
    optimizer = build_optimizer(task, compose("train", ["data=x", "name=x", *SMALL])[0].optim)
    for _ in range(60):
        losses, _ = task(clips)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    constant = sum((m - m.mean(-1, keepdim=True)).abs().mean() for m in map(unscale, coarser(mel))) / 3
    assert losses["mel"] < 0.6 * 50 * constant
    with torch.no_grad():
        predicted = task.eval().predict(clips)[1]
    assert (predicted - linear).abs().mean() < 0.5 * linear.mean()
    assert 50 * (predicted - linear).abs().mean() < 1.3 * losses["linear"]


def test_r1_can_be_left_out_and_weights_multiply():
    def losses(*overrides: str) -> dict:
        task = make(*overrides)
        torch.manual_seed(5)
        return task(batch())[0]

    plain, other = losses(), losses("task.loss.r1=0", "task.loss.reconstruction=5", "task.loss.adversarial=2")
    assert "r1" in plain and "r1" not in other
    torch.testing.assert_close(10 * other["mel"], plain["mel"])
    torch.testing.assert_close(10 * other["linear"], plain["linear"])
    torch.testing.assert_close(other["adversarial"], 2 * plain["adversarial"])


def test_recorded_mel_is_the_front_ends_and_a_short_clip_goes_on_in_silence():
    task, clips = make(), batch((12, 8))
    mel, linear = task.targets(clips)
    assert mel.shape == (2, 80, 48) and linear.shape == (2, 48, 321)
    torch.testing.assert_close(mel[0], spectra(clips.audio[:1])[0][0].mT)
    assert (mel[1, :, 32:] == -1).all() and not linear[1, 32:].any()
    assert mel[1, :, :32].max() > -1


def test_what_follows_a_clip_is_compared_with_nothing():
    """Generated frames after a clip's end are taken for silence, so that no loss asks anything of them."""
    task = make()

    def spoil(*args):
        for mel in args[-1]:
            mel[1, :, mel.shape[-1] * 8 // 12 :] += 1e6

    task.generator.register_forward_hook(spoil)
    losses, _ = task(batch((12, 8)))
    assert all(loss < 1000 for loss in losses.values())


def test_generation_is_as_long_as_the_video_needs_no_audio_and_is_repeatable():
    task = make().eval()
    silent = batch()
    silent.recorded = torch.zeros_like(silent.audio)
    assert task.generate(silent).shape == (2, 12 * 640)
    torch.testing.assert_close(task.generate(silent), task.generate(batch()))
    assert task.gives == ("speech",)


def test_a_clip_does_not_depend_on_its_neighbours():
    task = make().eval()
    both, alone = batch((12, 8)), batch((8,))
    alone.video, alone.recorded = both.video[1:, :8], both.audio[1:, : 8 * 640]
    for together, single in zip(task.predict(both), task.predict(alone), strict=True):
        time = 2 if together.shape[1] == 80 else 1
        torch.testing.assert_close(together.narrow(time, 0, 32)[1:], single, atol=1e-5, rtol=1e-4)
    assert {name: mel.shape for name, mel in task.mels(both).items()} == {
        "target": (2, 48, 80),
        "reconstruction": (2, 48, 80),
    }


def test_mirrored_averaging_does_not_know_left_from_right():
    task, clips = make("task.mirror=true").eval(), batch()
    mirrored = batch()
    mirrored.video = mirrored.video.flip(-1)
    views = []
    hook = task.visual_front.register_forward_pre_hook(lambda _, inputs: views.append(inputs[0]))
    for one, other in zip(task.predict(clips), task.predict(mirrored), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    hook.remove()
    assert [torch.equal(view, views[0].flip(-1)) for view in views] == [False, True, True, False]
    plain = make().eval()
    average = (plain.predict(clips)[1] + plain.predict(mirrored)[1]) / 2
    torch.testing.assert_close(task.predict(clips)[1], average, atol=1e-5, rtol=1e-4)


def test_the_pre_emphasis_is_undone(monkeypatch):
    task = make().eval()
    flat = torch.randn(2, 12 * 640)
    monkeypatch.setattr("slts.systems.vcagan.task.griffin_lim_linear", lambda linear, iterations: flat)
    torch.testing.assert_close(task.generate(batch()), de_emphasise(flat))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["task=vcagan", "model=s"], "use model=vcagan"),
        (["task=slts", "model=vcagan"], "use model=s"),
        (["task=vcagan", "vocoder=univnet_c16"], "use vocoder=griffin_lim_60"),
        (["task=vcagan", "variant=no_asm"], "variant=no_asm sets task.dsm"),
        (["task=vcagan", "chunk_seconds=0.3"], "chunk_seconds=0.3"),
    ],
)
def test_combinations_that_cannot_work_are_refused(overrides, words):
    with pytest.raises(UserError, match=words):
        check_task(compose("train", ["data=x", "name=x", *overrides])[0])


def test_the_recipes_are_those_of_the_paper_and_of_the_publication():
    paper, _ = compose("train", ["data=x", "name=x", "experiment=vcagan"])
    assert (paper.steps, paper.batch_size, paper.chunk_seconds, paper.vocoder.iterations) == (70000, 24, 1.6, 60)
    assert (paper.optim.learning_rate, paper.optim.schedule, paper.optim.critic.learning_rate) == (
        1e-4,
        "constant",
        1e-4,
    )
    original, _ = compose("train", ["data=x", "name=x", "experiment=vcagan_original"])
    assert (original.batch_size, original.optim.amsgrad, original.optim.weight_decay) == (88, True, 1e-5)
    assert original.optim.schedule == "steps" and original.optim.critic.follows


def test_a_run_trains_resumes_and_is_scored(tiny_corpus, tmp_path):
    keys = [
        *(f"data={tiny_corpus}", "name=gan", f"runs={tmp_path}", *SMALL, "tracking=none", "workers=0"),
        *("batch_size=2", "validate_every=2", "validate_clips=2", "log_every=1", "optim=vcagan_original"),
        *("optim.schedule=steps", "optim.drops=[2]", "optim.warmup_steps=0", "vocoder.iterations=4"),
        "keep_checkpoints=3",
    ]
    slts("train", *keys, "steps=4")
    lines = [json.loads(line) for line in (tmp_path / "gan" / "metrics.jsonl").read_text().splitlines()]
    rates = {line["step"]: line["value"] for line in lines if line["name"] == "train/learning_rate"}
    assert rates == pytest.approx({1: 2e-3, 2: 2e-3, 3: 2e-4, 4: 2e-4})
    whole = (tmp_path / "gan" / "last" / "model.safetensors").read_bytes()

    # Back to the checkpoint of step 2, as after a kill: the same command goes on and ends with the same weights.
    run = tmp_path / "gan"
    for link in ("last", "best"):
        (run / link).unlink()
        (run / link).symlink_to("checkpoints/step-00000002")
    shutil.rmtree(run / "checkpoints" / "step-00000004")
    slts("train", *keys, "steps=4")
    assert (run / "last").resolve().name == "step-00000004"
    assert (run / "last" / "model.safetensors").read_bytes() == whole

    slts("evaluate", f"run={run}", "split=test", "workers=1", "show=1")
    row = json.loads((run / "results.jsonl").read_text().splitlines()[-1])
    assert (row["task"], row["failed"], row["offset_r2_truth"]) == ("vcagan", 0, None)
    assert row["clips"] > 0 and 0 < row["a_stoi"] < 1

    video = tmp_path / "thirty.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width = stream.height = 72
        stream.pix_fmt = "yuv420p"
        for shade in range(60):
            picture = np.full((72, 72, 3), shade, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    corpus = json.loads((tiny_corpus / "corpus.json").read_text())
    slts("generate", f"run={run}", f"input={video}", f"out={tmp_path / 'said'}", f"speaker={corpus['speakers'][0]}")
    assert soundfile.info(tmp_path / "said" / "thirty.wav").frames == pytest.approx(2 * 16000, abs=640)
