"""The one frame rate that some systems take."""

from collections.abc import Iterable

from slts.errors import UserError

SAMPLES = 640
"""Of a video frame at 25 a second."""


def refuse_rate(task: str, wanted: float | None, rates: Iterable[float]) -> None:
    """Refuses data of another frame rate than that of a system.

    Args:
        task: names the system.
        wanted: its video frames a second; None where it takes any.
        rates: video frames a second in the data.

    Raises:
        UserError: one of the rates is another.
    """
    if wanted is not None and (others := sorted({*rates} - {wanted})):
        raise UserError(
            f"task={task} with this model= works at {wanted:g} video frames a second and the data has {others[0]:g};"
            f" prepare it with slts prepare fps={wanted:g}"
        )
