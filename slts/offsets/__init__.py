"""Audio-visual offsets: how they are drawn and injected, found, calibrated, compared and taken out.

Positive where the video lags the audio, in milliseconds; arrays and clips in, numbers out, except where a module says
that it applies a trained system.
"""
