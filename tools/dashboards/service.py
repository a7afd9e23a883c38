"""The dashboard of the service: what clients see, what the workers do, and what they run on."""

from __future__ import annotations

from typing import Final

from tools.dashboards.panels import CHOSEN, CLUSTER, Board, Panel, Query, Row, quantiles, rate

_AUDIO: Final = f'{CLUSTER},route="audio"'
_OK: Final = f'{CHOSEN},endpoint=~"transcriptions|translations",outcome="ok"'
_ALL_OURS: Final = f'{CHOSEN},job=~"stt-.*"'

_CLIENTS: Final = Row(
    "What clients see",
    (
        Panel(
            "Requests without a server error",
            "percentunit",
            (
                Query(
                    f'1 - (sum(increase(lb_requests_total{{{_AUDIO},status=~"5.."}}[$__range])) or vector(0))'
                    f' / (sum(increase(lb_requests_total{{{_AUDIO},status!~"4.."}}[$__range])) > 0)',
                    "good",
                ),
            ),
            "Share of audio requests that were answered, over the chosen time. The objective is 99 % over 30 days.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Error budget left",
            "percentunit",
            (
                Query(
                    f'1 - (sum(increase(lb_requests_total{{{_AUDIO},status=~"5.."}}[30d])) or vector(0))'
                    f' / (sum(increase(lb_requests_total{{{_AUDIO},status!~"4.."}}[30d])) > 0) / 0.01',
                    "left",
                ),
            ),
            "What is left of the 1 % of requests that may fail in 30 days; below 0 the objective is missed.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Workers ready",
            "short",
            (Query(f"sum(whisper_ready{{{CHOSEN}}})", "ready"), Query(f"count(whisper_ready{{{CHOSEN}}})", "all")),
            "Workers that accept work, and all workers that answer.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Audio per hour",
            "h",
            (Query(f"sum(rate(whisper_audio_seconds_sum{{{CHOSEN}}}[$__rate_interval]))", "hours of audio per hour"),),
            "Hours of audio transcribed in an hour; also how many times real time the whole service is.",
            kind="stat",
            width=6,
        ),
        Panel(
            "Answers at the balancer",
            "reqps",
            (
                rate("lb_requests_total", by="status", labels=f'{_AUDIO},refused="no"'),
                rate("lb_requests_total", by="status", labels=f'{_AUDIO},refused="yes"', legend="{{status}} by nginx"),
            ),
            "Audio requests by status. By nginx: it answered 503 itself, because no worker had a free slot.",
            stacked=True,
        ),
        Panel(
            "Answers of the workers",
            "reqps",
            (
                rate(
                    "whisper_requests_total",
                    by="outcome",
                    labels=f'{CHOSEN},endpoint=~"transcriptions|translations"',
                ),
            ),
            "Audio requests by how they ended. What nginx refuses is not here.",
            stacked=True,
        ),
        Panel(
            "Time to answer, by tier",
            "s",
            quantiles("whisper_request_seconds", by="tier", labels=_OK, of=(0.5, 0.95, 0.99)),
            "From a request's headers to the end of its answer; answered requests only.",
        ),
        Panel(
            "Time to answer at the balancer",
            "s",
            quantiles("lb_request_seconds", labels=_AUDIO, of=(0.5, 0.95, 0.99)),
            "As the client sees it: with the upload and with repeated tries.",
        ),
        Panel(
            "Time to the first segment, by lane",
            "s",
            quantiles("whisper_first_segment_seconds", by="lane"),
            "From a request's headers to its first text.",
        ),
        Panel(
            "Refused by limits of keys",
            "reqps",
            (rate("whisper_key_refused_total", by="key, limit"),),
            "Requests that got 429 or 403 because of the limits of their key.",
        ),
    ),
)

_LOAD: Final = Row(
    "Load",
    (
        Panel(
            "Slots",
            "short",
            (
                Query(f"sum(rate(whisper_slot_seconds_total{{{CHOSEN}}}[$__rate_interval]))", "in use"),
                Query(f"sum(whisper_slots{{{CHOSEN}}})", "all"),
                Query(f"sum(whisper_queue_depth{{{CHOSEN}}})", "waiting"),
            ),
            "Slots in use on average, all slots, and requests that wait for one.",
        ),
        Panel(
            "Slots in use, by worker",
            "percentunit",
            (
                Query(
                    f"sum by (instance) (rate(whisper_slot_seconds_total{{{CHOSEN}}}[$__rate_interval]))"
                    f" / sum by (instance) (whisper_slots{{{CHOSEN}}})",
                    "{{instance}}",
                ),
            ),
            "Over 85 % for long: requests are refused in bursts. Add workers.",
            maximum=1,
        ),
        Panel(
            "Model at work, by worker",
            "short",
            (rate("whisper_model_busy_seconds_total", by="instance"),),
            "Model calls that run at once, on average. At the number of replicas the model is the bottleneck.",
        ),
        Panel(
            "Wait for a slot, by tier",
            "s",
            quantiles("whisper_queue_wait_seconds", by="tier"),
            "0 unless FAIL_FAST_WHEN_BUSY=false; waits of 0 show as a constant below 0.005 s, the first bucket.",
        ),
        Panel(
            "Wait for a batch",
            "s",
            quantiles("whisper_batch_wait_seconds"),
            "How long windows wait for the model.",
        ),
        Panel(
            "Windows in one model call",
            "short",
            (
                Query(
                    f"sum by (call) (rate(whisper_batch_size_sum{{{CHOSEN}}}[$__rate_interval]))"
                    f" / sum by (call) (rate(whisper_batch_size_count{{{CHOSEN}}}[$__rate_interval]))",
                    "{{call}}",
                ),
            ),
            "The mean by kind of call; more is cheaper.",
        ),
        Panel(
            "Real-time factor",
            "short",
            (
                Query(
                    f"sum by (le) (increase(whisper_rtf_bucket{{{CHOSEN}}}[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            "Processing time for each second of audio, as a heat map of requests.",
            kind="heatmap",
            width=6,
        ),
        Panel(
            "Share of speech",
            "percentunit",
            (
                Query(
                    f"sum(rate(whisper_speech_seconds_total{{{CHOSEN}}}[$__rate_interval]))"
                    f" / sum(rate(whisper_audio_seconds_sum{{{CHOSEN}}}[$__rate_interval]))",
                    "speech",
                ),
            ),
            "Speech in the audio that was transcribed. The rest costs almost nothing.",
            width=6,
            maximum=1,
        ),
        Panel(
            "Upload size",
            "bytes",
            quantiles("whisper_upload_bytes"),
            "Size of the uploaded files.",
            width=6,
        ),
        Panel(
            "Audio by key",
            "s",
            (rate("whisper_key_audio_seconds_total", by="key"),),
            "Seconds of audio transcribed in a second, for each key of API_KEYS_FILE, without live streams.",
            width=6,
            stacked=True,
        ),
    ),
)

_TROUBLE: Final = Row(
    "Trouble",
    (
        Panel(
            "Errors of the engine",
            "short",
            (
                Query(
                    f"sum by (kind) (increase(whisper_engine_errors_total{{{CHOSEN}}}[$__rate_interval]))", "{{kind}}"
                ),
            ),
            "oom, cuda and stall concern the machine; decode concerns single files.",
        ),
        Panel(
            "Windows decoded again",
            "short",
            (rate("whisper_fallbacks_total", by="reason"),),
            "Windows that were decoded again at another temperature, by reason.",
        ),
        Panel(
            "Left out",
            "short",
            (
                rate("whisper_suppressed_segments_total", by="reason", legend="segments: {{reason}}"),
                rate("whisper_skipped_windows_total", legend="windows skipped"),
            ),
            "Segments without speech, and windows of silence or steady sound.",
        ),
        Panel(
            "Event loop lag",
            "s",
            (
                Query(f"max by (instance) (whisper_event_loop_lag_seconds{{{CHOSEN}}})", "worker {{instance}}"),
                Query(f"max by (instance) (wsgw_event_loop_lag_seconds{{{CHOSEN}}})", "gateway {{instance}}"),
            ),
            "How late the event loop runs. Over 0.5 s health checks and live text suffer.",
        ),
        Panel(
            "Since the last progress",
            "s",
            (
                Query(
                    # At the time of the scrape: time() would add the age of the sample.
                    f"(timestamp(whisper_last_progress_timestamp_seconds{{{CHOSEN}}})"
                    f" - whisper_last_progress_timestamp_seconds{{{CHOSEN}}})"
                    f" * (whisper_in_flight{{{CHOSEN}}} > bool 0)",
                    "{{instance}}",
                ),
            ),
            "Of workers with requests in flight; grows only when a worker is stuck.",
        ),
        Panel(
            "Time to load the model",
            "s",
            (Query(f"whisper_model_load_seconds{{{CHOSEN}}}", "{{instance}}"),),
            "How long the last start took until the model was warm.",
        ),
    ),
)

_MACHINE: Final = Row(
    "Processes and machines",
    (
        Panel(
            "Memory",
            "bytes",
            (Query(f"process_resident_memory_bytes{{{_ALL_OURS}}}", "{{job}} {{instance}}"),),
            "Resident memory of each process.",
        ),
        Panel(
            "CPU",
            "short",
            (rate("process_cpu_seconds_total", by="job, instance", labels=_ALL_OURS),),
            "Cores in use by each process.",
        ),
        Panel(
            "Open descriptors",
            "percentunit",
            (
                Query(
                    f"process_open_fds{{{_ALL_OURS}}} / process_max_fds{{{_ALL_OURS}}}",
                    "{{job}} {{instance}}",
                ),
            ),
            "Of those that each process may open.",
            maximum=1,
        ),
        Panel(
            "Restarts",
            "short",
            (Query(f"changes(process_start_time_seconds{{{_ALL_OURS}}}[1h])", "{{job}} {{instance}}"),),
            "Within the last hour.",
        ),
        Panel(
            "GPU at work",
            "percent",
            (Query("DCGM_FI_DEV_GPU_UTIL", "{{Hostname}} {{gpu}}"),),
            "By NVIDIA's dcgm-exporter; empty on CPUs.",
        ),
        Panel(
            "GPU memory",
            "decmbytes",
            (Query("DCGM_FI_DEV_FB_USED", "{{Hostname}} {{gpu}}"),),
            "By NVIDIA's dcgm-exporter; empty on CPUs.",
        ),
        Panel(
            "Models and versions",
            "short",
            (
                Query(
                    f"whisper_model_info{{{CHOSEN}}} * on (cluster, instance) group_left (version, revision)"
                    f" whisper_build_info{{{CHOSEN}}}",
                    "{{instance}} {{model}} {{device}} {{compute}} {{version}} {{revision}}",
                ),
            ),
            "What each worker runs; more than one model behind one address gives mixed text.",
            kind="table",
            width=24,
        ),
    ),
)

SERVICE: Final = Board(
    "stt-service",
    "Speech to text: service",
    "Requests, load, trouble and machines of the transcription workers behind one balancer.",
    (_CLIENTS, _LOAD, _TROUBLE, _MACHINE),
)
