"""Threads ahead and behind: results in order, errors where results are asked for, no more under way
than was said."""

import contextlib
import threading
import time

import pytest

from crackcli.threads import BackgroundWorker, ThreadPool, thread_count


@contextlib.contextmanager
def tool(opened, closed):
    opened.append(threading.get_ident())
    yield threading.get_ident()
    closed.append(threading.get_ident())


@pytest.mark.parametrize("count", [1, 3])
def test_results_come_in_order_whoever_is_first(count):
    opened, closed = [], []

    def work(own, number):
        assert own == threading.get_ident()
        time.sleep(0.002 * (number % 3))
        return number**2

    with ThreadPool(lambda: tool(opened, closed), count) as crew:
        results = list(crew.imap(work, range(20)))

    assert results == [number**2 for number in range(20)]
    assert sorted(opened) == sorted(closed)
    assert 1 <= len(opened) <= count


def test_no_more_is_begun_than_twice_the_threads():
    begun = []

    def items():
        for number in range(50):
            begun.append(number)
            yield number

    with ThreadPool(contextlib.nullcontext, 2) as crew:
        results = crew.imap(lambda _, number: number, items())
        for done, result in enumerate(results):
            assert result == done
            assert len(begun) <= done + 4


def test_what_goes_wrong_is_raised_where_the_result_is_asked_for():
    def work(_, number):
        return 1 / (number - 2)

    with ThreadPool(contextlib.nullcontext, 2) as crew:
        results = crew.imap(work, range(9))
        assert [next(results), next(results)] == [-0.5, -1]
        with pytest.raises(ZeroDivisionError):
            next(results)


def test_a_tool_that_cannot_be_opened_is_raised_too():
    @contextlib.contextmanager
    def locked():
        raise PermissionError("locked")
        yield

    with ThreadPool(locked, 2) as crew, pytest.raises(PermissionError, match="locked"):
        crew.submit(lambda tool: tool).result()


def test_at_the_end_what_has_not_begun_is_left_undone():
    done = []
    with ThreadPool(contextlib.nullcontext, 1) as crew:
        for number in range(100):
            crew.submit(lambda _, number=number: (time.sleep(0.01), done.append(number)))
        time.sleep(0.02)

    assert 0 < len(done) < 100
    assert not any(thread.is_alive() for thread in crew.threads)


def test_what_is_handed_over_is_done_in_order_and_does_not_pile_up():
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
def test_what_goes_wrong_behind_is_raised_at_the_next_thing_or_at_the_end(others):
    done = []

    def hand_over_all():
        with BackgroundWorker() as behind:
            behind.hand_over(fails)
            for number in range(others):
                behind.hand_over(lambda number=number: done.append(number))

    with pytest.raises(OSError, match="the disk is full"):
        hand_over_all()
    assert done == []


def test_what_was_handed_over_is_finished_when_the_rest_is_interrupted():
    done = []

    def interrupted():
        with BackgroundWorker() as behind:
            behind.hand_over(lambda: (time.sleep(0.02), done.append(1)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert done == [1]


@pytest.mark.parametrize(("told", "expected"), [("3", 3), ("1", 1), ("3,2", 3), (" 2 ", 2)])
def test_the_usual_variable_says_how_many_threads_there_are(monkeypatch, told, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", told)

    assert thread_count() == expected


@pytest.mark.parametrize("told", ["", "0", "many"])
def test_without_it_all_processors_count(monkeypatch, told):
    monkeypatch.setenv("OMP_NUM_THREADS", told)

    assert thread_count() >= 1
