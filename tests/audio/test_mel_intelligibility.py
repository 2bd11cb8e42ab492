"""The mel form of STOI against the waveform's, its masks and its gradient."""

import numpy as np
import torch

from slts.audio.mel import log_mel
from slts.audio.mel_intelligibility import mel_intelligibility
from slts.audio.stoi import short_time_intelligibility


def speech_like(seed: int, clips: int = 4, seconds: float = 3.0) -> torch.Tensor:
    """Noise (B, N) with slowly varying spectrum and level."""
    generator = torch.Generator().manual_seed(seed)
    samples = int(seconds * 16000)
    audio = torch.zeros(clips, samples)
    time = torch.arange(samples) / 16000
    for band in range(1, 12):
        rate, phase = torch.rand(2, clips, 1, generator=generator)
        level = (1 + torch.sin(2 * np.pi * ((1 + 5 * rate) * time + phase))) ** 2
        tone = torch.sin(2 * np.pi * (330 * band * time + torch.rand(clips, 1, generator=generator)))
        audio += level * tone / 40
    return audio


def whole(mel: torch.Tensor) -> torch.Tensor:
    return torch.ones(mel.shape[:2], dtype=torch.bool)


def test_follows_the_waveforms_stoi():
    clean = speech_like(0)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    scores = []
    for level in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        noisy = clean + level * noise
        mels = log_mel(clean), log_mel(noisy)
        ours = mel_intelligibility(*mels, whole(mels[0])).mean()
        scores.append((float(ours), float(short_time_intelligibility(clean, noisy).mean())))
    ours, stoi = np.array(scores).T
    assert abs(ours[0] - 1) < 1e-4
    assert (np.diff(ours) < 0).all()
    assert np.abs(ours - stoi).max() < 0.1


def test_a_level_change_costs_nothing_and_a_shift_does():
    mel = log_mel(speech_like(2))
    assert mel_intelligibility(mel, mel + 1.5, whole(mel)).min() > 0.99
    assert mel_intelligibility(mel, mel.roll(15, 1), whole(mel)).max() < 0.8


def test_masked_frames_do_not_count():
    mel = log_mel(speech_like(3))
    spoilt, valid = mel.clone(), whole(mel)
    spoilt[:, :100] = 0
    valid[:, :100] = False
    assert mel_intelligibility(mel, spoilt, valid).min() > 0.999
    assert mel_intelligibility(mel, spoilt, whole(mel)).max() < 0.95
    assert (mel_intelligibility(mel, mel, torch.zeros_like(valid)) == 0).all()


def test_gradient_is_finite_in_silence_and_improves_the_mel():
    mel = log_mel(speech_like(4))
    mel[:, :80] = np.log(1e-5)
    blurred = torch.nn.functional.avg_pool1d(mel.transpose(1, 2), 15, 1, 7).transpose(1, 2).requires_grad_()
    score = mel_intelligibility(mel, blurred, whole(mel)).mean()
    (gradient,) = torch.autograd.grad(score, blurred)
    assert gradient.isfinite().all()
    assert mel_intelligibility(mel, blurred + 1000 * gradient, whole(mel)).mean() > score + 0.01
