"""`python -m twinlock`."""

from twinlock.cli import main

if __name__ == "__main__":
    main()
