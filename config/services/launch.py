"""First step of every child process: tie it to its parent, drop root where asked, exec.

Run as a script by `spawn.py`, never imported:
`python -I -S launch.py PARENT_PID SIGNAL USER COMMAND [ARGUMENT ...]`, USER `-` for no change.
A `preexec_fn` would do the same inside the forked parent, but is unsafe there: the parent has
threads.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, signal_number, user = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    command = sys.argv[4:]
    if user != "-":
        entry = pwd.getpwnam(user)
        os.initgroups(user, entry.pw_gid)
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        os.environ.update(HOME=entry.pw_dir, USER=user, LOGNAME=user)
    if sys.platform == "linux":
        # After setuid: a change of credentials clears it; exec keeps it.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(f"the process that started {command[0]} is gone")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} can't be run: {error.strerror}")


main()
