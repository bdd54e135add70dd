"""Raise the limit of open files and sockets: 256 on macOS, often 1024 on Linux."""

import resource


def allow_open_files(needed: int) -> bool:
    """Raise this process's limit to `needed` if it is lower; return False if that is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return True
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):  # above the hard limit, or above what the kernel can do
        return False
    return True
