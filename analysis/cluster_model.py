"""A model of slts on a cluster: how long prepare takes, and whether shards from object storage feed a GPU.

Discrete events in the time of SimPy (the extra ``dev``). What is shared is a ``Server``, which serves one after another
at a rate; everything else waits or works. What goes in is measured by analysis/scaling.py or assumed there, and
tests/analysis/test_cluster_model.py holds the model against cases that can be computed by hand.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import simpy

ENDLESS = math.inf


@dataclass(frozen=True)
class Work:
    """A root to prepare, by its clips; shards are the unit of work, as in slts.data.preparation."""

    clips: int
    core_seconds: float
    """Of a clip in the mean, and the standard deviation between clips as a part of it."""
    spread: float = 0.0
    read: float = 0.0
    """Bytes of a clip in the root, and in a shard."""
    written: float = 0.0
    names: float = 0.0
    """Operations on names (list, open, rename) of a clip, and of a shard."""
    shard_names: float = 0.0
    listing: float = 0.0
    """Seconds of a clip that the command takes by itself before any shard is begun."""
    merging: float = 0.0
    """Seconds of a shard that it takes after the last."""
    shard_clips: int = 64

    @property
    def shards(self) -> int:
        return math.ceil(self.clips / self.shard_clips)


@dataclass(frozen=True)
class Cluster:
    """Nodes that share one storage. Rates are in bytes or operations a second."""

    nodes: int = 1
    cores: int = 1
    storage: float = ENDLESS
    network: float = ENDLESS
    """Of one node."""
    names: float = ENDLESS
    """Of the storage's metadata server."""
    start: float = 0.0
    """Seconds until a worker process is ready."""
    mtbf: float = ENDLESS
    """Seconds between failures of one node in the mean, which loses the shards that it works on."""
    repair: float = 600.0


@dataclass(frozen=True)
class Prepared:
    """What a simulated prepare took."""

    seconds: float
    use: dict[str, float]
    """Part of the time that each of cores, storage, network, names and command was at work."""
    lost: float
    """Core seconds of shards that died with their node."""
    tail: float
    """Seconds from when no shard was left to begin until the last was made."""

    @property
    def bottleneck(self) -> str:
        return max(self.use, key=lambda name: self.use[name])


class Server:
    """Serves one after another at ``rate``; ``busy`` counts the seconds."""

    def __init__(self, clock: simpy.Environment, rate: float):
        self.clock, self.rate, self.line, self.busy = clock, rate, simpy.Resource(clock), 0.0

    def serve(self, amount: float) -> Iterator[simpy.Event]:
        with self.line.request() as turn:
            yield turn
            seconds = amount / self.rate
            self.busy += seconds
            yield self.clock.timeout(seconds)


class Preparation:
    """One simulated prepare. Each method that yields is a process of the model."""

    def __init__(self, work: Work, cluster: Cluster, seed: int = 0):
        self.work, self.cluster, self.rng = work, cluster, np.random.default_rng(seed)
        self.clock = simpy.Environment()
        self.storage, self.names = Server(self.clock, cluster.storage), Server(self.clock, cluster.names)
        self.networks = [Server(self.clock, cluster.network) for _ in range(cluster.nodes)]
        self.left, self.finished = simpy.Store(self.clock), self.clock.event()
        self.done, self.busy, self.lost, self.command, self.last_begun = 0, 0.0, 0.0, 0.0, 0.0

    def outcome(self) -> Prepared:
        self.clock.run(self.clock.process(self.prepare()))
        seconds, cluster = self.clock.now, self.cluster
        use = {
            "cores": self.busy / (cluster.nodes * cluster.cores),
            "storage": self.storage.busy,
            "network": max(network.busy for network in self.networks),
            "names": self.names.busy,
            "command": self.command,
        }
        use = {name: float(busy / seconds) for name, busy in use.items()}
        return Prepared(float(seconds), use, float(self.lost), float(self.tail))

    def prepare(self) -> Iterator[simpy.Event]:
        """The command: it lists, hands out shards, and merges what was made of them."""
        work = self.work
        yield self.clock.timeout(work.clips * work.listing)
        sizes = np.full(work.shards, work.shard_clips)
        sizes[-1] = work.clips - work.shard_clips * (work.shards - 1)
        for clips, seconds in zip(sizes.tolist(), self._core_seconds(sizes), strict=True):
            self.left.put((clips, seconds))
        for network in self.networks:
            self.clock.process(self.node(network))
        yield self.finished
        self.tail = self.clock.now - self.last_begun
        yield self.clock.timeout(work.shards * work.merging)
        self.command = work.clips * work.listing + work.shards * work.merging

    def node(self, network: Server) -> Iterator[simpy.Event]:
        """A node: its cores work until it fails, and again once it is repaired."""
        while not self.finished.triggered:
            cores = [self.clock.process(self.core(network)) for _ in range(self.cluster.cores)]
            failure = self.clock.timeout(self.cluster.mtbf * self.rng.standard_exponential())
            yield failure | self.finished
            if self.finished.triggered:
                return
            for core in cores:
                core.interrupt()
            yield self.clock.timeout(self.cluster.repair)

    def core(self, network: Server) -> Iterator[simpy.Event]:
        """A worker process: it makes shard after shard, and what it had begun is left to others if it dies."""
        shard, began = self.left.get(), self.clock.now
        try:
            yield self.clock.timeout(self.cluster.start)
            while True:
                clips, seconds = yield shard
                began = self.last_begun = self.clock.now
                yield from self.make(clips, seconds, network)
                self.done += 1
                if self.done == self.work.shards:
                    self.finished.succeed()
                shard = self.left.get()
        except simpy.Interrupt:
            if shard.triggered:
                self.lost += self.clock.now - began
                self.left.put(shard.value)
            else:
                shard.cancel()

    def make(self, clips: int, seconds: float, network: Server) -> Iterator[simpy.Event]:
        """One shard: its videos are found and read, its clips made, and the tar is written and named."""
        work = self.work
        yield from self.names.serve(clips * work.names)
        yield from network.serve(clips * work.read)
        yield from self.storage.serve(clips * work.read)
        self.busy += seconds
        yield self.clock.timeout(seconds)
        yield from network.serve(clips * work.written)
        yield from self.storage.serve(clips * work.written)
        yield from self.names.serve(work.shard_names)

    def _core_seconds(self, clips: np.ndarray) -> list[float]:
        """Of each shard: a sum over its clips, by a gamma distribution of that mean and deviation."""
        mean, spread = clips * self.work.core_seconds, self.work.spread / np.sqrt(clips)
        if not self.work.spread:
            return mean.tolist()
        return (mean * self.rng.gamma(1 / spread**2, spread**2)).tolist()


@dataclass(frozen=True)
class Feed:
    """A rank that trains from shards in object storage, as slts.data.loader and FetchAhead read them."""

    clips_a_second: float = 500.0
    """What the GPU takes."""
    batch: int = 32
    clip: float = 80e3
    """Bytes."""
    shard_clips: int = 64
    window_shards: int = 32
    workers: int = 4
    decoding: float = 0.0
    """Seconds of a clip in a loader process."""
    connections: int = 1
    bandwidth: float = 60e6
    """Bytes a second of one connection in the mean."""
    latency: float = 0.1
    """Seconds until the first byte in the mean."""
    jitter: float = 0.5
    """Standard deviation of the logarithms of both."""
    network: float = ENDLESS
    """Bytes a second of all connections."""


@dataclass(frozen=True)
class Fed:
    """What the GPU got."""

    first: float
    """Seconds until the first batch."""
    clips_a_second: float
    """From the first batch on."""
    waited: float
    """Part of that time in which the GPU had nothing to do."""


class Feeding:
    """One simulated training. Each method that yields is a process of the model."""

    def __init__(self, feed: Feed, windows: int = 20, seed: int = 0):
        self.feed, self.rng = feed, np.random.default_rng(seed)
        self.clock = simpy.Environment()
        self.link = Server(self.clock, feed.network)
        self.batches = windows * feed.window_shards * feed.shard_clips // feed.batch
        self.shards = [self.clock.event() for _ in range(windows * feed.window_shards)]
        self.reached = [self.clock.event() for _ in range(windows)]
        self.ready = [simpy.Store(self.clock, capacity=2) for _ in range(feed.workers)]  # AHEAD of slts.data.handover
        self.wanted = iter(range(len(self.shards)))
        self.waited, self.first = 0.0, 0.0

    def outcome(self) -> Fed:
        for _ in range(self.feed.connections):
            self.clock.process(self.connection())
        for worker in range(self.feed.workers):
            self.clock.process(self.worker(worker))
        self.clock.run(self.clock.process(self.gpu()))
        seconds = self.clock.now - self.first
        return Fed(float(self.first), float(self.batches * self.feed.batch / seconds), float(self.waited / seconds))

    def connection(self) -> Iterator[simpy.Event]:
        """One connection: it fetches the next shard of the window that training is in, or of the one after."""
        feed, size = self.feed, self.feed.shard_clips * self.feed.clip
        for shard in self.wanted:
            if (window := shard // feed.window_shards) > 1:
                yield self.reached[window - 1]
            chance = np.exp(self.rng.normal(-(feed.jitter**2) / 2, feed.jitter, 2))
            yield self.clock.timeout(feed.latency * chance[0])
            yield from self.link.serve(size)
            yield self.clock.timeout(max(0.0, size / (feed.bandwidth * chance[1]) - size / feed.network))
            self.shards[shard].succeed()

    def worker(self, number: int) -> Iterator[simpy.Event]:
        """A loader process: every so-manieth batch, once the shards that are mixed in it are there."""
        feed = self.feed
        a_window = feed.window_shards * feed.shard_clips
        for batch in range(number, self.batches, feed.workers):
            first, last = (place // a_window for place in (batch * feed.batch, (batch + 1) * feed.batch - 1))
            yield self.clock.all_of(self.shards[first * feed.window_shards : (last + 1) * feed.window_shards])
            yield self.clock.timeout(feed.batch * feed.decoding)
            yield self.ready[number].put(batch)

    def gpu(self) -> Iterator[simpy.Event]:
        """Training: batch after batch in their order."""
        feed, window = self.feed, -1
        for batch in range(self.batches):
            here = batch * feed.batch // (feed.window_shards * feed.shard_clips)
            if here > window:
                window = here
                self.reached[window].succeed()
            asked = self.clock.now
            yield self.ready[batch % feed.workers].get()
            if batch:
                self.waited += self.clock.now - asked
            else:
                self.first = self.clock.now
            yield self.clock.timeout(feed.batch / feed.clips_a_second)
