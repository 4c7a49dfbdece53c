"""Thread pools: `ThreadPool` computes results before they are needed, `BackgroundWorker` finishes
tasks in the background.

Threads pay off where the work releases the interpreter lock: decoding and compressing, reading and
writing, arithmetic on large arrays. An exception in a thread is raised where its result is used.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from queue import SimpleQueue
from typing import Any, Generic, Self, TypeVar

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")


def thread_count() -> int:
    """Return the number of threads to use: `thread_limit`, else the number of processors."""
    return thread_limit() or os.cpu_count() or 1


def thread_limit() -> int | None:
    """Return the number of threads this process is limited to; None if it may use all processors.

    The limit is OMP_NUM_THREADS, which clusters set and torch obeys, else the processors that the
    affinity of the process leaves it.
    """
    setting = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # outermost level
    if setting.isdecimal() and int(setting):
        return int(setting)
    if not hasattr(os, "sched_getaffinity"):  # not on Linux
        return None
    usable = len(os.sched_getaffinity(0))
    return usable if usable < (os.cpu_count() or usable + 1) else None


class ThreadPool(Generic[Tool]):
    """Threads that each have a tool of their own, an open file for instance; a context manager.

    Each thread opens its tool when it gets its first task, and closes it. On exit, tasks that have
    begun are finished and the others are cancelled.
    """

    def __init__(self, tool: Callable[[], AbstractContextManager[Tool]], count: int) -> None:
        self.tool, self.count = tool, count
        # A task takes the tool; its future gets the result.
        self.tasks: SimpleQueue[tuple[Future[Any], Callable[[Tool], Any]] | None] = SimpleQueue()
        self.threads: list[threading.Thread] = []
        self.over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.over = True
        for _ in self.threads:
            self.tasks.put(None)
        for thread in self.threads:
            thread.join()

    def submit(self, work: Callable[[Tool], Result]) -> "Future[Result]":
        """Schedule ``work``; tasks start in the order in which they were submitted."""
        future: Future[Result] = Future()
        self.tasks.put((future, work))
        if len(self.threads) < self.count:
            thread = threading.Thread(target=self.run, daemon=True)
            thread.start()  # may be refused by the system: then there is no thread to join
            self.threads.append(thread)
        return future

    def run(self) -> None:
        """Run tasks in one thread until the pool ends."""
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
                except BaseException as error:  # `Future.result` raises it again
                    future.set_exception(error)

    def imap(
        self,
        work: Callable[[Tool, Item], Result],
        items: Iterable[Item],
        most: int | None = None,
    ) -> Generator[Result, None, None]:
        """Yield the results of ``work`` for each of ``items``, in order.

        At most ``most`` results (default: twice the number of threads) are computed ahead.
        """
        most = most or 2 * self.count
        pending: deque[Future[Result]] = deque()
        for item in items:
            pending.append(self.submit(with_item(work, item)))
            if len(pending) >= most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def with_item(work: Callable[[Tool, Item], Result], item: Item) -> Callable[[Tool], Result]:
    """Return ``work`` with its second argument bound."""
    return lambda tool: work(tool, item)


class BackgroundWorker(ThreadPool[None]):
    """One thread that finishes tasks one after the other; a context manager.

    At most one task waits: handing over a second one blocks until the first is finished.
    """

    def __init__(self) -> None:
        super().__init__(nullcontext, 1)
        self.last: Future[object] | None = None

    def __exit__(self, *exception: object) -> None:
        """Finish the last task, even if the block was interrupted."""
        error = None if self.last is None else self.last.exception()
        super().__exit__(*exception)
        if error is not None and exception[0] is None:
            raise error

    def hand_over(self, work: Callable[[], object]) -> None:
        """Schedule ``work`` after the previous task is finished; raise that task's exception."""
        last, self.last = self.last, None
        if last is not None:
            last.result()
        self.last = self.submit(lambda _: work())
