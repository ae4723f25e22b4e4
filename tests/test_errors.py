"""Errors, also after a frame callback and from another process."""

import pickle

import pytest
import vapoursynth as vs

from vs_srcomp.errors import error, first_line, last_line, message_of, what_and_remedy


def test_an_error_is_one_of_vapoursynth_with_its_fields() -> None:
    failure = error("no picture", "give one")
    assert isinstance(failure, vs.Error)
    assert str(failure) == "srcomp: no picture\ngive one"
    assert (failure.what, failure.remedy) == what_and_remedy(failure) == ("no picture", "give one")


def test_an_error_goes_through_a_process() -> None:
    received = pickle.loads(pickle.dumps(error("no picture", "give one")))
    assert str(received) == "srcomp: no picture\ngive one"
    assert (received.what, received.remedy) == ("no picture", "give one")


def test_an_error_goes_through_a_frame_callback() -> None:
    def fail(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        raise error("no picture\nin two lines", "give one")

    blank = vs.core.std.BlankClip(length=1)
    with pytest.raises(vs.Error, match="Traceback") as caught:
        blank.std.ModifyFrame(blank, fail).get_frame(0)
    assert message_of(caught.value) == "no picture\nin two lines\ngive one"
    assert what_and_remedy(caught.value) == ("no picture\nin two lines", "give one")
    assert (first_line(caught.value), last_line(caught.value)) == ("no picture", "give one")


def test_other_exceptions_have_no_remedy() -> None:
    assert what_and_remedy(vs.Error("Resize: no such size\nat all")) == ("Resize: no such size\nat all", "")
    assert what_and_remedy(RuntimeError("in one line")) == ("in one line", "")


def test_lines_of_an_exception_without_a_message_are_its_type() -> None:
    assert first_line(MemoryError()) == last_line(MemoryError()) == "MemoryError"
    assert (first_line("\n a \n b \n"), last_line("\n a \n b \n"), last_line("")) == ("a", "b", "")


def test_names_in_a_message_may_look_like_its_prefix() -> None:
    name = "'./vs-srcomp: film.mkv' does not exist"

    def fail(n: int, f: vs.VideoFrame) -> vs.VideoFrame:
        raise error(name, "check the path")

    blank = vs.core.std.BlankClip(length=1)
    with pytest.raises(vs.Error) as caught:
        blank.std.ModifyFrame(blank, fail).get_frame(0)
    for failure in (error(name, "check the path"), caught.value):
        assert message_of(failure) == f"{name}\ncheck the path"
        assert what_and_remedy(failure) == (name, "check the path")
    assert what_and_remedy(RuntimeError(name)) == (name, "")
