from __future__ import annotations

import numpy as np
from faster_whisper.feature_extractor import FeatureExtractor

from app.engine.whisper.encoders.speech import calibration_windows, trial_window


def test_windows_have_every_kind_of_sound() -> None:
    """A full window, short ones that end in silence, noise, and silence, for models with 80 and with 128 bands."""
    for n_mels in (80, 128):
        windows = calibration_windows(FeatureExtractor(feature_size=n_mels))
        assert {window.shape for window in windows} == {(1, n_mels, 3000), (1, n_mels, 750)}
        assert all(window.dtype == np.float32 for window in windows)
        assert windows[0][0, :, 2000].any()
        assert windows[1][0, :, 300].any()
        assert not windows[1][0, :, 700].any()
        assert not windows[-1].any()


def test_the_trial_is_on_speech() -> None:
    """Ten seconds, eight of them speech."""
    window = trial_window(FeatureExtractor())
    assert window.shape == (1, 80, 1000)
    assert window[0, :, 700].any()
    assert not window[0, :, 900].any()
