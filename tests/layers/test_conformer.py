"""The conformer: sizes, relative attention against its definition, independence of padding."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slts.layers.conformer import Conformer, ConvolutionModule, RelativeAttention, align_distances, relative_positions


@pytest.mark.parametrize(("width", "millions"), [(144, 8.0), (256, 25.3)])
def test_parameter_counts(width, millions):
    with torch.device("meta"):
        model = Conformer(width, layers=16, heads=4)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)


def test_positions_are_sinusoids_of_the_distance():
    table = relative_positions(3, 4)
    assert table.shape == (6, 4)
    for row, distance in enumerate([2, 1, 0, -1, -2, -3]):
        slow = distance / 100
        expected = [math.sin(distance), math.cos(distance), math.sin(slow), math.cos(slow)]
        torch.testing.assert_close(table[row], torch.tensor(expected))


def test_distances_are_aligned_with_keys():
    # Scores that hold their own distance: entry (i, j) must be i - j.
    for length in (1, 2, 5):
        distances = torch.arange(length - 1, -length - 1, -1).expand(2, length, 2 * length)
        steps = torch.arange(length)
        assert torch.equal(align_distances(distances)[0], steps[:, None] - steps)


def test_attention_is_its_definition():
    width, heads, length, d = 8, 2, 5, 4
    attention, x = RelativeAttention(width, heads, 0.0).eval(), torch.randn(1, length, width)
    positions = relative_positions(length, width)
    with torch.no_grad():
        result = attention(x, positions, None)
        q, k, v = attention.query_key_value(attention.norm(x[0])).split(width, -1)
        p = attention.position(positions)
        out = torch.zeros(length, width)
        for h in range(heads):
            s = slice(h * d, (h + 1) * d)
            for i in range(length):
                scores = torch.stack(
                    [
                        (q[i, s] + attention.u[h, 0]) @ k[j, s]
                        + (q[i, s] + attention.v[h, 0]) @ p[length - 1 - (i - j), s]
                        for j in range(length)
                    ]
                )
                out[i, s] = torch.softmax(scores / math.sqrt(d), 0) @ v[:, s]
        expected = attention.output(out)
    torch.testing.assert_close(result[0], expected, atol=1e-5, rtol=1e-4)


def settled(width=16, layers=2, kernel=7):
    """A model whose batch norms have statistics of their own."""
    torch.manual_seed(1)
    model = Conformer(width, layers, heads=2, kernel=kernel)
    model.train()
    for _ in range(3):
        model(torch.randn(4, 20, width) * 2 + 1)
    return model.eval()


@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 24), min_size=2, max_size=4), seed=st.integers(0, 100))
def test_padding_changes_nothing(lengths, seed):
    torch.manual_seed(seed)
    model = settled()
    x = torch.randn(len(lengths), max(lengths) + 3, 16)
    mask = torch.arange(x.shape[1]) < torch.tensor(lengths)[:, None]
    x[~mask] = 100.0
    with torch.no_grad():
        batch = model(x, mask)
        for row, length in enumerate(lengths):
            single = model(x[row : row + 1, :length])
            torch.testing.assert_close(batch[row, :length], single[0], atol=1e-5, rtol=1e-4)
            assert (batch[row, length:] == 0).all()


def test_no_valid_frame_is_not_nan():
    mask = torch.tensor([[True] * 6, [False] * 6])
    assert settled()(torch.randn(2, 6, 16), mask).isfinite().all()


def test_full_mask_is_no_mask():
    x = torch.randn(3, 9, 16)
    model = settled()
    torch.testing.assert_close(model(x, torch.ones(3, 9, dtype=torch.bool)), model(x))


def test_training_statistics_are_of_valid_frames():
    module, x = ConvolutionModule(8, 3, 0.0), torch.randn(2, 10, 8)
    mask = torch.arange(10) < torch.tensor([[10], [4]])
    module(x, mask)
    first = module.batch_norm.running_mean.clone()
    module.batch_norm.reset_running_stats()
    x[1, 4:] = 50.0
    module(x, mask)
    torch.testing.assert_close(module.batch_norm.running_mean, first)


def test_gradients_respect_the_mask_and_reach_every_parameter():
    model = Conformer(16, 2, 2, kernel=5, dropout=0.0)
    x = torch.randn(2, 8, 16, requires_grad=True)
    mask = torch.arange(8) < torch.tensor([[8], [5]])
    (model(x, mask) * torch.randn(2, 8, 16)).sum().backward()
    assert (x.grad[1, 5:] == 0).all() and (x.grad[1, :5] != 0).all()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_order_matters():
    model, x = settled(kernel=1), torch.randn(1, 6, 16)
    with torch.no_grad():
        assert not torch.allclose(model(x).flip(1), model(x.flip(1)), atol=1e-3)


def test_even_kernel_is_refused():
    with pytest.raises(ValueError, match="odd"):
        Conformer(16, 1, 2, kernel=32)


@pytest.mark.parametrize("masked", [False, True])
def test_bfloat16_agrees(masked):
    model, x = settled(), torch.randn(2, 8, 16)
    mask = torch.arange(8) < torch.tensor([[8], [5]]) if masked else None
    with torch.autocast("cpu", torch.bfloat16):
        y = model(x, mask)
    torch.testing.assert_close(y.float(), model(x, mask), atol=0.05, rtol=0)
