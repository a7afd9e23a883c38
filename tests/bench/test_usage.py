import os
import subprocess
import sys

from bench.usage import Watch, machine_cpu_s, tree


def test_a_tree_holds_children():
    """A process's own children count, and cost nothing once they have gone."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in tree(os.getpid())
        assert tree(child.pid) == [child.pid]
        child.communicate(b"\n")
    assert child.pid not in tree(os.getpid())


def test_watch_sees_memory_and_time():
    """What this process uses is seen while it is watched; the machine uses at least as much."""
    machine_s = machine_cpu_s()
    with Watch(os.getpid()) as watch:
        before = watch.usage()
        total = sum(range(3_000_000))
        after = watch.usage()
    assert total
    assert watch.peak_rss_bytes > 1_000_000
    assert after.driver_s > before.driver_s
    assert after.machine_s >= machine_s
