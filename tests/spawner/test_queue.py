from dataclasses import replace

from beamhub.spawner.sites.queue import Job, Node, Queue, Stage, fits


def test_how_many_come_before_is_counted_in_the_partition_where_they_are_fewest():
    waiting = {"short": [1, 5, 7, 9], "long": [1, 5, 8]}
    mine = Job("1", Stage.WAITING, "PENDING", partitions=("short", "long"), priority=5)
    assert Queue({}, waiting).before(mine) == 1
    assert Queue({}, waiting).before(replace(mine, partitions=("short",))) == 2
    assert Queue({}, waiting).before(replace(mine, partitions=("none",))) == 0


def test_a_job_that_comes_last_starts_when_most_that_wait_have_in_the_partition_where_that_is_soonest():
    queue = Queue({}, {}, {"short": [100.0, 160.0, 400.0], "long": [100.0, 9000.0], "far": [100.0, float("inf")]})
    assert queue.expected(("short", "long"), 100.0) == (60.0, 300.0, 3)
    assert queue.expected(("long",), 100.0) == (0.0, 8900.0, 2)
    assert queue.expected(("short", "long"), 1000.0) == (0.0, 0.0, 3)
    assert queue.expected(("gpu",), 100.0) is None
    assert queue.expected(("far",), 100.0) is None
    assert queue.expected(("far", "long"), 100.0) == (0.0, 8900.0, 2)
    assert queue.expected((), 100.0) is None


def test_a_job_fits_on_one_node_that_takes_jobs():
    nodes = [
        Node("a", "short", up=True, cores=2, memory_mb=4000),
        Node("b", "gpu", up=True, cores=8, memory_mb=100, gpus=1),
    ]
    both = ("short", "gpu")
    assert fits(nodes, both, 2, 4000, 0)
    assert not fits(nodes, both, 8, 4000, 0)
    assert not fits(nodes, (), 1, 1, 0)
    assert fits([replace(nodes[0], default=True)], (), 1, 1, 0)
    assert not fits(nodes, ("gpu",), 1, 101, 0)
    assert fits(nodes, ("gpu",), 1, 100, 1)
    assert not fits([replace(node, up=False) for node in nodes], both, 1, 1, 0)
