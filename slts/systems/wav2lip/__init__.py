"""Wav2Lip: pictures whose lips say what a sound says (Prajwal et al., arXiv 2008.10010)."""
