"""Phones: one alphabet for the sounds of espeak-ng and flite.

They label every 20 ms of speech, which teaches an encoder to listen in minutes.
Pure: no files, no processes.
"""

from collections.abc import Iterable, Sequence

from tools.demo_model.windows import Anchor, Phone

SILENCE = "_"
N_PHONES = 192  # room in the model for every phone that the voices use; 0 is silence
# flite's phones by espeak-ng's names, so that both programs' speech is labelled alike.
FLITE_NAMES = (
    "aa=A: ae=a ah=V ao=O: aw=aU ax=@ ay=aI ch=tS dh=D eh=E er=3: ey=eI hh=h ih=I iy=i: jh=dZ "
    "ng=N ow=oU oy=OI sh=S th=T uh=U uw=u: y=j zh=Z pau=_"
)
FLITE_PHONES = dict(pair.split("=") for pair in FLITE_NAMES.split())


def phone_name(identifier: bytes) -> str:
    """A phoneme's name; pauses of every kind are one."""
    name = identifier.decode("utf-8", errors="replace")
    return SILENCE if not name or name.startswith(SILENCE) else name


def words_by_share(words: Sequence[Anchor], read: Sequence[Phone], phones: Sequence[Phone]) -> list[Anchor]:
    """Where the words of one reading begin among the phones of another, pauses aside.

    Args:
        words: (character, seconds) of the first reading.
        read: its phones.
        phones: those of the other.
    """
    theirs = [start_s for name, start_s in read if name != SILENCE]
    ours = [start_s for name, start_s in phones if name != SILENCE]
    anchors: list[Anchor] = []
    for character, at_s in words:
        before = sum(start_s < at_s for start_s in theirs)
        place = round(before / max(1, len(theirs)) * len(ours))
        if 0 < place < len(ours):
            anchors.append((character, ours[place]))
    return anchors


def read_phones(printed: str) -> list[Phone]:
    """Read flite's `name:end_s` pairs as phones with their starts."""
    phones: list[Phone] = []
    start_s = 0.0
    for pair in printed.split():
        name, end_s = pair.split(":")
        phones.append((FLITE_PHONES.get(name, name), start_s))
        start_s = float(end_s)
    return phones


def number_phones(names: Iterable[str]) -> dict[str, int]:
    """A number for every phone's name, the same for the same names; silence is 0.

    Raises:
        ValueError: more phones than the model has room for.
    """
    spoken = set(names) - {SILENCE}
    if len(spoken) >= N_PHONES:
        raise ValueError(f"the speech has {len(spoken)} phones, the model has room for {N_PHONES - 1}: raise N_PHONES")
    return {SILENCE: 0, **{name: number for number, name in enumerate(sorted(spoken), start=1)}}
