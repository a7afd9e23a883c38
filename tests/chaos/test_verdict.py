from __future__ import annotations

import json
from dataclasses import replace

from tests.chaos import report
from tests.chaos.disturbances import Disturbance, Disturbances
from tests.chaos.finals import Comparison, final_of
from tests.chaos.heard import Heard
from tests.chaos.outcome import Idle, Outcome
from tests.chaos.tally import Tally
from tests.chaos.tracks import Observed, Reading, Track
from tests.chaos.verdict import failures

FINAL = final_of("a", 0, 1, "one")


def idle(**changes) -> Idle:
    """An idle cluster with one worker."""
    state = {"files": frozenset({"nginx.conf"}), "descriptors": {"worker-1": 20}, "threads": {"worker-1": 9}}
    state["rss_mb"] = {"worker-1": 200.0, "worker-2": 300.0, "supervisor": 50.0}
    return Idle(**{**state, "gauges": {"worker-1 whisper_in_flight": 0.0}, **changes})


def good(**changes) -> Outcome:
    """A run in which everything was as it must be."""
    tally = Tally()
    tally.of("file").sent = 1
    tally.served("file", 0.5)
    readings = [Reading(float(s), s, 300.0, 20, 9) for s in range(100)]
    values = {
        "minutes": 3.0,
        "seed": 1,
        "model": "fake",
        "rate_per_s": 1.0,
        "busy": 0.6,
        "tally": tally,
        "faults": Disturbances([Disturbance("worker", "kill", "worker-1", 10.0, 10.0, 12.5)]),
        "heard": Heard(),
        "finals": Comparison(received=1, stored=1, lost=(), unpromised=0, doubled=()),
        "observed": Observed({("worker-1", 7): Track("worker-1", 7, readings)}, most_files=3),
        "before": idle(),
        "after": idle(),
        "drained_s": 1.0,
        "exit_code": 0,
        "log_problems": (),
    }
    return Outcome(**{**values, **changes})


def one_failure(outcome: Outcome) -> str:
    """The only reason why a run was bad."""
    (reason,) = failures(outcome)
    return reason


def test_a_good_run_has_no_failures():
    """Nothing is invented."""
    assert failures(good()) == []


def test_a_wrong_and_a_missing_answer_fail():
    """One is enough, and the reason names the kind."""
    wrong = good()
    wrong.tally.wrong("file", "other text")
    assert one_failure(wrong) == "file: 1 wrong answers"
    assert wrong.tally.examples == ["wrong: other text"]
    missing = good()
    missing.tally.unanswered("stream", "no answer")
    assert one_failure(missing) == "stream: 1 unanswered"


def test_a_request_that_never_ended_fails():
    """Sent, and neither answered nor counted as unanswered: the test itself lost it."""
    lost = good()
    lost.tally.of("file").sent += 1
    assert "2 sent, but only 1 ended" in one_failure(lost)


def test_a_lost_or_doubled_final_fails():
    """What a killed gateway may lose does not."""
    finals = good().finals
    assert "1 lost" in one_failure(good(finals=replace(finals, lost=(FINAL,))))
    assert "1 doubled" in one_failure(good(finals=replace(finals, doubled=(FINAL,))))
    assert failures(good(finals=replace(finals, unpromised=1))) == []


def test_lost_audio_fails():
    """A gateway's warning is enough."""
    assert "2 s lost" in one_failure(good(heard=Heard(warnings=["2 s lost"])))


def test_a_cluster_that_does_not_recover_or_drain_fails():
    """A run without faults says nothing."""
    never = Disturbances([Disturbance("redis", "kill", "redis-1", 10.0, 10.0)])
    assert one_failure(good(faults=never)) == "redis kill (redis-1): not recovered"
    assert "no fault" in one_failure(good(faults=Disturbances()))
    assert "drain" in one_failure(good(drained_s=None))


def test_what_is_left_when_idle_fails():
    """Files, slots, descriptors and threads; some more descriptors are kept connections."""
    assert "a.tmp" in one_failure(good(after=idle(files=frozenset({"nginx.conf", "a.tmp"}))))
    assert "is 1 when idle" in one_failure(good(after=idle(gauges={"worker-1 whisper_in_flight": 1.0})))
    assert "60 after" in one_failure(good(after=idle(descriptors={"worker-1": 60})))
    assert "30 after" in one_failure(good(after=idle(threads={"worker-1": 30})))
    assert failures(good(after=idle(descriptors={"worker-1": 25}))) == []


def lived(seconds: int, mb_per_s: float, *, name: str = "worker-1") -> Outcome:
    """A run in which a process answered a request each second, and grew."""
    readings = [Reading(float(s), s, 300.0 + s * mb_per_s, 20, 9) for s in range(seconds)]
    return good(observed=Observed({(name, 7): Track(name, 7, readings)}))


def test_a_long_life_is_judged_by_the_slope_of_its_memory():
    """Five megabytes for a thousand requests are too many."""
    assert failures(lived(3600, 0.004)) == []
    assert one_failure(lived(3600, 0.006)) == "worker-1 (pid 7) grew by 6.0 MB per 1000 requests, 2399 requests"


def test_a_life_with_few_requests_is_judged_by_its_size():
    """Compared with the largest process of its kind before the load, from a minute on."""
    assert failures(lived(180, 0.2)) == []
    assert "before the load such a process had 300 MB" in one_failure(lived(180, 0.5))
    assert "such a process had 50 MB" in one_failure(lived(180, 0.0, name="supervisor"))
    assert failures(lived(50, 5.0)) == []


def test_a_cluster_that_ends_badly_fails():
    """By its code, or by what it logged."""
    assert "code 70" in one_failure(good(exit_code=70))
    assert "Traceback" in one_failure(good(log_problems=("worker-1 | Traceback",)))


def test_the_report_has_every_table():
    """Requests, faults with their recovery, finals, and processes; the JSON can be written."""
    outcome = good()
    text = report.markdown(outcome, [])
    assert "Result: passed." in text
    assert "| file | 1 | 1 | 0 | 0 | 0 | 0 | 0 | 0 | 0.5 / 0.5 |" in text
    assert "| worker kill | 1 | 2.5 | 2.5 |" in text
    assert "| worker-1 | 1 | 99 | 300 | 300 | +0.0 in 66 | - | 20 -> 20 | 9 -> 9 |" in text
    assert "Temporary files: 3 at most, 0 left over." in text
    failed = report.markdown(outcome, ["file: 1 wrong answers"])
    assert "Result: FAILED.\n- file: 1 wrong answers\n" in failed
    assert json.loads(json.dumps(report.as_json(outcome, [])))["finals"]["lost"] == []
