#!/usr/bin/env python3
"""drgn_tasks.py DUMP VMLINUX [KASLR]: the tasks of a dump, as drgn lists them by the kernel's debug symbols: PID and name, a
line each. KASLR is how far the kernel moved (hexadecimal), where its vmcoreinfo does not say so (i386)."""
import sys

import drgn
from drgn.helpers.linux.pid import for_each_task

program = drgn.Program()
program.set_core_dump(sys.argv[1])
try:
    program.load_debug_info([sys.argv[2]])
except drgn.MissingDebugInfoError as error:
    print("drgn:", str(error).splitlines()[0], file=sys.stderr)  # of modules
moved = int(sys.argv[3], 16) if len(sys.argv) > 3 else 0
address = program.symbol("init_pid_ns").address + moved
namespace = drgn.Object(program, "struct pid_namespace", address=address)
for pid, name in sorted((task.pid.value_(), task.comm.string_().decode()) for task in for_each_task(namespace)):
    print(pid, name)
