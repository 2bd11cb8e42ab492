"""From files to batches: decoding by presentation time, faces, shards, loader."""
