#!/usr/bin/env python3
"""xen_frames.py VMCORE: what Xen 4.17's own structures say of a host's dump, read here by another way than gdump's: all of the
frame table first, then page frames. Prints the numbers of page frames in the dump, free and of domain 0, then a line for each
page frame of domain 0: its own number, the machine's, and whether it is a page table."""
import struct
import sys

file = open(sys.argv[1], "rb")
head = file.read(1 << 20)
phoff, (phentsize, phnum) = struct.unpack_from("<Q", head, 32)[0], struct.unpack_from("<HH", head, 54)
headers = [struct.unpack_from("<IIQQQQQQ", head, phoff + phentsize * i) for i in range(phnum)]
loads = [(h[4], h[4] + h[5], h[2]) for h in headers if h[0] == 1]
at, size = next((h[2], h[5]) for h in headers if h[0] == 4)


def machine(addr, length):
    for start, end, offset in loads:
        if start <= addr and addr + length <= end:
            file.seek(offset + addr - start)
            return file.read(length)
    raise LookupError(hex(addr))


info, crash, end = {}, None, at + size
while at < end:
    namesz, descsz, kind = struct.unpack_from("<III", head, at)
    if namesz == 0:
        break
    name, desc = head[at + 12 : at + 11 + namesz], at + 12 + (namesz + 3) // 4 * 4
    if name == b"VMCOREINFO_XEN":
        text = head[desc : desc + descsz].split(b"\0")[0].decode()
        info = dict(line.split("=", 1) for line in text.splitlines())
    if (name, kind) == (b"Xen", 0x1000001):
        crash = struct.unpack_from("<10Q", head, desc)
    at = desc + (descsz + 3) // 4 * 4
phys, lists = crash[8], crash[9]
symbol = lambda name: int(info[f"SYMBOL({name})"], 16)
base = symbol("domain_list") & ~((1 << 30) - 1)
image = lambda name: symbol(name) - base + phys
root = image("pgd_l4")


def virtual(addr):
    table = root
    for shift in (39, 30, 21, 12):
        entry = struct.unpack("<Q", machine(table + 8 * (addr >> shift & 511), 8))[0]
        if not entry & 1:
            raise LookupError(hex(addr))
        table = entry & 0xFFFFFFFFFF000
        if shift == 12 or entry & 0x80 and shift < 39:
            mask = (1 << shift) - 1
            return (table & ~mask) + (addr & mask)


number = lambda at: struct.unpack("<Q", machine(at, 8))[0]
table, pages = number(image("frame_table")), number(image("max_page"))
domain0 = (number(image("domain_list")) - 0xFFFF830000000000) >> 12
frames = {}
for start, stop, _ in loads:
    for mfn in range(start >> 12, (stop + 4095) >> 12):
        if mfn >= pages or mfn in frames:
            continue
        page = virtual((table + 32 * mfn) & ~4095)
        for i, words in enumerate(struct.iter_unpack("<IIQQII", machine(page, 4096))):
            frames[((table + 32 * mfn & ~4095) - table) // 32 + i] = words
# a PT_LOAD may end within a page
present = {mfn for start, stop, _ in loads for mfn in range(start >> 12, (stop + 4095) >> 12)}
free = sum(frames[mfn][2] & ~(1 << 63) == 3 << 58 for mfn in present if mfn in frames)
owned = sum(frames[mfn][2] >> 63 and frames[mfn][2] >> 58 & 3 == 0 and frames[mfn][4] == domain0 for mfn in present if mfn in frames)
print(len(present), free, owned)
for i, second in enumerate(struct.unpack("<512Q", machine(lists << 12, 4096))):
    try:
        leaves = struct.unpack("<512Q", machine(second << 12, 4096))
    except LookupError:
        continue
    for j, leaf in enumerate(leaves):
        try:
            entries = struct.unpack("<512Q", machine(leaf << 12, 4096))
        except LookupError:
            continue
        for k, mfn in enumerate(entries):
            if mfn >> 62 == 0 and mfn in present:
                kind = frames[mfn][3]
                used = kind & (1 << 55) - 1 and kind >> 58 & 1 and 1 <= kind >> 61 <= 4
                print((i * 512 + j) * 512 + k, mfn, int(bool(used)))
