"""Wav2Lip's expert: whether lips and sound of a fifth of a second belong together."""
