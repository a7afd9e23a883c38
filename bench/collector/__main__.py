"""`python -m bench.collector`: see bench/collector/run.py."""

from bench.collector.run import main

if __name__ == "__main__":
    main()
