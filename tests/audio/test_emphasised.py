"""VCA-GAN's front end against scipy, and what it gives back."""

import numpy as np
import torch
from scipy import signal

from slts.audio.emphasised import (
    HIGH,
    LOUDEST,
    LOW,
    MOST_GAIN,
    PEAK,
    de_emphasise,
    high_pass,
    prepare,
    scale,
    spectra,
    spread,
    unscale,
)
from slts.audio.griffin_lim import griffin_lim_linear
from slts.audio.mel import log_bands, log_mel
from slts.audio.stoi import short_time_intelligibility


def noise(seconds: float = 1.0, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, int(16000 * seconds), generator=torch.Generator().manual_seed(seed)) * 0.1


def test_the_high_pass_is_scipys_forwards_and_backwards():
    audio = noise()
    audio[:, :4000] = audio[:, -4000:] = 0  # the two pad differently
    sections = signal.butter(7, 55, "highpass", fs=16000, output="sos")
    expected = signal.sosfiltfilt(sections, audio.double().numpy(), padtype=None)
    np.testing.assert_allclose(high_pass(audio).numpy(), expected, atol=2e-4)


def test_a_hum_goes_and_speech_stays():
    time = torch.arange(16000) / 16000
    hum, tone = torch.sin(2 * torch.pi * 30 * time), torch.sin(2 * torch.pi * 200 * time)
    middle = slice(4000, 12000)
    assert high_pass(hum[None])[0, middle].abs().max() < 1e-3
    torch.testing.assert_close(high_pass(tone[None])[0, middle], tone[middle], atol=1e-3, rtol=0)


def test_the_peak_is_fixed_but_silence_stays_silent():
    audio = noise()
    loud = de_emphasise(prepare(audio))
    torch.testing.assert_close(loud.abs().amax(1), torch.full((2,), PEAK), atol=1e-3, rtol=0)
    torch.testing.assert_close(prepare(3 * audio), prepare(audio))
    faint = audio * 1e-4
    torch.testing.assert_close(prepare(faint)[:, 1:], (prepare(audio * 1e-3) / 10)[:, 1:])
    assert prepare(faint).abs().max() < 2 * MOST_GAIN * faint.abs().max()
    assert not prepare(torch.zeros(1, 16000)).any()


def test_de_emphasis_undoes_pre_emphasis():
    audio = noise()
    emphasised = torch.cat([audio[:, :1], audio[:, 1:] - 0.97 * audio[:, :-1]], 1)
    np.testing.assert_allclose(emphasised.numpy(), signal.lfilter([1, -0.97], [1], audio.numpy()), atol=1e-6)
    torch.testing.assert_close(de_emphasise(emphasised), audio, atol=1e-4, rtol=0)


def test_mel_and_magnitude_share_frames_and_range():
    mel, linear = spectra(noise(1.6))
    assert mel.shape == (2, 160, 80) and linear.shape == (2, 160, 321)
    assert mel.min() >= -1 and mel.max() < 1


def test_scaling_goes_back():
    log = torch.linspace(-11.5, LOUDEST, 50)
    torch.testing.assert_close(unscale(scale(log)), log)
    assert scale(torch.tensor(-20.0)) == -1 and scale(torch.tensor(9.0)) == 1


def test_a_spread_mel_has_the_level_of_each_band_and_no_hole_outside():
    """Of a spectrum that is flat in every band's neighbourhood nothing is lost."""
    levels = torch.linspace(-6, 0, 50)[None, :, None]
    flat = levels.exp().expand(-1, -1, 321)
    mel = scale(log_bands(flat.mT, LOW, HIGH))
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(spread(mel), flat, rtol=1e-4, atol=1e-6)
    _, linear = spectra(noise(1.6))
    smooth = spread(scale(log_bands(linear.mT, LOW, HIGH)))
    assert (smooth > 0).all()
    inside = slice(10, 280)
    torch.testing.assert_close(smooth.mean(1)[:, inside], linear.mean(1)[:, inside], rtol=0.3, atol=1e-3)


def test_a_click_stays_in_its_frame():
    audio = torch.zeros(1, 16000)
    audio[0, 160 * 37] = 1
    _, linear = spectra(audio)
    assert linear.sum(-1).argmax() == 37 == log_mel(audio)[0].sum(-1).argmax()


def test_griffin_lim_gives_speech_back_from_its_magnitude(grid):
    from slts.data.media import read_clip

    clip = read_clip(next((grid / "s1").rglob("*.mpg")))
    audio = torch.from_numpy(clip.audio)[None, : clip.audio.shape[-1] // 160 * 160]
    _, linear = spectra(audio)
    again = de_emphasise(griffin_lim_linear(linear, 60))
    assert again.shape == audio.shape
    assert short_time_intelligibility(audio, again).item() > 0.95
