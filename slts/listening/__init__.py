"""A listening test: what people think of what systems give, blind and in balanced order.

``systems`` finds what runs left, ``material`` makes of it clips of one loudness under opaque names, ``order`` says in
which order a rater hears them, ``plan`` is the file that holds all of it, ``answers`` are the raters' files,
``server`` serves ``page.html``, ``export`` makes tables of answers, ``webmushra`` a config of the test for others.
"""
