"""Messages that are sent once."""

import pytest

from vs_srcomp import log
from vs_srcomp.log import log_about, log_once


def test_what_is_said_once_is_said_again_of_another_subject(
    messages: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "_subject", None)
    for subject in ("a", "a", "b", "a"):
        log_about(subject)
        log_once("a word")
        log_once("a word")
    assert messages == ["a word"] * 3
