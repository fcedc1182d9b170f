"""The command's entry. `--version` answers before anything is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Runs `paver` and returns its exit code."""
    if sys.argv[1:] in (["--version"], ["version"]):
        from paver import __version__  # noqa: PLC0415 - nothing else is needed

        try:
            print(f"paver {__version__}", flush=True)  # noqa: T201
        except OSError:
            from paver.cli import entry  # noqa: PLC0415 - it meets the same, and tells of it

            return entry.main(["version"])
        return 0
    import gc  # noqa: PLC0415 - same
    import resource  # noqa: PLC0415 - same
    import signal  # noqa: PLC0415 - same

    if None in {sys.stdin, sys.stdout, sys.stderr}:
        _opened()
    # Secrets in memory go onto no disk with a crash of this process, or of a tool that it starts. A limit of 0 holds for
    # files alone; one of 1 also where the kernel hands a core to a program (core(5); `do_coredump` in its fs/coredump.c).
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (most if most == 0 else 1, most))
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
    try:
        from paver.cli import entry  # noqa: PLC0415 - after the quick way out

        return entry.main(sys.argv[1:])
    except KeyboardInterrupt:
        # Before a verb was found, or after it: nothing was begun, or all is done.
        sys.stderr.write("stopped\n  exit  130\n")
        return 130
    finally:
        gc.freeze()


def _opened() -> None:
    """Opens what the caller closed of standard input, output and errors: the next file would get its number instead."""
    import os  # noqa: PLC0415 - hardly ever

    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - as long as the process
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 - same
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115 - same


def _stopped(number: int, frame: object) -> None:
    del number, frame
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
