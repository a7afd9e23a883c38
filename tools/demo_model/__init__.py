"""Make the bundled demo model: text, speech, training, export, evaluation.

Each step is a command (`python -m tools.demo_model text`), reads what the one before it wrote,
and goes on where it stopped. Not part of the product: its requirements are its own.
"""
