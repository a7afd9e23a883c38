"""The commands, in the order they run: text, synthesize, train, export, evaluate."""

import argparse
import os
import shutil
from pathlib import Path

# Only argument parsing is imported here; each command imports its own libraries.
from tools.demo_model.schedule import Schedule


def text(arguments: argparse.Namespace) -> None:
    """Collect the sentences and train the tokenizer, or use an existing one."""
    from tools.demo_model.text import gather
    from tools.demo_model.vocabulary import train_tokenizer

    arguments.data.mkdir(parents=True, exist_ok=True)
    corpus = gather()
    corpus.write(arguments.data / "text.json")
    tokenizer = arguments.data / "tokenizer.json"
    if arguments.tokenizer:
        shutil.copyfile(arguments.tokenizer, tokenizer)
    else:
        train_tokenizer(s for pool in corpus.train.values() for s in pool).save(str(tokenizer))
    for language, pool in corpus.train.items():
        print(f"{language}: {len(pool)} to train on, {len(corpus.held_out[language])} held out")


def synthesize(arguments: argparse.Namespace) -> None:
    """Synthesize the sentences."""
    from tools.demo_model.synthesize import TAKES, synthesize
    from tools.demo_model.text import Corpus

    folder = arguments.data / "speech"
    folder.mkdir(parents=True, exist_ok=True)
    corpus = Corpus.read(arguments.data / "text.json")
    synthesize(corpus, folder, processes=arguments.workers, takes=TAKES)


def train(arguments: argparse.Namespace) -> None:
    """Train, from the last checkpoint if there is one."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported: one thread per worker
    from tools.demo_model.train import Settings, train

    settings = Settings(
        arguments.data,
        arguments.out,
        arguments.workers,
        arguments.device,
        seed=arguments.seed,
        decoder_alone=arguments.decoder_alone,
    )
    schedule = Schedule(
        steps=arguments.steps,
        warmup=arguments.warmup,
        decay=arguments.decay,
        rate=arguments.rate,
        decoder_from=arguments.decoder_from,
        long_from=arguments.long_from,
    )
    train(settings, schedule, start=arguments.start)


def export(arguments: argparse.Namespace) -> None:
    """Write the CTranslate2 folder."""
    from tools.demo_model.export import export

    tokenizer = arguments.data / "tokenizer.json"
    done = export(arguments.checkpoint, tokenizer, arguments.out, quantization="int8")
    print(f"{arguments.out}: step {done.step}, model.bin of {done.model_bytes / 1e6:.1f} MB")


def evaluate(arguments: argparse.Namespace) -> None:
    """Print the table of one or more models."""
    from tools.demo_model.evaluate import evaluate
    from tools.demo_model.samples import read_sets

    sets = read_sets(arguments.samples, arguments.data / "speech", count=arguments.count)
    printed = evaluate(arguments.models, sets)
    print(printed)
    if arguments.out:
        arguments.out.write_text(printed + "\n", encoding="utf-8")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m tools.demo_model", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, about: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=about, description=about)
        made.set_defaults(run=run)
        made.add_argument("--data", type=Path, required=True, help="folder of text and speech")
        return made

    one = command("text", text, "gather sentences, hold some out, make the tokenizer")
    one.add_argument("--tokenizer", type=Path, help="take this tokenizer.json, to train on a model")
    two = command("synthesize", synthesize, "synthesize the sentences; continues an interrupted run")
    two.add_argument("--workers", type=int, default=2, help="processes")
    three = command("train", train, "train; goes on from the last checkpoint")
    three.add_argument("--out", type=Path, required=True, help="folder of checkpoint and curves")
    three.add_argument("--start", type=Path, help="weights to begin with, a checkpoint")
    three.add_argument("--workers", type=int, default=2, help="processes, one per core; 1 on a GPU")
    three.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    three.add_argument("--steps", type=int, required=True, help="at which training ends")
    three.add_argument("--decay", type=int, default=1000, help="last steps, of falling rate")
    three.add_argument("--warmup", type=int, default=60, help="first steps, of rising rate")
    three.add_argument("--rate", type=float, default=2e-3, help="learning rate between")
    three.add_argument("--decoder-from", type=int, default=0, help="steps the encoder learns alone")
    three.add_argument("--long-from", type=int, required=True, help="step of the first long phase")
    three.add_argument("--seed", type=int, default=0, help="of every choice of windows")
    three.add_argument("--decoder-alone", action="store_true", help="leave the encoder as it is")
    four = command("export", export, "write the CTranslate2 folder")
    four.add_argument("--checkpoint", type=Path, required=True)
    four.add_argument("--out", type=Path, required=True, help="folder to write")
    five = command("evaluate", evaluate, "print the table of one or more models")
    five.add_argument("models", type=Path, nargs="+", help="CTranslate2 folders")
    five.add_argument("--samples", type=Path, required=True, help="folder with manifest.json")
    five.add_argument("--count", type=int, default=200, help="held-out sentences per language")
    five.add_argument("--out", type=Path, help="write the table here too")
    return top


if __name__ == "__main__":
    given = parser().parse_args()
    given.run(given)
