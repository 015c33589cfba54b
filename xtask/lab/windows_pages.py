#!/usr/bin/env python3
"""windows_pages.py leechcore|volatility DUMP <PFNS >BYTES: the bytes of the pages of 4 KiB whose numbers stand on stdin."""
import pathlib
import sys

PAGE = 4096


def leechcore(path):
    import leechcorepyc

    dump = leechcorepyc.LeechCore("file://" + path)
    return lambda pfn: dump.read(pfn * PAGE, PAGE)


def volatility(path):
    from volatility3.framework import contexts
    from volatility3.framework.layers import crash, physical

    context = contexts.Context()
    context.config["base.location"] = pathlib.Path(path).resolve().as_uri()
    context.layers.add_layer(physical.FileLayer(context, "base", "file"))
    context.config["crash.base_layer"] = "file"
    layer = crash.WindowsCrashDump64Layer(context, "crash", "crash")
    context.layers.add_layer(layer)
    return lambda pfn: layer.read(pfn * PAGE, PAGE)


read = {"leechcore": leechcore, "volatility": volatility}[sys.argv[1]](sys.argv[2])
for pfn in sys.stdin.read().split():
    page = read(int(pfn))
    if len(page) != PAGE:
        sys.exit(f"page {pfn}: {len(page)} bytes")
    sys.stdout.buffer.write(page)
