"""``slts.metrics`` as others import it."""

import numpy as np
import pytest
from metric_clips import speech_like

import slts.metrics
from slts.metrics.scoring import ALIGNED, PLAIN


def test_every_metric_is_a_documented_function_of_arrays():
    for name in slts.metrics.__all__:
        assert getattr(slts.metrics, name) is not None
        if name not in ("METRICS", "Undefined"):
            assert f"``{name}``" in slts.metrics.__doc__
            assert getattr(slts.metrics, name).__doc__
    assert set(PLAIN) <= set(slts.metrics.__all__) and set(ALIGNED) <= set(slts.metrics.METRICS)


@pytest.mark.parametrize("metric", [*PLAIN, "frontend_offset", "refined_offset"])
def test_arrays_in_a_float_out_and_nothing_changed(metric):
    reference, generated = speech_like(0), speech_like(1)
    before = reference.copy(), generated.copy()
    value = getattr(slts.metrics, metric)(reference, generated)
    assert type(value) is float and np.isfinite(value)
    np.testing.assert_array_equal([reference, generated], before)
    with pytest.raises(slts.metrics.Undefined, match="generated audio is silent"):
        getattr(slts.metrics, metric)(reference, generated * 0)
