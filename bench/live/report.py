"""Scores to the JSON of the seeds (same keys, true meanings) and to one line per level."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from bench.live.client import Heard
from bench.live.score import Score, spread


def client_result(number: int, heard: Heard, score: Score, *, raw: bool) -> dict[str, Any]:
    """One client's row."""
    return {
        "client_id": number,
        "client_uid": heard.uid,
        "audio_file": heard.material.name,
        "success": heard.error is None,
        "message_count": len(heard.messages),
        "audio_duration": heard.material.duration_s,
        "processing_time": heard.closed_s - heard.started_s if heard.started_s else None,
        "connection_time": heard.connected_s,
        "message_data": _messages(heard) if raw else [],
        "transcript": score.transcript,
        "latency_stats": spread(score.commit_s),
        "error": heard.error,
        "wer": score.wer,
        "cer": score.cer,
        "first_partial_s": spread(score.first_partial_s),
        "commit_latency": {"p50": spread(score.commit_s).get("median"), "p95": spread(score.commit_s).get("p95")},
        "eos_lag_s": score.eos_lag_s,
        "dropped_s": score.dropped_s,
        "http_503": score.http_503,
        "calls": score.calls,
        "finals": score.finals,
        "warnings": score.warnings,
    }


def summary(heards: list[Heard], scores: list[Score], total_s: float) -> dict[str, Any]:
    """The level as a whole; latencies are commit latencies of every sentence of every client."""
    good = [heard for heard in heards if heard.error is None]
    wers = [score.wer for score in scores if score.wer is not None]
    cers = [score.cer for score in scores if score.cer is not None]
    processing = [heard.closed_s - heard.started_s for heard in good]
    return {
        "total_duration": total_s,
        "target_clients": len(heards),
        "successful_clients": len(good),
        "failed_clients": len(heards) - len(good),
        "total_messages": sum(len(heard.messages) for heard in heards),
        "avg_audio_duration": _mean([heard.material.duration_s for heard in heards]),
        "avg_processing_time": _mean(processing),
        "latency": spread([seconds for score in scores for seconds in score.commit_s]),
        "first_partial": spread([seconds for score in scores for seconds in score.first_partial_s]),
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
    """One level for people."""
    latency, first = level["latency"], level["first_partial"]

    def seconds(values: dict[str, float], key: str) -> str:
        return f"{values[key]:.2f}" if values else "-"

    rate = f"{level['wer']:.1%}" if level["wer"] is not None else "-"
    lost = f"{level['dropped_s']:.1f}" if level["dropped_s"] is not None else "-"
    return (
        f"{level['target_clients']:>4} clients: {level['successful_clients']} ok; "
        f"first text p50 {seconds(first, 'median')} p95 {seconds(first, 'p95')} s; "
        f"final p50 {seconds(latency, 'median')} p95 {seconds(latency, 'p95')} s; "
        f"end lag p95 {seconds(level['eos_lag'], 'p95')} s; WER {rate}; lost {lost} s; "
        f"{level['calls']} calls, {level['http_503']} refused"
    )


def _messages(heard: Heard) -> list[dict[str, Any]]:
    """Each transcript message; its latency is its arrival minus the end of the audio it reaches."""
    rows = []
    for number, (at, message) in enumerate(heard.messages):
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
                "latency": at - heard.started_s - float(last["end"]),
            }
        )
    return rows


def _sum_known(values: list[float | None]) -> float | None:
    """The sum; None if any of them is not known, for it may have been any loss."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
