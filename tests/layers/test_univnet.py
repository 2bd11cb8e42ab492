"""UnivNet: parity with the implementation in transformers, sizes, location-variable convolution, generation."""

import pytest
import torch
from torch.nn import functional

from slts.layers.univnet import UnivNet, location_variable_convolution


@pytest.mark.parametrize(("channels", "millions"), [(16, 3.96), (32, 14.76)])
def test_parameter_counts(channels, millions):
    # Published counts are without the norms that weight normalisation splits off.
    model = UnivNet(channels)
    count = sum(p.numel() for name, p in model.named_parameters() if not name.endswith("original0"))
    assert count / 1e6 == pytest.approx(millions, abs=0.005)


def from_transformers(state: dict[str, torch.Tensor], channels: int) -> dict[str, torch.Tensor]:
    """The state of ``transformers.UnivNetModel`` under weight norm, in our names and layout."""
    names = [
        ("conv_pre", "input"),
        ("conv_post", "output"),
        ("kernel_predictor.resblocks", "predictor.residuals"),
        (".conv1", ".0"),
        (".conv2", ".2"),
        ("kernel_predictor.input_conv", "predictor.input"),
        ("kernel_predictor.kernel_conv", "predictor.kernels"),
        ("kernel_predictor.bias_conv", "predictor.biases"),
        ("convt_pre", "upsample"),
    ]
    ours = {}
    for name, value in state.items():
        for theirs, our in names:
            name = name.replace(theirs, our)
        if name.startswith("resblocks"):
            name = name.replace("resblocks", "blocks", 1).replace("resblocks", "convolutions").replace(".conv.", ".")
        if "predictor.kernels" in name:
            # Theirs counts (layer, in, out, tap), ours (layer, out, in, tap).
            value = value.unflatten(0, (4, channels, 2 * channels, 3)).transpose(1, 2).flatten(0, 3)
        if "kernels.parametrizations" in name or "biases.parametrizations" in name:
            value = value.flatten(1)
        ours[name] = value
    return ours


@pytest.mark.parametrize(("channels", "strides"), [(16, (8, 5, 4)), (32, (8, 8, 4))])
def test_parity_with_transformers(channels, strides):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.UnivNetModel(
        transformers.UnivNetConfig(
            model_hidden_channels=channels, num_mel_bins=80, resblock_stride_sizes=strides, initializer_range=0.05
        )
    ).eval()
    for parameter in theirs.parameters():  # biases start at zero there and would hide a mix-up
        parameter.data += 0.02 * torch.randn_like(parameter)
    theirs.apply_weight_norm()
    ours = UnivNet(channels, strides=strides).eval()
    ours.load_state_dict(from_transformers(theirs.state_dict(), channels))
    mel, noise = torch.randn(2, 23, 80), torch.randn(2, 64, 23)
    with torch.no_grad():
        expected = theirs(mel, noise.transpose(1, 2)).waveforms
        audio = ours(mel, noise)
    assert audio.shape == (2, 23 * ours.hop)
    assert expected.std() > 0.01
    torch.testing.assert_close(audio, expected, atol=1e-5, rtol=0)


def test_equal_kernels_make_an_ordinary_convolution():
    x, weight, bias = torch.randn(2, 4, 30), torch.randn(6, 4, 3), torch.randn(6)
    kernels = weight.flatten(1).expand(2, 5, 6, 12)
    expected = functional.conv1d(x, weight, bias, padding=1)
    torch.testing.assert_close(location_variable_convolution(x, kernels, bias.expand(2, 5, 6)), expected)


def test_each_stretch_has_its_own_kernel():
    # Two frames of two samples; the first kernel takes the sample before, the second the sample after plus 10.
    x = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    kernels = torch.tensor([[[[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]]])
    biases = torch.tensor([[[0.0], [10.0]]])
    torch.testing.assert_close(
        location_variable_convolution(x, kernels, biases), torch.tensor([[[0.0, 1.0, 14.0, 10.0]]])
    )


def test_gradients_of_the_location_variable_convolution():
    inputs = torch.randn(2, 3, 8), torch.randn(2, 4, 2, 9), torch.randn(2, 4, 2)
    assert torch.autograd.gradcheck(
        location_variable_convolution, tuple(i.double().requires_grad_() for i in inputs), fast_mode=True
    )


def test_gradients_reach_the_mel_and_every_parameter():
    model, mel = UnivNet(8, hidden=16), torch.randn(2, 12, 80, requires_grad=True)
    model(mel).square().mean().backward()
    assert mel.grad.abs().sum(-1).min() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_generate_is_repeatable_and_ends_in_silence():
    model, mel = UnivNet(8, hidden=16).eval(), torch.randn(2, 20, 80)
    silence = torch.linspace(-2, -1, 80)
    first = model.generate(mel, silence, torch.Generator().manual_seed(3))
    assert first.shape == (2, 20 * 160) and not first.requires_grad
    torch.testing.assert_close(model.generate(mel, silence, torch.Generator().manual_seed(3)), first)
    noise = torch.randn(2, 64, 30, generator=torch.Generator().manual_seed(3))
    longer = torch.cat([mel, silence.expand(2, 10, 80)], 1)
    with torch.no_grad():
        torch.testing.assert_close(model(longer, noise)[:, : 20 * 160], first)
    assert model.generate(mel, -1.5).shape == first.shape


def test_a_frame_acts_where_it_is():
    model, noise = UnivNet(8, hidden=16).eval(), torch.randn(1, 64, 60)
    mel = torch.zeros(1, 60, 80)
    changed = mel.clone()
    changed[0, 30] = 5
    with torch.no_grad():
        difference = (model(changed, noise) - model(mel, noise))[0].abs()
    where = difference.nonzero().squeeze(1)
    # 9 frames of the predictor, and at most 40 + 8 + ... samples of the dilated layers, under 8 frames of the first.
    assert 160 * (30 - 17) < where.min() < 160 * 30 < where.max() < 160 * (31 + 17)
    centre = (difference * torch.arange(60 * 160)).sum() / difference.sum()
    assert abs(centre.item() - 160 * 30.5) < 160 * 3


def test_bfloat16_agrees():
    model, mel, noise = UnivNet(8, hidden=16), torch.randn(2, 12, 80), torch.randn(2, 64, 12)
    with torch.autocast("cpu", torch.bfloat16):
        audio = model(mel, noise)
    torch.testing.assert_close(audio.float(), model(mel, noise), atol=0.02, rtol=0)
