"""Threads that work ahead of what asks for their results, and behind what hands them work.

They pay where the work lets other threads run: decoding and compressing, reading and writing,
arithmetic on large arrays.  What goes wrong in a thread is raised where its result is asked for.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from queue import SimpleQueue
from typing import Generic, TypeVar

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count() -> int:
    """Return how many threads to use: `thread_limit`, else one for each core."""
    return thread_limit() or os.cpu_count() or 1


def thread_limit() -> int | None:
    """Return how many threads this process may use, or None if it may use all cores.

    The limit is ``OMP_NUM_THREADS``, which clusters set and torch obeys, else the number of cores
    that the affinity of the process leaves it.
    """
    wanted = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # the outermost level
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    if not hasattr(os, "sched_getaffinity"):  # not on Linux
        return None
    allowed = len(os.sched_getaffinity(0))
    return allowed if allowed < (os.cpu_count() or allowed + 1) else None


class ThreadPool(Generic[Tool]):
    """Threads, each with a tool of its own, an open file for instance; use as a context manager.

    A tool is opened by the thread that uses it, when it has something to do, and closed by it.
    At the end what has begun is finished, and what has not is left undone.
    """

    def __init__(self, tool: Callable[[], AbstractContextManager[Tool]], count: int) -> None:
        self.tool, self.count = tool, count
        self.tasks: SimpleQueue[tuple[Future, Callable] | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.over = False

    def __enter__(self) -> "ThreadPool[Tool]":
        return self

    def __exit__(self, *exception: object) -> None:
        self.over = True
        for _ in self.threads:
            self.tasks.put(None)
        for thread in self.threads:
            thread.join()

    def submit(self, work: Callable[[Tool], Result]) -> "Future[Result]":
        """Have ``work`` done; first come, first served."""
        future: Future[Result] = Future()
        self.tasks.put((future, work))
        if len(self.threads) < self.count:
            thread = threading.Thread(target=self.run, daemon=True)
            thread.start()  # which a system may refuse: then there is none to wait for
            self.threads.append(thread)
        return future

    def run(self) -> None:
        """What one thread does."""
        with ExitStack() as stack:
            tool: Tool | None = None
            while (task := self.tasks.get()) is not None:
                future, work = task
                if self.over:
                    future.cancel()
                    continue
                try:
                    if tool is None:
                        tool = stack.enter_context(self.tool())
                    future.set_result(work(tool))
                except BaseException as error:  # is raised again by who asks for the result
                    future.set_exception(error)

    def imap(
        self,
        work: Callable[[Tool, Item], Result],
        items: Iterable[Item],
        most: int | None = None,
    ) -> Iterator[Result]:
        """Results of ``work`` for each of ``items``, in order; ``most`` of them, or twice as many
        as there are threads, are under way or wait to be asked for."""
        most = most or 2 * self.count
        begun: deque[Future[Result]] = deque()
        for item in items:
            begun.append(self.submit(lambda tool, item=item: work(tool, item)))
            if len(begun) >= most:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


class BackgroundWorker(ThreadPool[None]):
    """One thread that finishes what it is handed, one thing after the other; use as a context
    manager.  Who hands over a second thing waits for the first, so that no more than one piles
    up."""

    def __init__(self) -> None:
        super().__init__(ExitStack, 1)
        self.last: Future | None = None

    def __exit__(self, *exception: object) -> None:
        """What was handed over is finished, even if the rest was interrupted."""
        error = None if self.last is None else self.last.exception()
        super().__exit__(*exception)
        if error is not None and exception[0] is None:
            raise error

    def hand_over(self, work: Callable[[], object]) -> None:
        """Have ``work`` done, after what was handed over before."""
        last, self.last = self.last, None
        if last is not None:
            last.result()
        self.last = self.submit(lambda _: work())
