"""The order of samples: once an epoch, whatever the ranks and workers, and resumable from one integer."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slts.data.order import EndlessSampler, SampleOrder
from slts.errors import UserError

shard_sizes = st.lists(st.integers(1, 9), min_size=1, max_size=12)
window = st.integers(0, 5)


def stream(sizes, batch_size, steps, position=0, rank=0, ranks=1, seed=1, window=0) -> list[list[tuple[int, int]]]:
    sampler = EndlessSampler(SampleOrder(sizes, seed, window), batch_size, position, rank, ranks)
    return list(islice(sampler, steps))


def joined(parts: list[list[list]]) -> list:
    """The samples of all ranks in the order of the endless sequence."""
    return [item for step in zip(*parts, strict=True) for place in zip(*step, strict=True) for item in place]


@given(shard_sizes, st.integers(1, 5), st.sampled_from([1, 2, 3]), st.integers(0, 3), window)
def test_every_sample_once_an_epoch_on_any_number_of_ranks(sizes, per_rank, ranks, seed, window):
    size, batch_size = sum(sizes), per_rank * ranks
    steps = 3 * size // batch_size + 2
    parts = [stream(sizes, batch_size, steps, 0, r, ranks, seed, window) for r in range(ranks)]
    assert {len(part) for part in parts} == {steps}  # equal step counts
    seen = joined(parts)
    assert seen == joined([stream(sizes, batch_size, steps, seed=seed, window=window)])
    for epoch in range(3):
        assert seen[epoch * size : (epoch + 1) * size] == [item for item in seen if item[0] == epoch]
        assert sorted(index for e, index in seen if e == epoch) == list(range(size))
        shares = [sum(e == epoch for batch in part for e, _ in batch) for part in parts]
        assert max(shares) - min(shares) <= 1  # the uneven tail


@given(shard_sizes, st.integers(1, 9), st.integers(0, 60), window)
def test_resuming_at_a_position_continues_the_stream(sizes, batch_size, position, window):
    whole = joined([stream(sizes, 1, position + 4 * batch_size, window=window)])
    assert joined([stream(sizes, batch_size, 4, position, window=window)]) == whole[position:]


@given(
    shard_sizes,
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(0, 4)), min_size=2, max_size=4),
    window,
)
def test_a_change_of_the_world_size_neither_loses_nor_repeats_a_sample(sizes, sessions, window):
    position, seen = 0, []
    for ranks, per_rank, steps in sessions:
        batch_size = ranks * per_rank
        seen += joined([stream(sizes, batch_size, steps, position, r, ranks, window=window) for r in range(ranks)])
        position += steps * batch_size
    assert seen == joined([stream(sizes, 1, position, window=window)])


@given(shard_sizes, st.integers(0, 3), window, st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_order_is_a_pure_function_of_seed_and_position(sizes, seed, window, positions):
    order = SampleOrder(sizes, seed, window)
    assert [order[p] for p in positions] == [SampleOrder(sizes, seed, window)[p] for p in positions]


@given(shard_sizes, st.integers(1, 5), st.integers(0, 100))
def test_a_window_names_the_shards_of_its_samples(sizes, window, position):
    order = SampleOrder(sizes, 1, window)
    shards, following = order.window(position)
    assert position < following and len(shards) <= window
    shard_of = [shard for shard, size in enumerate(sizes) for _ in range(size)]
    assert {shard_of[order[place][1]] for place in range(position, following)} <= set(shards)
    assert order.window(following)[1] > following


def test_epochs_and_seeds_differ_and_windows_mix_only_their_shards():
    order = SampleOrder([10] * 6, 0, 2)
    epochs = [[order[epoch * 60 + place][1] for place in range(60)] for epoch in range(2)]
    assert epochs[0] != epochs[1] and epochs[0] != [SampleOrder([10] * 6, 1, 2)[place][1] for place in range(60)]
    for epoch in epochs:
        assert [len({sample // 10 for sample in epoch[i : i + 20]}) for i in (0, 20, 40)] == [2, 2, 2]
    whole = SampleOrder([10] * 6, 0)
    assert len({whole[place][1] // 10 for place in range(12)}) > 2


@given(shard_sizes, st.integers(0, 3), window, st.integers(0, 2))
def test_an_epoch_is_the_permutation_that_runs_of_before_were_trained_in(sizes, seed, window, epoch):
    """Written out plainly: runs resume in the middle of it, so that it must never change."""
    rng, starts = np.random.default_rng([seed, epoch]), np.cumsum([0, *sizes])
    shards = rng.permutation(len(sizes))
    expected: list[int] = []
    for first in range(0, len(sizes), window or len(sizes)):
        mixed = [np.arange(starts[s], starts[s + 1]) for s in shards[first : first + (window or len(sizes))]]
        expected += rng.permutation(np.concatenate(mixed)).tolist()
    order, size = SampleOrder(sizes, seed, window), sum(sizes)
    assert [order[epoch * size + place] for place in range(size)] == [(epoch, sample) for sample in expected]


def test_ten_million_samples_take_four_bytes_each():
    order = SampleOrder([1000] * 10_000, 0)
    assert order._samples.nbytes == 40_000_000
    assert order.window(25_000_000)[1] == 30_000_000  # no sample is drawn for it


def test_a_batch_that_the_ranks_cannot_share_is_refused():
    with pytest.raises(UserError, match="batch_size=8 cannot be divided by 3"):
        EndlessSampler(SampleOrder([10], 0), 8, ranks=3)
