"""The page of ``slts demo``: what is answered of a video (answers), what there is to try (examples), how it looks
(page) and where it is served (serving)."""
