"""A listening test: what people think of what systems give, blind and in balanced order.

``systems`` finds what runs left, ``building`` makes of it clips of one loudness (``level``) under opaque names,
``order`` says in which order a rater hears them, ``plan`` is the file that holds all of it. ``server`` serves
``page.html``, ``answers`` are the raters' files, ``export`` makes tables of them; ``webmushra`` is the test for others.
"""
