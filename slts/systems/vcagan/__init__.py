"""VCA-GAN (Kim, Hong and Ro, NeurIPS 2021): lip-to-speech with visual context attention, from its description.

Widths follow from two numbers: D, the width of the visual features (512), and c, the channels of the generator's last
stage (32). What the description leaves open is marked "ours" where it is decided.
"""
