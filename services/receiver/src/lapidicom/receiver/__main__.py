"""`lapidicom-receiver`: reads the settings from the environment and runs the supervisor."""

import os
import sys

from lapidicom.common.settings import SettingsError, load
from lapidicom.receiver.settings import ReceiverSettings
from lapidicom.receiver.supervisor import app


def main() -> None:
    """Run the receiver; exit status 2 means that a setting is wrong."""
    try:
        settings = load(ReceiverSettings, os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    sys.exit(app.run(settings, environ=os.environ))


if __name__ == "__main__":
    main()
