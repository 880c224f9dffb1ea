"""`python -m conformance`, the same as `ptycho-oracle`."""

from conformance.cli import main

if __name__ == "__main__":
    main()
