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


def cores() -> int:
    """How many threads may be used: what OMP_NUM_THREADS says, else the processors there are."""
    told = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # the outermost level
    if told.isdecimal() and int(told):
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
