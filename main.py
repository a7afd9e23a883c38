"""The worker's door: `python main.py`, configured by the environment and `.env`."""

from app.start import leave, run

if __name__ == "__main__":
    leave(run())
