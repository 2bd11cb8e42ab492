"""Griffin-Lim: time alignment, consistency with slts.audio.mel, and intelligibility on real speech."""

import os
from pathlib import Path

import av
import numpy as np
import pystoi
import pytest
import torch

from slts.audio import griffin_lim as module
from slts.audio.griffin_lim import fit_to_mel, griffin_lim
from slts.audio.mel import BANDS, FLOOR, HOP, WINDOW, log_mel, magnitude, slaney_filters

GRID = Path(os.environ.get("SLTS_GRID", Path(__file__).parents[3] / "shared" / "grid")) / "s1"


def buzz(seconds: float = 1.0, seed: int = 0) -> torch.Tensor:
    """Harmonics of a gliding pitch under a syllable-like envelope, (1, N): something with the structure of speech."""
    time = torch.arange(int(16000 * seconds)) / 16000
    pitch = 120 + 30 * torch.sin(2 * torch.pi * 1.3 * time + seed)
    phase = 2 * torch.pi * torch.cumsum(pitch / 16000, 0)
    tone = sum(torch.cos(n * phase) / n for n in range(1, 30))
    envelope = torch.sin(2 * torch.pi * 2 * time).clamp_min(0) ** 0.5
    return (0.1 * tone * envelope)[None]


def test_analysis_frames_are_those_of_the_mel():
    audio = buzz()
    window = torch.hann_window(WINDOW)
    spectrum = module._analyse(audio, window)
    torch.testing.assert_close(spectrum.abs(), magnitude(audio)[..., :-1].transpose(1, 2), atol=1e-4, rtol=0)


def test_synthesis_inverts_analysis_to_the_edges():
    audio = torch.randn(2, 20 * HOP)
    window = torch.hann_window(WINDOW)
    weight = module._inverse_overlap(window, 20)
    rebuilt = module._synthesise(module._analyse(audio, window), window, weight)
    torch.testing.assert_close(rebuilt, audio, atol=1e-5, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 7, 60])
def test_length_and_batch(frames):
    mel = torch.randn(3, frames, BANDS) - 4
    audio = griffin_lim(mel, iterations=4)
    assert audio.shape == (3, frames * HOP) and audio.isfinite().all()
    torch.testing.assert_close(griffin_lim(mel[1:2], iterations=4), audio[1:2])


def test_silence_stays_silent():
    audio = griffin_lim(torch.full((1, 50, BANDS), float(np.log(FLOOR))))
    assert audio.isfinite().all() and audio.abs().max() < 1e-3


def test_click_stays_where_it_was():
    for position in (2000, 4007, 8000, 9999):
        audio = torch.zeros(1, 16000)
        audio[0, position] = 0.5
        rebuilt = griffin_lim(log_mel(audio))[0]
        centre = (rebuilt.square() * torch.arange(16000)).sum() / rebuilt.square().sum()
        assert abs(centre.item() - position) < 24, "more than 1.5 ms of shift"


def test_envelope_has_no_constant_shift():
    audio = buzz(2.0)[0]
    rebuilt = griffin_lim(log_mel(audio[None]))[0]

    def envelope(signal):  # over 40 ms, longer than a pitch period: where the pulses fall is the phase's affair
        return torch.nn.functional.avg_pool1d(signal.square()[None], 641, stride=1, padding=320)[0].sqrt()

    first, second = envelope(audio), envelope(rebuilt)
    shifts = range(-320, 321, 8)
    scores = [(first[400:-400] * second.roll(-shift)[400:-400]).sum().item() for shift in shifts]
    assert abs(shifts[int(np.argmax(scores))]) <= 24


def test_update_keeps_the_total_of_a_single_band():
    # One band over two bins: x = (1, 3), f = (0.5, 0.5), mel 4. The band gives 2, so both bins double.
    updated = fit_to_mel(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[[4.0]]]), torch.tensor([[0.5, 0.5]]))
    torch.testing.assert_close(updated, torch.tensor([[[2.0, 6.0]]]))


def test_updates_reach_the_mel():
    mel = log_mel(buzz()).exp()
    filters = slaney_filters()
    estimate = mel @ filters
    for _ in range(60):
        estimate = fit_to_mel(estimate, mel, filters)
    assert (estimate >= 0).all()
    assert ((estimate @ filters.T).clamp_min(FLOOR).log() - mel.log()).abs().mean() < 0.02


def test_mel_of_the_result_is_the_mel_given():
    mel = log_mel(buzz())
    loud = mel > mel.amax() - 5
    error = (log_mel(griffin_lim(mel)) - mel)[loud].abs().mean()
    assert error < 0.25
    assert error < (log_mel(griffin_lim(mel, iterations=0)) - mel)[loud].abs().mean()


def test_real_speech_is_intelligible():
    clips = sorted(GRID.glob("*.mpg"))[::300][:3]
    if not clips:
        pytest.skip("no GRID clips: set SLTS_GRID")
    scores = []
    for clip in clips:
        with av.open(str(clip)) as container:
            resampler = av.AudioResampler(format="s16", layout="stereo", rate=16000)
            pieces = [p for frame in container.decode(audio=0) for p in resampler.resample(frame)]
        samples = np.concatenate([p.to_ndarray().reshape(-1, 2) for p in pieces]).mean(1, dtype=np.float32) / 32768
        samples = samples[: len(samples) // HOP * HOP]
        rebuilt = griffin_lim(log_mel(torch.from_numpy(samples)[None]))[0].numpy()
        scores.append(pystoi.stoi(samples, rebuilt, 16000))
    assert np.mean(scores) > 0.95
