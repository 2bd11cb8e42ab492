"""The order of samples: once an epoch, whatever the ranks, and resumable from one integer."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slts.data.loader import EndlessSampler
from slts.errors import UserError


@given(size=st.integers(1, 60), per_rank=st.integers(1, 5), ranks=st.integers(1, 4), seed=st.integers(0, 3))
def test_every_sample_once_an_epoch_on_any_number_of_ranks(size, per_rank, ranks, seed):
    batch_size, steps = per_rank * ranks, 3 * size // (per_rank * ranks) + 2
    streams = [list(islice(EndlessSampler(size, batch_size, seed, 0, r, ranks), steps)) for r in range(ranks)]
    seen = [item for step in zip(*streams, strict=True) for rank in step for item in rank]
    alone = [item for batch in islice(EndlessSampler(size, batch_size, seed), steps) for item in batch]
    assert sorted(seen) == sorted(alone)
    for epoch in range(3):
        # The last epoch of the three is whole as well, because the steps go beyond it.
        assert sorted(index for e, index in seen if e == epoch) == list(range(size))


@given(size=st.integers(1, 40), batch_size=st.integers(1, 9), done=st.integers(0, 20))
def test_resuming_at_a_position_continues_the_stream(size, batch_size, done):
    whole = list(islice(EndlessSampler(size, batch_size, 1), done + 4))
    assert list(islice(EndlessSampler(size, batch_size, 1, position=done * batch_size), 4)) == whole[done:]


def test_another_world_size_continues_without_loss_or_repetition():
    first = [i for b in islice(EndlessSampler(10, 6, 0, 0, 0, 2), 2) for i in b]
    first += [i for b in islice(EndlessSampler(10, 6, 0, 0, 1, 2), 2) for i in b]
    then = [i for r in range(3) for b in islice(EndlessSampler(10, 6, 0, 12, r, 3), 3) for i in b]
    assert sorted(first + then) == sorted(i for b in islice(EndlessSampler(10, 6, 0), 5) for i in b)


def test_a_batch_that_the_ranks_cannot_share_is_refused():
    with pytest.raises(UserError, match="batch_size=8 cannot be divided by 3"):
        EndlessSampler(10, 8, 0, ranks=3)
