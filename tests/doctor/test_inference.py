import pytest

from vs_srcomp.backends import OpenVINO
from vs_srcomp.backends.choice import NOT_INSTALLED, default_entry
from vs_srcomp.backends.openvino import OpenVINOEngine
from vs_srcomp.backends.registry import BACKENDS, Entry
from vs_srcomp.doctor.inference import backend_checks, check_backend, check_speed
from vs_srcomp.models import models


def missing(*, required: bool) -> Entry:
    return Entry(
        title="X",
        kind=OpenVINO,
        package="no_such_package",
        remedy=lambda: "pip install x",
        make=OpenVINO,
        has_device=lambda: NOT_INSTALLED,
        required=required,
    )


def test_there_is_a_check_for_every_backend_and_one_for_the_default() -> None:
    assert len(backend_checks(None)) == len(BACKENDS) + 1


def test_a_backend_that_works_is_reported_with_its_release() -> None:
    import openvino

    (entry,) = (entry for entry in BACKENDS if entry.title == "OpenVINO")
    finding = check_backend(entry)
    assert (finding.name, finding.state) == ("OpenVINO", "fine")
    assert openvino.__version__.startswith(finding.message)


def test_a_backend_that_is_not_installed_is_a_note_with_the_command() -> None:
    finding = check_backend(missing(required=False))
    assert (finding.state, finding.message, finding.remedy) == ("note", "not installed", "pip install x")


def test_the_backend_that_the_package_needs_is_broken_if_it_is_not_there() -> None:
    finding = check_backend(missing(required=True))
    assert (finding.state, finding.remedy) == ("broken", "pip install x")


def test_nothing_is_to_be_done_for_a_backend_without_a_device() -> None:
    entry = Entry(
        title="X",
        kind=OpenVINO,
        package="numpy",
        remedy=lambda: "i",
        make=OpenVINO,
        has_device=lambda: "no NVIDIA driver",
    )
    finding = check_backend(entry)
    assert (finding.state, finding.message, finding.remedy) == ("note", "no NVIDIA driver", "")


def test_the_default_backend_is_named_with_its_speed() -> None:
    model = models()[0]
    finding = check_speed(model, seconds=0.0)
    assert finding.state in ("fine", "note")
    assert finding.message.startswith(f"{default_entry().title}: about ")
    assert f" frames of 1920x1080 a second with {model.name}" in finding.message


@pytest.mark.skipif(default_entry().title != "OpenVINO", reason="only OpenVINO tells")
def test_the_share_of_each_type_is_reported_and_another_than_meant_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    model = models()[0]
    finding = check_speed(model, seconds=0.0)
    assert "; multiply-accumulates: " in finding.message
    assert "%" in finding.message
    monkeypatch.setattr(OpenVINOEngine, "run", lambda self: {"f64": sum(self.meant.values())})
    finding = check_speed(model, seconds=0.0)
    assert finding.state == "broken"
    assert "f64 100 % instead of 0 %" in finding.message


def test_without_a_model_there_is_no_speed() -> None:
    assert check_speed(None).state == "broken"
