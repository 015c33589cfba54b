#!/usr/bin/env python3
"""drgn_pages.py DUMP PAGE_SIZE <PFNS >BYTES: the bytes of the pages whose numbers stand on stdin, as drgn reads them."""
import sys

import drgn

dump, page_size = sys.argv[1], int(sys.argv[2])
program = drgn.Program()
program.set_core_dump(dump)
for pfn in sys.stdin.read().split():
    sys.stdout.buffer.write(program.read(int(pfn) * page_size, page_size, physical=True))
