"""Entry point of `python -m lapidicom.cli`."""

from lapidicom.cli.app import main

if __name__ == "__main__":
    main()
