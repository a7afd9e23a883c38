"""The tokenizer: 2,000 byte-level pieces, then Whisper's special tokens in Whisper's order."""

from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

from tools.demo_model.sentences import LANGUAGES
from tools.demo_model.targets import Special

N_TEXT_TOKENS = 2000
N_TIMESTAMPS = 1501
# Whisper's languages in Whisper's order: decoders find them by their place.
WHISPER_LANGUAGES = (  # noqa: SIM905 - a hundred short strings would hide the order
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no "
    "th ur hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw "
    "gl mr pa si km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl "
    "mg as tt haw ln ha ba jw su"
).split()


def train_tokenizer(sentences: Iterable[str]) -> Tokenizer:
    """Learn the pieces from sentences, each taken with the space that Whisper puts before it."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=N_TEXT_TOKENS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([" " + sentence for sentence in sentences], trainer)
    names = ["<|endoftext|>", "<|startoftranscript|>"]
    names += [f"<|{language}|>" for language in WHISPER_LANGUAGES]
    names += ["<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>"]
    names += ["<|nospeech|>", "<|notimestamps|>"]
    names += [f"<|{tick * 0.02:.2f}|>" for tick in range(N_TIMESTAMPS)]
    tokenizer.add_special_tokens([AddedToken(n, special=True, normalized=False) for n in names])
    return tokenizer


def load_tokenizer(path: Path) -> Tokenizer:
    """Read `tokenizer.json`."""
    return Tokenizer.from_file(str(path))


def special_tokens(tokenizer: Tokenizer) -> Special:
    """Look up the ids of the tokens that are not text."""

    def find(name: str) -> int:
        found = tokenizer.token_to_id(f"<|{name}|>")
        if found is None:
            raise ValueError(f"tokenizer has no <|{name}|>: make it with `text`")
        return int(found)

    return Special(
        end=find("endoftext"),
        start=find("startoftranscript"),
        languages={language: find(language) for language in LANGUAGES},
        transcribe=find("transcribe"),
        previous=find("startofprev"),
        no_speech=find("nospeech"),
        no_timestamps=find("notimestamps"),
        timestamp=find("0.00"),
    )
