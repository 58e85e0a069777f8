"""``python -m pagefault`` is the command ``pagefault``."""

from pagefault.cli import main

if __name__ == "__main__":
    main()
