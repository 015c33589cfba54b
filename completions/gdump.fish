# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_gdump_global_optspecs
    string join \n c l p z codec= d= e keep-mmio x= i= pdb= qvm-env= g= E format= F R split splitblock-size= pfn-range= reassemble dump-dmesg partial-dmesg raw-base= raw-map= diskset= max-unpacked= non-mmap output-dir= prefix= f atomic no-sync D num-threads= max-memory= cyclic-buffer= message-level= show-stats checksum dry-run strict vtop= L= mem-usage check-params work-dir= b= v X dom0 xen-syms= xen-vmcoreinfo= xen_phys_start= config= eppic= extension= no-sandbox h/help
end

function __fish_gdump_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_gdump_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_gdump_using_subcommand
    set -l cmd (__fish_gdump_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c gdump -n "__fish_gdump_needs_command" -l codec -d 'Compress each page with NAME: zlib, lzo, snappy, zstd or none [default: none, or with --reassemble as the parts are]' -r -f -a "zlib\t''
lzo\t''
snappy\t''
zstd\t''
none\t''"
complete -c gdump -n "__fish_gdump_needs_command" -s d -d 'Exclude pages: the sum of 1 (zero pages), 2 (page cache), 4 (page cache with private data as well), 8 (user data) and 16 (free pages); if the dump does not fit at one LEVEL, the next is tried [default: 0]' -r
complete -c gdump -n "__fish_gdump_needs_command" -s x -d 'Take what the dump\'s vmcoreinfo lacks from VMLINUX, its kernel\'s ELF file' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -s i -d 'Take what the dump\'s vmcoreinfo lacks from VMCOREINFO, a text file' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l pdb -d 'Take what a Windows guest did not publish from FILE, its kernel\'s PDB' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l qvm-env -d 'Keep FILE, what qvm says of the virtual machine, in the notes of DUMPFILE [default: NAME.gcore.env, NAME.env or env beside a QNX guest\'s NAME.gcore]' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -s g -d 'Write vmcoreinfo of VMLINUX (-x) to FILE, for -i, and no dump' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l format -d 'Write FORMAT: kdump, elf, gcore (an ELF core of the QNX hypervisor), dmp (a Windows crash dump), raw (memory from address 0) or lime [default: kdump]' -r -f -a "elf\t''
gcore\t''
kdump\t''
dmp\t''
lime\t''
raw\t''
kdump-zlib\t''
kdump-lzo\t''
kdump-snappy\t''
kdump-raw-zlib\t''
kdump-raw-lzo\t''
kdump-raw-snappy\t''
win-dmp\t''"
complete -c gdump -n "__fish_gdump_needs_command" -l splitblock-size -d 'Split at multiples of KB KiB of memory [default: 16384]' -r
complete -c gdump -n "__fish_gdump_needs_command" -l pfn-range -d 'Write only the part of a split dump with page frames A up to, not including, B' -r
complete -c gdump -n "__fish_gdump_needs_command" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_needs_command" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_needs_command" -l diskset -d 'Read FILE as a disk of a sadump disk set, once for each disk, without VMCORE' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed VMCORE or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_needs_command" -l output-dir -d 'Write to a new file PREFIX-YYYYMMDD-hhmmss.FORMAT in DIR, without DUMPFILE' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l prefix -d 'Begin the name in DIR (--output-dir) with PREFIX [default: qvm-guest]' -r
complete -c gdump -n "__fish_gdump_needs_command" -l num-threads -d 'Use N threads; the output is the same for any N [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_needs_command" -l max-memory -d 'Use at most SIZE bytes of memory (64M, 1G); the output is the same for any SIZE [default: half of the available memory]' -r
complete -c gdump -n "__fish_gdump_needs_command" -l cyclic-buffer -d 'Hold at most KB KiB of page bitmap, rereading struct pages for each part of memory' -r
complete -c gdump -n "__fish_gdump_needs_command" -l message-level -d 'Print the sum of 1 (progress), 2 (common messages), 4 (errors), 8 (debug messages) and 16 (page report) [default: 7]' -r
complete -c gdump -n "__fish_gdump_needs_command" -l vtop -d 'Print the physical address of virtual address ADDR, then write the dump' -r
complete -c gdump -n "__fish_gdump_needs_command" -s L -d 'Write at most SIZE bytes (64M, 1G) to each DUMPFILE' -r
complete -c gdump -n "__fish_gdump_needs_command" -l work-dir -d 'Put temporary files into DIR [default: TMPDIR, or /tmp]' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -s b -d 'No effect: buffers have the size that suits them (makedumpfile: 2^ORDER pages)' -r
complete -c gdump -n "__fish_gdump_needs_command" -l xen-syms -d 'Take what the notes of a Xen host lack from FILE, the xen-syms of its Xen' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l xen-vmcoreinfo -d 'Take Xen\'s vmcoreinfo from FILE, a text that -g made of its xen-syms' -r -F
complete -c gdump -n "__fish_gdump_needs_command" -l xen_phys_start -d 'Where Xen\'s image is in physical memory, for hosts whose notes do not say it (Xen before 3.3)' -r
complete -c gdump -n "__fish_gdump_needs_command" -l config -d 'Erase what FILE names (refused: not built yet)' -r
complete -c gdump -n "__fish_gdump_needs_command" -l eppic -d 'Run an eppic program (refused: it needs makedumpfile\'s own shared object)' -r
complete -c gdump -n "__fish_gdump_needs_command" -l extension -d 'Load a plug-in (refused: it needs makedumpfile\'s own memory)' -r
complete -c gdump -n "__fish_gdump_needs_command" -s c -d 'Compress each page with zlib, which every reader supports'
complete -c gdump -n "__fish_gdump_needs_command" -s l -d 'Compress each page with lzo, which is faster than zlib and compresses less'
complete -c gdump -n "__fish_gdump_needs_command" -s p -d 'Compress each page with snappy'
complete -c gdump -n "__fish_gdump_needs_command" -s z -d 'Compress each page with zstd (crash 8.0 or later)'
complete -c gdump -n "__fish_gdump_needs_command" -s e -d 'Exclude pages of the vmemmap that hold struct pages of excluded pages alone'
complete -c gdump -n "__fish_gdump_needs_command" -l keep-mmio -d 'Keep what the dump holds beyond the kernel\'s last section of memory'
complete -c gdump -n "__fish_gdump_needs_command" -s E -d 'Write an ELF core; the same as --format elf'
complete -c gdump -n "__fish_gdump_needs_command" -s F -d 'Write the dump to stdout in the flattened format, for a pipe'
complete -c gdump -n "__fish_gdump_needs_command" -s R -d 'Turn a flattened dump, from FILE or stdin, into a regular one'
complete -c gdump -n "__fish_gdump_needs_command" -l split -d 'Split the dump into several files of about the same size'
complete -c gdump -n "__fish_gdump_needs_command" -l reassemble -d 'Join the parts of a split dump'
complete -c gdump -n "__fish_gdump_needs_command" -l dump-dmesg -d 'Write the log of the dumped kernel to DUMPFILE, as text'
complete -c gdump -n "__fish_gdump_needs_command" -l partial-dmesg -d 'With --dump-dmesg, write only what was logged after the last dmesg -c'
complete -c gdump -n "__fish_gdump_needs_command" -l non-mmap -d 'Use read(2), not mmap(2), on /proc/vmcore'
complete -c gdump -n "__fish_gdump_needs_command" -s f -d 'Overwrite DUMPFILE'
complete -c gdump -n "__fish_gdump_needs_command" -l atomic -d 'Give DUMPFILE its name only when it is whole'
complete -c gdump -n "__fish_gdump_needs_command" -l no-sync -d 'Do not wait until the dump is stored on its disk'
complete -c gdump -n "__fish_gdump_needs_command" -s D -d 'Print debug messages about the crashed kernel (adds 8 to the message level)'
complete -c gdump -n "__fish_gdump_needs_command" -l show-stats -d 'Print makedumpfile\'s page report (adds 16 to the message level)'
complete -c gdump -n "__fish_gdump_needs_command" -l checksum -d 'Write checksums of DUMPFILE to DUMPFILE.sum'
complete -c gdump -n "__fish_gdump_needs_command" -l dry-run -d 'Do everything but write DUMPFILE'
complete -c gdump -n "__fish_gdump_needs_command" -l strict -d 'Fail if pages of a class in LEVEL cannot be identified, rather than keep them'
complete -c gdump -n "__fish_gdump_needs_command" -l mem-usage -d 'Print how many pages of each class VMCORE has, and write nothing'
complete -c gdump -n "__fish_gdump_needs_command" -l check-params -d 'Only check the options, print what is wrong with them, and exit'
complete -c gdump -n "__fish_gdump_needs_command" -s v -d 'Print the version and the codecs'
complete -c gdump -n "__fish_gdump_needs_command" -s X -d 'Exclude pages of Xen\'s guests and of its free memory from the dump of a Xen host'
complete -c gdump -n "__fish_gdump_needs_command" -l dom0 -d 'Write domain 0 of a Xen host\'s dump, as the dump of an ordinary machine'
complete -c gdump -n "__fish_gdump_needs_command" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_needs_command" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_needs_command" -a "info" -d 'Show what the headers of a dump say: format, codec, machine, kernel, dump level, pages'
complete -c gdump -n "__fish_gdump_needs_command" -a "check" -d 'Read a whole dump and report damage'
complete -c gdump -n "__fish_gdump_needs_command" -a "diff" -d 'Compare the memory in two dumps'
complete -c gdump -n "__fish_gdump_needs_command" -a "dmesg" -d 'Print the log of the dumped kernel'
complete -c gdump -n "__fish_gdump_needs_command" -a "estimate" -d 'Say how large a dump would be at each dump level with each codec, and how long making it would take'
complete -c gdump -n "__fish_gdump_needs_command" -a "map" -d 'Draw what all of memory is used for, and where the bytes of a dump go'
complete -c gdump -n "__fish_gdump_needs_command" -a "repair" -d 'Save what is certain of a damaged dump'
complete -c gdump -n "__fish_gdump_needs_command" -a "capture" -d 'Write a dump of a running guest, whose memory is read while it stands still'
complete -c gdump -n "__fish_gdump_using_subcommand info" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand info" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand info" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand info" -l qvm-env -d 'Show FILE, what qvm says of the virtual machine (/dev/qvm/GUEST/env) [default: in the notes, or NAME.gcore.env, NAME.env or env beside NAME.gcore]' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand info" -l json -d 'Print one JSON object'
complete -c gdump -n "__fish_gdump_using_subcommand info" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand info" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand check" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand check" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand check" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand check" -l num-threads -d 'Use N threads [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_using_subcommand check" -l json -d 'Print JSON'
complete -c gdump -n "__fish_gdump_using_subcommand check" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand check" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand diff" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand diff" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand diff" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand diff" -l num-threads -d 'Use N threads [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_using_subcommand diff" -l strict -d 'Count pages that one or both of the dumps lack as differences'
complete -c gdump -n "__fish_gdump_using_subcommand diff" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand diff" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -l partial -d 'Print only what was logged after dmesg -c'
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -l callers -d 'Print which thread (T) or CPU (C) logged a line, where the kernel keeps that'
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand dmesg" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -s d -d 'Show these dump levels [default: 0, 1, 2, 4, 8, 16, 17, 23, 27, 30, 31]' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l free -d 'Say what fits into SIZE (bytes, or with K, M, G or T after it units of 1024)' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l path -d 'Say what fits into what is free on the file system of DIR' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -s x -d 'Take what the dump\'s vmcoreinfo lacks from VMLINUX, its kernel\'s ELF file' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -s i -d 'Take what the dump\'s vmcoreinfo lacks from VMCOREINFO, a text file' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l max-memory -d 'Use at most SIZE bytes of memory (512M, 2G) for page bitmaps and buffers' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l num-threads -d 'Use N threads [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l json -d 'Print JSON, with all levels unless -d is given'
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand estimate" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s o -l output -d 'Write the map to OUT, in the format that its name ends with: .svg, .html or .json' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand map" -l format -d 'Write OUT in FORMAT: svg, html, json or text' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -s d -d 'Show the bytes of a dump of dump level LEVEL [default: 0]' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -l codec -d 'Show the bytes of a dump with CODEC: zlib, lzo, snappy, zstd or none' -r -f -a "zlib\t''
lzo\t''
snappy\t''
zstd\t''
none\t''"
complete -c gdump -n "__fish_gdump_using_subcommand map" -s x -d 'Take what the dump\'s vmcoreinfo lacks from VMLINUX, its kernel\'s ELF file' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand map" -s i -d 'Take what the dump\'s vmcoreinfo lacks from VMCOREINFO, a text file' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand map" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -l max-memory -d 'Use at most SIZE bytes of memory (512M, 2G) for page bitmaps and buffers' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -l num-threads -d 'Use N threads [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_using_subcommand map" -l json -d 'Print JSON'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s f -l force -d 'Overwrite OUT'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s c -d 'Show the bytes of a dump with zlib (the default)'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s l -d 'Show the bytes of a dump with lzo'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s p -d 'Show the bytes of a dump with snappy'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s z -d 'Show the bytes of a dump with zstd'
complete -c gdump -n "__fish_gdump_using_subcommand map" -l zeros -d 'Read each page that dump level 30 keeps, and show those that are zero'
complete -c gdump -n "__fish_gdump_using_subcommand map" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand map" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand repair" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed file or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand repair" -l num-threads -d 'Use N threads [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_using_subcommand repair" -s f -l force -d 'Overwrite OUT'
complete -c gdump -n "__fish_gdump_using_subcommand repair" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand repair" -s h -l help -d 'Print help'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l via -d 'Read the guest\'s memory where it lies (direct), or have QEMU write a dump (dump) [default: direct where that is allowed]' -r -f -a "direct\t'Where it lies'
dump\t'By QEMU\'s own dump'"
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l ram -d 'With pid:N, where the guest has RAM: FIRST-END, hexadecimal, END not included' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l qemu-pid -d 'The process that runs the guest [default: the one that listens]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l timeout -d 'Wait as long for each of QEMU\'s answers [default: 30]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l codec -d 'Compress each page with NAME: zlib, lzo, snappy, zstd or none [default: none, or with --reassemble as the parts are]' -r -f -a "zlib\t''
lzo\t''
snappy\t''
zstd\t''
none\t''"
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s d -d 'Exclude pages: the sum of 1 (zero pages), 2 (page cache), 4 (page cache with private data as well), 8 (user data) and 16 (free pages); if the dump does not fit at one LEVEL, the next is tried [default: 0]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s x -d 'Take what the dump\'s vmcoreinfo lacks from VMLINUX, its kernel\'s ELF file' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s i -d 'Take what the dump\'s vmcoreinfo lacks from VMCOREINFO, a text file' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l pdb -d 'Take what a Windows guest did not publish from FILE, its kernel\'s PDB' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l qvm-env -d 'Keep FILE, what qvm says of the virtual machine, in the notes of DUMPFILE [default: NAME.gcore.env, NAME.env or env beside a QNX guest\'s NAME.gcore]' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s g -d 'Write vmcoreinfo of VMLINUX (-x) to FILE, for -i, and no dump' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l format -d 'Write FORMAT: kdump, elf, gcore (an ELF core of the QNX hypervisor), dmp (a Windows crash dump), raw (memory from address 0) or lime [default: kdump]' -r -f -a "elf\t''
gcore\t''
kdump\t''
dmp\t''
lime\t''
raw\t''
kdump-zlib\t''
kdump-lzo\t''
kdump-snappy\t''
kdump-raw-zlib\t''
kdump-raw-lzo\t''
kdump-raw-snappy\t''
win-dmp\t''"
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l splitblock-size -d 'Split at multiples of KB KiB of memory [default: 16384]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l pfn-range -d 'Write only the part of a split dump with page frames A up to, not including, B' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l raw-base -d 'Read a VMCORE without headers as raw memory starting at physical address ADDR' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l raw-map -d 'Read a VMCORE without headers as raw memory of these ranges: 0-3G,4G-' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l diskset -d 'Read FILE as a disk of a sadump disk set, once for each disk, without VMCORE' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l max-unpacked -d 'Unpack at most SIZE bytes (8G, 1T) of a compressed VMCORE or a pipe [default: 7/8 of what is free in TMPDIR]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l output-dir -d 'Write to a new file PREFIX-YYYYMMDD-hhmmss.FORMAT in DIR, without DUMPFILE' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l prefix -d 'Begin the name in DIR (--output-dir) with PREFIX [default: qvm-guest]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l num-threads -d 'Use N threads; the output is the same for any N [default: the number of CPUs]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l max-memory -d 'Use at most SIZE bytes of memory (64M, 1G); the output is the same for any SIZE [default: half of the available memory]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l cyclic-buffer -d 'Hold at most KB KiB of page bitmap, rereading struct pages for each part of memory' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l message-level -d 'Print the sum of 1 (progress), 2 (common messages), 4 (errors), 8 (debug messages) and 16 (page report) [default: 7]' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l vtop -d 'Print the physical address of virtual address ADDR, then write the dump' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s L -d 'Write at most SIZE bytes (64M, 1G) to each DUMPFILE' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l work-dir -d 'Put temporary files into DIR [default: TMPDIR, or /tmp]' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s b -d 'No effect: buffers have the size that suits them (makedumpfile: 2^ORDER pages)' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l xen-syms -d 'Take what the notes of a Xen host lack from FILE, the xen-syms of its Xen' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l xen-vmcoreinfo -d 'Take Xen\'s vmcoreinfo from FILE, a text that -g made of its xen-syms' -r -F
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l xen_phys_start -d 'Where Xen\'s image is in physical memory, for hosts whose notes do not say it (Xen before 3.3)' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l config -d 'Erase what FILE names (refused: not built yet)' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l eppic -d 'Run an eppic program (refused: it needs makedumpfile\'s own shared object)' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l extension -d 'Load a plug-in (refused: it needs makedumpfile\'s own memory)' -r
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l keep-stopped -d 'Leave the guest as it stands at the end'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l on-panic -d 'Wait until the guest\'s kernel has panicked'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l live -d 'Do not stop the guest: pages that it changes meanwhile do not fit each other'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l ask -d 'Only show what QEMU says of its guest and of dumps, and write nothing'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l json -d 'With --ask, print one JSON object'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l resume-guest -d 'Only let a guest run again, which a capture that was killed left stopped'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s c -d 'Compress each page with zlib, which every reader supports'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s l -d 'Compress each page with lzo, which is faster than zlib and compresses less'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s p -d 'Compress each page with snappy'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s z -d 'Compress each page with zstd (crash 8.0 or later)'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s e -d 'Exclude pages of the vmemmap that hold struct pages of excluded pages alone'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l keep-mmio -d 'Keep what the dump holds beyond the kernel\'s last section of memory'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s E -d 'Write an ELF core; the same as --format elf'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s F -d 'Write the dump to stdout in the flattened format, for a pipe'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s R -d 'Turn a flattened dump, from FILE or stdin, into a regular one'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l split -d 'Split the dump into several files of about the same size'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l reassemble -d 'Join the parts of a split dump'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l dump-dmesg -d 'Write the log of the dumped kernel to DUMPFILE, as text'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l partial-dmesg -d 'With --dump-dmesg, write only what was logged after the last dmesg -c'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l non-mmap -d 'Use read(2), not mmap(2), on /proc/vmcore'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s f -d 'Overwrite DUMPFILE'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l atomic -d 'Give DUMPFILE its name only when it is whole'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l no-sync -d 'Do not wait until the dump is stored on its disk'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s D -d 'Print debug messages about the crashed kernel (adds 8 to the message level)'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l show-stats -d 'Print makedumpfile\'s page report (adds 16 to the message level)'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l checksum -d 'Write checksums of DUMPFILE to DUMPFILE.sum'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l dry-run -d 'Do everything but write DUMPFILE'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l strict -d 'Fail if pages of a class in LEVEL cannot be identified, rather than keep them'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l mem-usage -d 'Print how many pages of each class VMCORE has, and write nothing'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l check-params -d 'Only check the options, print what is wrong with them, and exit'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s v -d 'Print the version and the codecs'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s X -d 'Exclude pages of Xen\'s guests and of its free memory from the dump of a Xen host'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l dom0 -d 'Write domain 0 of a Xen host\'s dump, as the dump of an ordinary machine'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -l no-sandbox -d 'Keep all rights of the process'
complete -c gdump -n "__fish_gdump_using_subcommand capture" -s h -l help -d 'Print help'
