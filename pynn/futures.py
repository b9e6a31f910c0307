"""Results that come later. Names as in torch.futures."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")

__all__ = ["Future", "collect_all", "wait_all"]


class Future(Generic[T]):
    """A result that set_result() or set_exception() brings, once. Same as torch.futures.Future."""

    def __init__(self, *, devices: Any = None) -> None:
        self._changed = threading.Condition()
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []

    def done(self) -> bool:
        """Whether there is a result or an exception."""
        return self._done

    def wait(self) -> T:
        """The result, once it is there; raises the exception if that came."""
        with self._changed:
            self._changed.wait_for(lambda: self._done)
        return self.value()

    def value(self) -> T:
        """The result, which is there already.

        Raises:
            RuntimeError: it is not.
        """
        if not self._done:
            raise RuntimeError("Future.value: the result is not there yet (wait() waits for it)")
        if self._error is not None:
            raise self._error
        return self._value

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """A Future of callback(self), which runs when this one is done."""
        result: Future[Any] = Future()

        def run(future: Future[T]) -> None:
            try:
                result.set_result(callback(future))
            except Exception as e:
                result.set_exception(e)

        self.add_done_callback(run)
        return result

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Calls callback(self) when it is done: now, if it is."""
        with self._changed:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    def set_result(self, result: T) -> None:
        """Bring the result.

        Raises:
            RuntimeError: there is one.
        """
        self._finish(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Bring an exception, which wait() and value() raise."""
        if not isinstance(result, BaseException):
            raise AssertionError(
                f"Future.set_exception: an exception is required, got {type(result).__name__}"
            )
        self._finish(None, result)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        with self._changed:
            if self._done:
                raise RuntimeError("Future can only be marked completed once.")
            self._value, self._error, self._done = value, error, True
            callbacks, self._callbacks = self._callbacks, []
            self._changed.notify_all()
        for callback in callbacks:
            callback(self)


def collect_all(futures: list[Future[Any]]) -> Future[list[Future[Any]]]:
    """A Future of the list itself, done when all of them are; the first exception becomes its own."""
    result: Future[list[Future[Any]]] = Future()
    left = [len(futures)]
    lock = threading.Lock()

    def one_done(future: Future[Any]) -> None:
        with lock:
            left[0] -= 1
            last = left[0] == 0
        if last:
            error = next((f._error for f in futures if f._error is not None), None)
            result._finish(None if error else futures, error)

    for future in futures:
        future.add_done_callback(one_done)
    if not futures:
        result.set_result(futures)
    return result


def wait_all(futures: list[Future[Any]]) -> list[Any]:
    """Their results; raises the first exception."""
    return [future.value() for future in collect_all(futures).wait()]
