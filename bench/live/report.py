"""Scores as JSON, with the keys of the original load tester, and as one line per level."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from bench.live.client import ClientRecord
from bench.live.score import Score, spread


def client_result(number: int, record: ClientRecord, score: Score, *, raw: bool) -> dict[str, Any]:
    """One client's results."""
    return {
        "client_id": number,
        "client_uid": record.uid,
        "audio_file": record.material.name,
        "success": record.error is None,
        "message_count": len(record.messages),
        "audio_duration": record.material.duration_s,
        "processing_time": record.closed_s - record.started_s if record.started_s else None,
        "connection_time": record.connected_s,
        "message_data": _messages(record) if raw else [],
        "transcript": score.transcript,
        "latency_stats": spread(score.commit_s),
        "error": record.error,
        "wer": score.wer,
        "cer": score.cer,
        "first_partial_s": spread(score.first_partial_s),
        "commit_latency": {"p50": spread(score.commit_s).get("median"), "p95": spread(score.commit_s).get("p95")},
        **_delays([score]),
        "eos_lag_s": score.eos_lag_s,
        "dropped_s": score.dropped_s,
        "http_503": score.http_503,
        "calls": score.calls,
        "finals": score.finals,
        "warnings": score.warnings,
    }


def summary(records: list[ClientRecord], scores: list[Score], total_s: float) -> dict[str, Any]:
    """A level's results; latencies are the commit latencies of all sentences of all clients."""
    good = [record for record in records if record.error is None]
    wers = [score.wer for score in scores if score.wer is not None]
    cers = [score.cer for score in scores if score.cer is not None]
    processing = [record.closed_s - record.started_s for record in good]
    return {
        "total_duration": total_s,
        "target_clients": len(records),
        "successful_clients": len(good),
        "failed_clients": len(records) - len(good),
        "total_messages": sum(len(record.messages) for record in records),
        "avg_audio_duration": _mean([record.material.duration_s for record in records]),
        "avg_processing_time": _mean(processing),
        "latency": spread([seconds for score in scores for seconds in score.commit_s]),
        "first_partial": spread([seconds for score in scores for seconds in score.first_partial_s]),
        **_delays(scores),
        "eos_lag": spread([score.eos_lag_s for score in scores if score.eos_lag_s is not None]),
        "wer": _mean(wers),
        "cer": _mean(cers),
        "dropped_s": _sum_known([score.dropped_s for score in scores]),
        "calls": sum(score.calls for score in scores),
        "http_503": sum(score.http_503 for score in scores),
    }


def document(config: dict[str, Any], results: list[dict[str, Any]], level: dict[str, Any]) -> dict[str, Any]:
    """The file of one run."""
    now = datetime.now().astimezone()
    return {
        "test_id": f"run_{config['num_clients']}_clients_{now:%Y%m%d_%H%M%S}",
        "timestamp": now.isoformat(timespec="seconds"),
        "test_config": config,
        "client_results": results,
        "summary": level,
    }


def line(level: dict[str, Any]) -> str:
    """One level as a line of text."""
    latency, first = level["latency"], level["first_partial"]

    def seconds(values: dict[str, float], key: str) -> str:
        return f"{values[key]:.2f}" if values else "-"

    done = "; ".join(
        f"{name.replace('_', ' ')} p50 {seconds(level[name], 'median')} p95 {seconds(level[name], 'p95')} s"
        for name in ("word_shown", "word_stable", "word_done", "segment_done")
    )
    rate = f"{level['wer']:.1%}" if level["wer"] is not None else "-"
    lost = f"{level['dropped_s']:.1f}" if level["dropped_s"] is not None else "-"
    return (
        f"{level['target_clients']:>4} clients: {level['successful_clients']} ok; "
        f"first text p50 {seconds(first, 'median')} p95 {seconds(first, 'p95')} s; "
        f"final p50 {seconds(latency, 'median')} p95 {seconds(latency, 'p95')} s; "
        f"{done}; "
        f"end lag p95 {seconds(level['eos_lag'], 'p95')} s; WER {rate}; lost {lost} s; "
        f"{level['calls']} calls, {level['http_503']} refused"
    )


def _messages(record: ClientRecord) -> list[dict[str, Any]]:
    """Each transcript message; its latency is its arrival minus the end of its last segment."""
    rows = []
    for number, (at, message) in enumerate(record.messages):
        segments = message.get("segments")
        if not segments:
            continue
        last = segments[-1]
        rows.append(
            {
                "timestamp": time.time() - (time.monotonic() - at),
                "message_num": number,
                "transcript_part": last["text"],
                "raw_message": str(message)[:500],
                "latency": at - record.started_s - float(last["end"]),
            }
        )
    return rows


def _delays(scores: list[Score]) -> dict[str, dict[str, float]]:
    """The delays of all final words and segments, and the lengths of the segments."""
    words = [word for score in scores for word in score.words]
    segments = [segment for score in scores for segment in score.segments]
    return {
        "word_shown": spread([word.first_shown_s for word in words]),
        "word_stable": spread([word.stable_s for word in words]),
        "word_done": spread([word.done_s for word in words]),
        "segment_done": spread([segment.done_s for segment in segments]),
        "segment_length": spread([segment.length_s for segment in segments]),
    }


def _sum_known(values: list[float | None]) -> float | None:
    """The sum; None if any value is unknown, because the total is unknown then."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
