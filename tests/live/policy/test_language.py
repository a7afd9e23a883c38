from app.live.policy.language import LanguageVotes


def test_named_language_is_always_asked_for():
    """A client that names a language gets it, whatever is heard."""
    votes = LanguageVotes("de")
    votes.add("en", 0.99, 100.0, hinted=False)
    assert votes.hint() == "de"


def test_first_seconds_do_not_lock():
    """The first utterance is not enough for a hint."""
    votes = LanguageVotes(None)
    votes.add("nl", 0.9, 2.0, hinted=False)
    assert votes.hint() is None


def test_clear_majority_becomes_a_hint():
    """Enough speech in one language is passed on, in spite of one short mistake."""
    votes = LanguageVotes(None)
    votes.add("nl", 0.4, 1.0, hinted=False)
    votes.add("de", 0.9, 6.0, hinted=False)
    assert votes.hint() == "de"


def test_mixed_meeting_gets_no_hint():
    """Two languages in turn are left to the model each time."""
    votes = LanguageVotes(None)
    for language in ("de", "en", "de", "en"):
        votes.add(language, 0.9, 3.0, hinted=False)
    assert votes.hint() is None


def test_change_of_language_is_noticed():
    """The hint is withheld for one pass now and then; when that pass hears another language, it wins in the end."""
    votes = LanguageVotes(None)
    votes.add("de", 0.9, 10.0, hinted=False)
    heard_s = 0.0
    while votes.hint() != "en":
        hinted = votes.hint() is not None
        votes.add("de" if hinted else "en", 0.9, 3.0, hinted=hinted)
        heard_s += 3.0
        assert heard_s < 400
    assert heard_s > 10


def test_nothing_heard_is_no_vote():
    """A silent pass, or one without a language, changes nothing."""
    votes = LanguageVotes(None)
    votes.add(None, 0.9, 5.0, hinted=False)
    votes.add("en", 0.9, 0.0, hinted=False)
    assert votes.hint() is None
