"""Thread pools return results in order, raise errors with the result, and limit pending tasks."""

import contextlib
import threading
import time

import pytest

from crackcli import threads
from crackcli.threads import BackgroundWorker, ThreadPool, thread_count, thread_limit


@contextlib.contextmanager
def tool(opened, closed):
    opened.append(threading.get_ident())
    yield threading.get_ident()
    closed.append(threading.get_ident())


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order_whichever_is_first(count):
    opened, closed = [], []

    def work(own, number):
        assert own == threading.get_ident()
        time.sleep(0.002 * (number % 3))
        return number**2

    with ThreadPool(lambda: tool(opened, closed), count) as pool:
        results = list(pool.imap(work, range(20)))

    assert results == [number**2 for number in range(20)]
    assert sorted(opened) == sorted(closed)
    assert 1 <= len(opened) <= count


def test_at_most_twice_as_many_tasks_as_threads_are_pending():
    begun = []

    def items():
        for number in range(50):
            begun.append(number)
            yield number

    with ThreadPool(contextlib.nullcontext, 2) as pool:
        results = pool.imap(lambda _, number: number, items())
        for done, result in enumerate(results):
            assert result == done
            assert len(begun) <= done + 4


def test_an_exception_is_raised_with_the_result():
    def work(_, number):
        return 1 / (number - 2)

    with ThreadPool(contextlib.nullcontext, 2) as pool:
        results = pool.imap(work, range(9))
        assert [next(results), next(results)] == [-0.5, -1]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_an_exception_in_opening_a_tool_is_raised_with_the_result():
    @contextlib.contextmanager
    def locked():
        raise PermissionError("locked")
        yield

    with ThreadPool(locked, 2) as pool, pytest.raises(PermissionError, match="locked"):
        pool.submit(lambda tool: tool).result()


def test_tasks_that_have_not_begun_are_cancelled_at_the_end():
    done = []
    with ThreadPool(contextlib.nullcontext, 1) as pool:
        for number in range(100):
            pool.submit(lambda _, number=number: (time.sleep(0.01), done.append(number)))
        time.sleep(0.02)

    assert 0 < len(done) < 100
    assert not any(thread.is_alive() for thread in pool.threads)


def test_background_tasks_are_done_in_order_and_do_not_pile_up():
    done = []

    def work(number):
        time.sleep(0.005)
        done.append(number)

    with BackgroundWorker() as behind:
        for number in range(5):
            behind.hand_over(lambda number=number: work(number))
            assert len(done) >= number - 1

    assert done == list(range(5))


def fails():
    raise OSError("the disk is full")


@pytest.mark.parametrize("others", [0, 1])
def test_a_background_exception_is_raised_at_the_next_task_or_at_the_end(others):
    done = []

    def hand_over_all():
        with BackgroundWorker() as behind:
            behind.hand_over(fails)
            for number in range(others):
                behind.hand_over(lambda number=number: done.append(number))

    with pytest.raises(OSError, match="the disk is full"):
        hand_over_all()
    assert done == []


def test_a_background_task_is_finished_when_the_block_is_interrupted():
    done = []

    def interrupted():
        with BackgroundWorker() as behind:
            behind.hand_over(lambda: (time.sleep(0.02), done.append(1)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [1]


@pytest.mark.parametrize(("setting", "expected"), [("3", 3), ("1", 1), ("3,2", 3), (" 2 ", 2)])
def test_omp_num_threads_sets_the_number_of_threads(monkeypatch, setting, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)

    assert thread_count() == expected


@pytest.mark.parametrize("setting", ["", "0", "many"])
def test_without_a_valid_omp_num_threads_all_processors_count(monkeypatch, setting):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)

    assert thread_count() >= 1


@pytest.mark.parametrize(
    ("setting", "usable", "limit"),
    [("", 4, None), ("", 2, 2), ("3", 4, 3), ("0", 4, None), ("2,1", 4, 2)],
)
def test_the_limit_is_the_variable_or_the_affinity_of_the_process(
    monkeypatch, setting, usable, limit
):
    monkeypatch.setenv("OMP_NUM_THREADS", setting)
    monkeypatch.setattr(threads.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(
        threads.os, "sched_getaffinity", lambda pid: set(range(usable)), raising=False
    )

    assert thread_limit() == limit
