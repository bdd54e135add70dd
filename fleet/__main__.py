"""Run the command line: `python -m fleet --help`."""

from fleet.app import app


def main() -> None:
    """Run `fleet`, under this name also as `python -m fleet`."""
    app(prog_name="fleet")


if __name__ == "__main__":
    main()
