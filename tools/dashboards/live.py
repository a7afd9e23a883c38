"""The dashboard of live text: what listeners see, how the gateways and the workers share the load, what is stored."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panels import CHOSEN, Board, Panel, Query, Row, quantiles, rate

_LISTENERS: Final = Row(
    "What listeners see",
    (
        Panel(
            "Words within 3 s",
            "percentunit",
            (
                Query(
                    f'sum(increase(wsgw_commit_latency_seconds_bucket{{{CHOSEN},le="3.0"}}[$__range]))'
                    f" / (sum(increase(wsgw_commit_latency_seconds_count{{{CHOSEN}}}[$__range])) > 0)",
                    "in time",
                ),
            ),
            "Share of words that were final 3 s after they were spoken, over the chosen time. The objective is 95 %.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Live audio lost",
            "s",
            (
                Query(
                    "sum(increase(wsgw_dropped_audio_seconds_total"
                    f'{{{CHOSEN},reason!~"left|replaced|stuck"}}[$__range])) or vector(0)',
                    "lost",
                ),
            ),
            "Seconds of audio that were never transcribed. The objective is 0.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Streams",
            "short",
            (
                Query(f"sum(wsgw_sessions_active{{{CHOSEN}}})", "open"),
                Query(f"sum(wsgw_sessions_limit{{{CHOSEN}}})", "limit"),
            ),
            "Open streams, and how many there may be.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Gateways",
            "short",
            (
                Query(f"count(wsgw_sessions_limit{{{CHOSEN}}})", "all"),
                Query(f"sum(wsgw_draining{{{CHOSEN}}})", "draining"),
            ),
            "Gateways that answer, and those of them that are stopping.",
            kind="stat",
            width=6,
        ),
        Panel(
            "From a word to its final text",
            "s",
            quantiles("wsgw_commit_latency_seconds", of=(0.5, 0.95)),
            "Time from a word's last sample until it is final.",
        ),
        Panel(
            "To the first text",
            "s",
            quantiles("wsgw_first_text_seconds", of=(0.5, 0.95)),
            "For each stream, until its first text; a gap where no stream had its first text.",
        ),
        Panel(
            "Speech that is not final yet",
            "s",
            quantiles("wsgw_lag_seconds", of=(0.5, 0.95)),
            "Age of the oldest speech without final text, at each request to the workers.",
        ),
        Panel(
            "Audio lost or left",
            "short",
            (
                rate("wsgw_dropped_audio_seconds_total", by="reason", legend="lost: {{reason}}"),
                rate("wsgw_left_at_drain_audio_seconds_total", legend="left at a shutdown"),
                rate("wsgw_dead_audio_seconds_total", by="kind", legend="dead: {{kind}}"),
            ),
            "Seconds of audio each second. Dead audio is what no microphone produces, such as digital silence.",
        ),
        Panel(
            "Final words, by rule",
            "short",
            (rate("wsgw_committed_words_total", by="rule"),),
            "Words a second, by the rule that made them final.",
            stacked=True,
        ),
        Panel(
            "Streams that ended or were refused",
            "short",
            (
                rate("wsgw_sessions_total", by="ending", legend="ended: {{ending}}"),
                rate("wsgw_refused_total", by="reason", legend="refused: {{reason}}"),
            ),
            "Streams a second, by reason.",
        ),
    ),
)

_CALLS: Final = Row(
    "Requests to the workers",
    (
        Panel(
            "Requests, by outcome",
            "reqps",
            (rate("wsgw_upstream_requests_total", by="outcome"),),
            "A busy service delays text and loses nothing.",
            stacked=True,
        ),
        Panel(
            "Duration",
            "s",
            quantiles("wsgw_upstream_seconds"),
            "Of requests that returned a transcript.",
        ),
        Panel(
            "In flight and waiting",
            "short",
            (
                Query(f"sum(wsgw_upstream_in_flight{{{CHOSEN}}})", "in flight"),
                Query(f"sum(wsgw_upstream_waiting{{{CHOSEN}}})", "waiting streams"),
            ),
            "Waiting for long: the service is too small for so many streams.",
        ),
        Panel(
            "Wait for a turn",
            "s",
            quantiles("wsgw_turn_wait_seconds"),
            "From a window being due until its request; no wait shows as a constant below 0.05 s, the first bucket.",
        ),
        Panel(
            "Audio sent for each second received",
            "short",
            (
                Query(
                    f"sum(rate(wsgw_audio_sent_seconds_total{{{CHOSEN}}}[$__rate_interval]))"
                    f" / sum(rate(wsgw_audio_received_seconds_total{{{CHOSEN}}}[$__rate_interval]))",
                    "sent / received",
                ),
            ),
            "Overlapping windows send audio several times; less than 1 with much silence.",
        ),
        Panel(
            "Buffered audio, and clients not read from",
            "short",
            (
                Query(f"sum(wsgw_buffer_seconds{{{CHOSEN}}})", "seconds held"),
                rate("wsgw_paused_reads_total", legend="pauses a second"),
            ),
            "Pauses mean that a stream's buffer is full.",
        ),
    ),
)

_STORED: Final = Row(
    "Stored transcripts",
    (
        Panel(
            "Entries published",
            "short",
            (
                rate("wsgw_published_total", by="kind"),
                rate("wsgw_publish_dropped_total", by="reason", legend="dropped: {{reason}}"),
            ),
            "Entries a second that Redis took, and those that it never got.",
        ),
        Panel(
            "Entries that wait",
            "short",
            (
                Query(f"sum(wsgw_publish_backlog{{{CHOSEN}}})", "for Redis"),
                Query(f"sum(collector_lag_entries{{{CHOSEN}}})", "for the collector"),
                Query(f"sum(collector_pending{{{CHOSEN}}})", "read, not stored"),
            ),
            "Near 0 in steady work.",
        ),
        Panel(
            "From Redis to the database",
            "s",
            quantiles("collector_store_latency_seconds"),
            "Time from an entry's arrival in Redis until it is stored.",
        ),
        Panel(
            "Segments stored",
            "short",
            (rate("collector_segments_total", by="kind"),),
            "Segments a second, by what became of them.",
        ),
        Panel(
            "Dead letters, errors, missing",
            "short",
            (
                rate("collector_dead_letters_total", by="reason", legend="dead letters: {{reason}}"),
                rate("collector_db_errors_total", legend="database errors"),
                rate("collector_missing_segments_total", legend="missing finals"),
            ),
            "All should be 0.",
        ),
        Panel(
            "Readers of live transcripts",
            "short",
            (Query(f"sum by (kind) (collector_live_clients{{{CHOSEN}}})", "{{kind}}"),),
            "Connected readers of the collector.",
        ),
    ),
)

LIVE: Final = Board(
    "stt-live",
    "Speech to text: live",
    "Live streams: latency, losses, load on the workers, and stored transcripts.",
    (_LISTENERS, _CALLS, _STORED),
)
