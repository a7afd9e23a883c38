"""`python -m bench.accuracy`."""

from bench.accuracy.run import main

if __name__ == "__main__":
    main()
