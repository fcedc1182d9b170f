"""The command's entry. `--version` answers before anything is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs `paver` and returns its exit code."""
    if sys.argv[1:] in (["--version"], ["version"]):
        from paver import __version__  # noqa: PLC0415 - nothing else is needed

        print(f"paver {__version__}")  # noqa: T201
        return 0
    import gc  # noqa: PLC0415 - same
    import signal  # noqa: PLC0415 - same

    # What a command began is ended also where a CI that gives up on it, or a service, asks it to go.
    signal.signal(signal.SIGTERM, _stopped)
    # Where the locale has no sign for one of ours, the rest of what is said is worth more than the sign.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    # Modules and their types live to the end: looking through them for garbage, while they are loaded and once
    # more at the end, takes a quarter of what a command needs to start.
    gc.set_threshold(50_000)
    # Threads that decode what hosts say pass the interpreter on four times less often than by default: with 64 hosts
    # that alone took a sixth of the time.
    sys.setswitchinterval(0.02)
    from paver.cli import entry  # noqa: PLC0415 - after the quick way out

    try:
        return entry.main(sys.argv[1:])
    finally:
        gc.freeze()


def _stopped(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
