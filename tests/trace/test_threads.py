from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from opto.trace import bundle
from opto.trace.scope import READS
from opto.trace.threads import install


def test_installing_again_changes_nothing() -> None:
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit

    install()

    assert threading.Thread.start is start
    assert ThreadPoolExecutor.submit is submit
    assert start.__name__ == "start"
    assert submit.__name__ == "submit"


def test_threads_outside_of_bundles_are_as_python_makes_them() -> None:
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(READS.get()))
    run = thread.run

    thread.start()
    thread.join()

    assert seen == [None]
    assert "run" not in vars(thread)
    assert thread.run == run


def test_threads_of_a_bundle_know_it() -> None:
    seen: list[object] = []

    @bundle()
    def work() -> None:
        thread = threading.Thread(target=lambda: seen.append(READS.get()))
        thread.start()
        thread.join()
        with ThreadPoolExecutor(1) as pool:
            seen.append(pool.submit(READS.get).result())
            seen.append(pool.submit(dict, key=3).result())

    work()

    assert seen[0] is seen[1] is not None
    assert seen[2] == {"key": 3}
    assert READS.get() is None
