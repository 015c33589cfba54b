_gdump() {
    local i cur prev opts cmd
    COMPREPLY=()
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        cur="$2"
    else
        cur="${COMP_WORDS[COMP_CWORD]}"
    fi
    prev="$3"
    cmd=""
    opts=""

    for i in "${COMP_WORDS[@]:0:COMP_CWORD}"
    do
        case "${cmd},${i}" in
            ",$1")
                cmd="gdump"
                ;;
            gdump,capture)
                cmd="gdump__subcmd__capture"
                ;;
            gdump,check)
                cmd="gdump__subcmd__check"
                ;;
            gdump,diff)
                cmd="gdump__subcmd__diff"
                ;;
            gdump,dmesg)
                cmd="gdump__subcmd__dmesg"
                ;;
            gdump,estimate)
                cmd="gdump__subcmd__estimate"
                ;;
            gdump,info)
                cmd="gdump__subcmd__info"
                ;;
            gdump,map)
                cmd="gdump__subcmd__map"
                ;;
            gdump,repair)
                cmd="gdump__subcmd__repair"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        gdump)
            opts="-c -l -p -z -d -e -x -i -g -E -F -R -f -D -L -b -v -X -h --codec --keep-mmio --pdb --qvm-env --format --split --splitblock-size --pfn-range --reassemble --dump-dmesg --partial-dmesg --raw-base --raw-map --diskset --max-unpacked --non-mmap --output-dir --prefix --atomic --no-sync --num-threads --max-memory --cyclic-buffer --message-level --show-stats --checksum --dry-run --strict --vtop --mem-usage --check-params --work-dir --dom0 --xen-syms --xen-vmcoreinfo --xen_phys_start --config --eppic --extension --no-sandbox --help info check diff dmesg estimate map repair capture"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --codec)
                    COMPREPLY=($(compgen -W "zlib lzo snappy zstd none" -- "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -x)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -i)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pdb)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --qvm-env)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -g)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "elf gcore kdump dmp lime raw kdump-zlib kdump-lzo kdump-snappy kdump-raw-zlib kdump-raw-lzo kdump-raw-snappy win-dmp" -- "${cur}"))
                    return 0
                    ;;
                --splitblock-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pfn-range)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --diskset)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cyclic-buffer)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --message-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --vtop)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -L)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --work-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --xen-syms)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --xen-vmcoreinfo)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --xen_phys_start)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --eppic)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --extension)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__capture)
            opts="-c -l -p -z -d -e -x -i -g -E -F -R -f -D -L -b -v -X -h --via --keep-stopped --on-panic --live --ask --json --resume-guest --ram --qemu-pid --timeout --codec --keep-mmio --pdb --qvm-env --format --split --splitblock-size --pfn-range --reassemble --dump-dmesg --partial-dmesg --raw-base --raw-map --diskset --max-unpacked --non-mmap --output-dir --prefix --atomic --no-sync --num-threads --max-memory --cyclic-buffer --message-level --show-stats --checksum --dry-run --strict --vtop --mem-usage --check-params --work-dir --dom0 --xen-syms --xen-vmcoreinfo --xen_phys_start --config --eppic --extension --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --via)
                    COMPREPLY=($(compgen -W "direct dump" -- "${cur}"))
                    return 0
                    ;;
                --ram)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --qemu-pid)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --timeout)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --codec)
                    COMPREPLY=($(compgen -W "zlib lzo snappy zstd none" -- "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -x)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -i)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pdb)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --qvm-env)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -g)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -W "elf gcore kdump dmp lime raw kdump-zlib kdump-lzo kdump-snappy kdump-raw-zlib kdump-raw-lzo kdump-raw-snappy win-dmp" -- "${cur}"))
                    return 0
                    ;;
                --splitblock-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --pfn-range)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --diskset)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --output-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --prefix)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --cyclic-buffer)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --message-level)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --vtop)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -L)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --work-dir)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -b)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --xen-syms)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --xen-vmcoreinfo)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --xen_phys_start)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --config)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --eppic)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --extension)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__check)
            opts="-h --json --raw-base --raw-map --max-unpacked --num-threads --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__diff)
            opts="-h --strict --raw-base --raw-map --max-unpacked --num-threads --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__dmesg)
            opts="-h --partial --callers --raw-base --raw-map --max-unpacked --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__estimate)
            opts="-d -x -i -h --json --free --path --raw-base --raw-map --max-unpacked --max-memory --num-threads --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --free)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --path)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -x)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -i)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__info)
            opts="-h --json --raw-base --raw-map --max-unpacked --qvm-env --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --qvm-env)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__map)
            opts="-o -f -d -c -l -p -z -x -i -h --output --format --json --force --codec --zeros --raw-base --raw-map --max-unpacked --max-memory --num-threads --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --output)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -o)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --format)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -d)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --codec)
                    COMPREPLY=($(compgen -W "zlib lzo snappy zstd none" -- "${cur}"))
                    return 0
                    ;;
                -x)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                -i)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-base)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --raw-map)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --max-memory)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
        gdump__subcmd__repair)
            opts="-f -h --force --max-unpacked --num-threads --no-sandbox --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 2 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
                --max-unpacked)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                *)
                    COMPREPLY=()
                    ;;
            esac
            COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
            return 0
            ;;
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _gdump -o nosort -o bashdefault -o default gdump
else
    complete -F _gdump -o bashdefault -o default gdump
fi
