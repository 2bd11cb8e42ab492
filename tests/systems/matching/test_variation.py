"""Variations of pictures and sounds: much changes, time does not."""

import pytest
import torch

from slts.systems.matching.variation import faster, mouth_views, standardised, standardised_mel, vary_mel, vary_pictures


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_a_view_is_the_square_that_was_asked_for():
    video = torch.zeros(1, 2, 1, 40, 40, dtype=torch.uint8)
    video[..., 24:36, 14:26] = 200  # rows around 30, columns around 20
    view = mouth_views(video, 16, (0.5, 0.75), 11 / 40)
    assert view.shape == (1, 2, 1, 16, 16)
    assert float(view.min()) == pytest.approx(200, abs=1)


def test_random_views_differ_between_clips_and_hold_still_within_one_but_for_a_little_trembling():
    picture = torch.rand(1, 1, 1, 64, 64) * 255
    video = torch.nn.functional.avg_pool2d(picture[0], 9, 1, 4)[None].expand(2, 12, 1, 64, 64)
    views = mouth_views(video, 24, (0.5, 0.5), 0.6, strength=1.0)
    between = (views[0] - views[1]).abs().mean()
    within = (views[:, 1:] - views[:, :-1]).abs().mean()
    assert between > 3 * within


def test_an_event_in_the_picture_stays_where_it_was():
    event, kept = 20, 0
    for _ in range(20):
        views = 0.3 * torch.randn(4, 1, 1, 24, 24).repeat(1, 40, 1, 1, 1) + 0.05 * torch.randn(4, 40, 1, 24, 24)
        views[:, event:, :, 6:18, 6:18] += 2.0
        varied = vary_pictures(standardised(views))
        jump = (varied[:, 1:] - varied[:, :-1]).abs().mean((2, 3, 4))
        kept += int((jump.argmax(1) == event - 1).sum())
        assert torch.isfinite(varied).all()
    assert kept >= 0.75 * 80  # the rest have something in front, or the frame before shown twice


def test_an_event_in_the_sound_stays_where_it_was_in_every_room_and_codec():
    event, early = 60, 0
    for _ in range(10):
        mel = torch.full((4, 120, 80), -8.0) + 0.3 * torch.randn(4, 120, 80)
        mel[:, event : event + 30, 5:60] += 6.0
        varied = standardised_mel(vary_mel(mel), torch.full((4,), 120))
        rise = varied[:, 1:, 5:40].mean(2) - varied[:, :-1, 5:40].mean(2)
        early += int(((rise.argmax(1) - (event - 1)).abs() <= 1).sum())
        assert torch.isfinite(varied).all()
    assert early >= 0.9 * 40


def test_faster_sound_is_shorter_and_its_events_come_earlier():
    audio = torch.zeros(1, 16000)
    audio[0, 8000:8100] = 1.0
    quick = faster(audio, 1.1)
    assert quick.shape[1] == int(16000 / 1.1)
    assert int(quick[0].argmax()) == pytest.approx(8000 / 1.1, abs=5)


def test_variation_is_random_and_repeatable():
    mel = torch.randn(3, 50, 80)
    torch.manual_seed(1)
    first = vary_mel(mel)
    second = vary_mel(mel)
    torch.manual_seed(1)
    assert torch.equal(first, vary_mel(mel))
    assert not torch.equal(first, second)


def test_what_pads_a_clip_does_not_change_its_standard():
    views, mel = 3 + 2 * torch.randn(2, 30, 1, 8, 8), torch.randn(2, 40, 80) - 5
    valid = torch.arange(30) < torch.tensor([30, 20])[:, None]
    views[1, 20:], mel[1, 25:] = 0, -11.5
    padded, alone = standardised(views, valid), standardised(views[1:, :20])
    assert torch.allclose(padded[1:, :20], alone, atol=1e-5) and not padded[1, 20:].any()
    assert torch.allclose(standardised(views[:1]), padded[:1], atol=1e-5)
    heard, short = standardised_mel(mel, torch.tensor([40, 25])), standardised_mel(mel[1:, :25], torch.tensor([25]))
    assert torch.allclose(heard[1:, :25], short, atol=1e-5) and not heard[1, 25:].any()
