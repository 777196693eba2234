"""Entry point of `lapidicom`: imports the rest itself, so that Ctrl-C ends it quietly from the start on."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command."""
    try:
        from lapidicom.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.stderr.write("lapidicom: interrupted\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
