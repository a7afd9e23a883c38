import pytest

from app.settings.worker import WorkerSettings
from bench.accuracy.settings import CHANGES, STARTS, default_names, reference_of, settings_of


def test_names_lead_to_environments():
    """A name is a design and changes to what it starts from, variables of one's own included."""
    stock, ours = settings_of(["stock+vad", "auto+beam1+novad+REPLICAS=1"])
    assert (stock.design, dict(stock.environment)) == ("stock", {"BEAM_SIZE": "5", "VAD_FILTER": "true"})
    assert ours.design == "engine"
    assert ours.environment == {"BEAM_SIZE": "1", "VAD_FILTER": "false", "AUDIO_CONTEXT": "auto", "REPLICAS": "1"}


def test_every_variable_is_a_setting_of_the_worker():
    """The names stand for variables that the worker knows, with values that it takes."""
    for environment in [*CHANGES.values(), *(each for _, each in STARTS.values())]:
        assert {name.lower() for name in environment} <= set(WorkerSettings.model_fields)
        assert WorkerSettings.model_validate({name.lower(): value for name, value in environment.items()})


def test_a_server_takes_request_fields_only():
    """What a request may say is sent with it; the rest is refused with the remedy."""
    sent = [each.fields for each in settings_of(["server", "server+novad", "server+beam1"])]
    assert sent == [{}, {"vad_filter": "false"}, {"beam_size": "1"}]
    with pytest.raises(ValueError, match="start the server with AUDIO_CONTEXT"):
        settings_of(["server+AUDIO_CONTEXT=full"])


@pytest.mark.parametrize("name", ["fast", "full+fast", ""])
def test_unknown_names_are_refused(name):
    """The message lists the names that exist."""
    with pytest.raises(ValueError, match=r"beam1|stock, full"):
        settings_of([name])


def test_repeated_names_are_measured_once():
    """Each setting has one line."""
    assert [each.name for each in settings_of(["full", "stock", "full"])] == ["full", "stock"]


def test_stock_is_always_among_the_defaults():
    """The engine, a server, or both, beside stock faster-whisper with and without VAD."""
    assert default_names(engine=True, server=False)[:3] == ("stock", "stock+vad", "full")
    assert default_names(engine=False, server=True) == ("stock", "stock+vad", "server")
    assert {"full", "server"} <= set(default_names(engine=True, server=True))


def test_texts_are_compared_with_full():
    """`full` is the reference; without it the first setting that is not stock; stock alone has none."""
    assert reference_of(["stock", "auto", "full"]) == "full"
    assert reference_of(["stock", "server", "auto"]) == "server"
    assert reference_of(["stock", "stock+vad"]) is None
