"""SLTS: lip-to-speech with the automatic synchronisation mechanism (Niu and Mak, arXiv 2303.00502)."""
