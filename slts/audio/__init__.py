"""Signal definitions shared by models, losses and metrics: one mel, one STFT, one resampler."""

SAMPLE_RATE = 16000
"""Hz; every waveform inside slts is mono float32 in [-1, 1] at this rate."""
