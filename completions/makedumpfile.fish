complete -c makedumpfile -s d -d 'Exclude pages: the sum of 1 (zero pages), 2 (page cache), 4 (page cache with private data as well), 8 (user data) and 16 (free pages); if the dump does not fit at one LEVEL, the next is tried [default: 0]' -r
complete -c makedumpfile -s x -d 'Take what the dump\'s vmcoreinfo lacks from VMLINUX, its kernel\'s ELF file' -r -F
complete -c makedumpfile -s i -d 'Take what the dump\'s vmcoreinfo lacks from VMCOREINFO, a text file' -r -F
complete -c makedumpfile -s g -d 'Write vmcoreinfo of VMLINUX (-x) to FILE, for -i, and no dump' -r -F
complete -c makedumpfile -l splitblock-size -d 'Split at multiples of KB KiB of memory [default: 16384]' -r
complete -c makedumpfile -l num-threads -d 'Use N threads; the output is the same for any N [default: the number of CPUs]' -r
complete -c makedumpfile -l cyclic-buffer -d 'Hold at most KB KiB of page bitmap, rereading struct pages for each part of memory' -r
complete -c makedumpfile -l message-level -d 'Print the sum of 1 (progress), 2 (common messages), 4 (errors), 8 (debug messages) and 16 (page report) [default: 7]' -r
complete -c makedumpfile -l vtop -d 'Print the physical address of virtual address ADDR, then write the dump' -r
complete -c makedumpfile -s L -d 'Write at most SIZE bytes (64M, 1G) to each DUMPFILE' -r
complete -c makedumpfile -l work-dir -d 'Put temporary files into DIR [default: TMPDIR, or /tmp]' -r -F
complete -c makedumpfile -s b -d 'No effect: buffers have the size that suits them (makedumpfile: 2^ORDER pages)' -r
complete -c makedumpfile -l xen-syms -d 'Take what the notes of a Xen host lack from FILE, the xen-syms of its Xen' -r -F
complete -c makedumpfile -l xen-vmcoreinfo -d 'Take Xen\'s vmcoreinfo from FILE, a text that -g made of its xen-syms' -r -F
complete -c makedumpfile -l xen_phys_start -d 'Where Xen\'s image is in physical memory, for hosts whose notes do not say it (Xen before 3.3)' -r
complete -c makedumpfile -l config -d 'Erase what FILE names (refused: not built yet)' -r
complete -c makedumpfile -l eppic -d 'Run an eppic program (refused: it needs makedumpfile\'s own shared object)' -r
complete -c makedumpfile -l extension -d 'Load a plug-in (refused: it needs makedumpfile\'s own memory)' -r
complete -c makedumpfile -l diskset -d 'A file of a set of sadump dumps (refused: sadump is not read yet)' -r
complete -c makedumpfile -s c -d 'Compress each page with zlib, which every reader supports'
complete -c makedumpfile -s l -d 'Compress each page with lzo, which is faster than zlib and compresses less'
complete -c makedumpfile -s p -d 'Compress each page with snappy'
complete -c makedumpfile -s z -d 'Compress each page with zstd (crash 8.0 or later)'
complete -c makedumpfile -s e -d 'Exclude pages of the vmemmap that hold struct pages of excluded pages alone'
complete -c makedumpfile -s E -d 'Write an ELF core; the same as --format elf'
complete -c makedumpfile -s F -d 'Write the dump to stdout in the flattened format, for a pipe'
complete -c makedumpfile -s R -d 'Turn a flattened dump, from FILE or stdin, into a regular one'
complete -c makedumpfile -l split -d 'Split the dump into several files of about the same size'
complete -c makedumpfile -l reassemble -d 'Join the parts of a split dump'
complete -c makedumpfile -l dump-dmesg -d 'Write the log of the dumped kernel to DUMPFILE, as text'
complete -c makedumpfile -l partial-dmesg -d 'With --dump-dmesg, write only what was logged after the last dmesg -c'
complete -c makedumpfile -l non-mmap -d 'Use read(2), not mmap(2), on /proc/vmcore'
complete -c makedumpfile -s f -d 'Overwrite DUMPFILE'
complete -c makedumpfile -s D -d 'Print debug messages about the crashed kernel (adds 8 to the message level)'
complete -c makedumpfile -l show-stats -d 'Print makedumpfile\'s page report (adds 16 to the message level)'
complete -c makedumpfile -l dry-run -d 'Do everything but write DUMPFILE'
complete -c makedumpfile -l mem-usage -d 'Print how many pages of each class VMCORE has, and write nothing'
complete -c makedumpfile -l check-params -d 'Only check the options, print what is wrong with them, and exit'
complete -c makedumpfile -s v -d 'Print the version and the codecs'
complete -c makedumpfile -s X -d 'Exclude pages of Xen\'s guests and of its free memory from the dump of a Xen host'
complete -c makedumpfile -s h -l help -d 'Print help'
