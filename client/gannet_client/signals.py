"""What asks a program to end."""

import signal


def ending_signals() -> list[signal.Signals]:
    """The signals beside Ctrl-C: SIGTERM, and that of a closed terminal unless `nohup` has it ignored."""
    hangs_up = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    return [signal.SIGTERM, signal.SIGHUP] if hangs_up else [signal.SIGTERM]
