from app.live.policy.language import LanguageVotes


def test_named_language_is_always_sent():
    """If the client names a language, it is sent, whatever is detected."""
    votes = LanguageVotes("de")
    votes.add("en", 0.99, 100.0, hinted=False)
    assert votes.hint() == "de"


def test_first_seconds_do_not_lock():
    """The first utterance is not enough for a hint."""
    votes = LanguageVotes(None)
    votes.add("nl", 0.9, 2.0, hinted=False)
    assert votes.hint() is None


def test_clear_majority_becomes_a_hint():
    """Enough speech in one language becomes a hint, despite one short error."""
    votes = LanguageVotes(None)
    votes.add("nl", 0.4, 1.0, hinted=False)
    votes.add("de", 0.9, 6.0, hinted=False)
    assert votes.hint() == "de"


def test_mixed_meeting_gets_no_hint():
    """With two alternating languages the model detects each time."""
    votes = LanguageVotes(None)
    for language in ("de", "en", "de", "en"):
        votes.add(language, 0.9, 3.0, hinted=False)
    assert votes.hint() is None


def test_change_of_language_is_noticed():
    """The hint is withheld for one request now and then; if another language is detected, it wins in the end."""
    votes = LanguageVotes(None)
    votes.add("de", 0.9, 10.0, hinted=False)
    speech_s = 0.0
    while votes.hint() != "en":
        hinted = votes.hint() is not None
        votes.add("de" if hinted else "en", 0.9, 3.0, hinted=hinted)
        speech_s += 3.0
        assert speech_s < 400
    assert speech_s > 10


def test_no_words_are_no_vote():
    """A request without speech or without a language changes nothing."""
    votes = LanguageVotes(None)
    votes.add(None, 0.9, 5.0, hinted=False)
    votes.add("en", 0.9, 0.0, hinted=False)
    assert votes.hint() is None
