"""Matchers are checked when they are made, and the first that matches is meant."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import leman
from leman.on_error import checked_matchers


def test_matchers_keep_what_they_were_given() -> None:
    retry = leman.Retry(ConnectionError, TimeoutError, match="429", max_attempts=5, backoff="linear")
    assert (retry.exceptions, retry.match) == ((ConnectionError, TimeoutError), "429")
    assert (retry.max_attempts, retry.backoff) == (5, "linear")
    skip = leman.Skip(ValueError, max_skip_count=10, max_skip_fraction=0.1)
    assert (skip.max_skip_count, skip.max_skip_fraction) == (10, 0.1)
    assert leman.Fail(KeyError).exceptions == (KeyError,)


def test_without_classes_any_exception_is_meant_but_no_interrupt() -> None:
    skip = leman.Skip()
    assert skip.matches(ValueError("x"))
    assert not skip.matches(KeyboardInterrupt())


def test_match_is_searched_in_the_message() -> None:
    retry = leman.Retry(ValueError, match=r"(?i)rate.?limit")
    assert retry.matches(ValueError("Rate limit exceeded"))
    assert not retry.matches(ValueError("other"))
    assert not retry.matches(KeyError("rate limit"))


def test_matchers_are_values() -> None:
    assert leman.Skip(ValueError) == leman.Skip(ValueError)
    assert pickle.loads(pickle.dumps(leman.Retry(OSError, match="x"))) == leman.Retry(OSError, match="x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        leman.Skip(ValueError).match = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: leman.Retry(ValueError, match="[invalid"),
            ValueError,
            "match='[invalid': expected a valid regular expression",
        ),
        (lambda: leman.Retry(ValueError, match=3), TypeError, "match=3: expected a regular expression as a str"),
        (lambda: leman.Retry(ValueError, max_attempts=0), ValueError, "max_attempts=0: expected an integer >= 1"),
        (lambda: leman.Retry(ValueError, max_attempts=True), TypeError, "max_attempts=True"),
        (lambda: leman.Retry(ValueError, backoff="expo"), ValueError, "backoff='expo': expected one of 'exponential'"),
        (lambda: leman.Skip("ValueError"), TypeError, "Skip('ValueError'): expected exception classes"),
        (lambda: leman.Skip(ValueError("x")), TypeError, "expected exception classes"),
        (lambda: leman.Skip(max_skip_count=-1), ValueError, "max_skip_count=-1: expected an integer >= 0"),
        (
            lambda: leman.Skip(max_skip_fraction=2),
            ValueError,
            "max_skip_fraction=2: expected a fraction between 0 and 1",
        ),
        (lambda: leman.Fail(int), TypeError, "Fail(<class 'int'>)"),
    ],
)
def test_a_wrong_argument_is_named(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


def test_the_factories_make_lists_of_matchers() -> None:
    assert leman.retry_transient() == (leman.Retry(ConnectionError, TimeoutError, OSError),)
    assert leman.retry_all(max_attempts=7, backoff="fixed") == (
        leman.Retry(Exception, max_attempts=7, backoff="fixed"),
    )
    assert leman.skip_on_error() == (leman.Skip(Exception),)
    assert leman.fail_fast() == (leman.Fail(Exception),)


def test_factories_and_matchers_mix_in_one_list() -> None:
    mixed = checked_matchers([leman.Fail(KeyError), leman.retry_all()])
    assert [type(matcher) for matcher in mixed] == [leman.Fail, leman.Retry]
    assert checked_matchers(leman.Skip()) == (leman.Skip(),)
    assert checked_matchers(None) == ()
