"""Run the worker: `python main.py`, configured by the environment and `.env`."""

from app.commands.serve import run
from app.ops.process import exit_now

if __name__ == "__main__":
    exit_now(run())
