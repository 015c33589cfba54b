_makedumpfile() {
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
                cmd="makedumpfile"
                ;;
            *)
                ;;
        esac
    done

    case "${cmd}" in
        makedumpfile)
            opts="-c -l -p -z -d -e -x -i -g -E -F -R -f -D -L -b -v -X -h --split --splitblock-size --reassemble --dump-dmesg --partial-dmesg --diskset --non-mmap --num-threads --cyclic-buffer --message-level --show-stats --dry-run --vtop --mem-usage --check-params --work-dir --xen-syms --xen-vmcoreinfo --xen_phys_start --config --eppic --extension --help"
            if [[ ${cur} == -* || ${COMP_CWORD} -eq 1 ]] ; then
                COMPREPLY=( $(compgen -W "${opts}" -- "${cur}") )
                return 0
            fi
            case "${prev}" in
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
                -g)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --splitblock-size)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --diskset)
                    COMPREPLY=($(compgen -f "${cur}"))
                    return 0
                    ;;
                --num-threads)
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
    esac
}

if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -F _makedumpfile -o nosort -o bashdefault -o default makedumpfile
else
    complete -F _makedumpfile -o bashdefault -o default makedumpfile
fi
